import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from '../../testing/paths.js';

const isFolder = (path: string): boolean =>
  statSync(join(projectRoot, path), { throwIfNoEntry: false })?.isDirectory() ?? false;

/** Is the name in the folder, or, of files that each of its folders has, in one of them? */
function isIn(folder: string, name: string): boolean {
  if (existsSync(join(projectRoot, folder, name))) return true;
  return (
    name === 'kind.ts' &&
    readdirSync(join(projectRoot, folder)).some(
      (one) => isFolder(join(folder, one)) && existsSync(join(projectRoot, folder, one, name)),
    )
  );
}

/** The files in backticks that are not there. A name without `src/` or `test/` stands in the folder of the path before it in its line. */
function missingFiles(text: string): string[] {
  return text.split('\n').flatMap((line, index) => {
    let folder = '.';
    return [...line.matchAll(/`([\w./*-]+)`/g)].flatMap(([, name = '']) => {
      const path = name.replace(/\/\*$/, '');
      const found = [path, join('src', path)].find(isFolder);
      if (found !== undefined) folder = found;
      if (found !== undefined || !name.endsWith('.ts')) return [];
      if (!/^(?:src|test)\//.test(name)) return isIn(folder, name) ? [] : [`line ${index + 1}: ${name}`];
      folder = dirname(name);
      return existsSync(join(projectRoot, name)) ? [] : [`line ${index + 1}: ${name}`];
    });
  });
}

test('every file that ARCHITECTURE.md names is there', () => {
  const text = readFileSync(join(projectRoot, 'ARCHITECTURE.md'), 'utf8');
  assert.deepEqual(missingFiles(text), []);
  assert.deepEqual(
    missingFiles('`src/engine/decide.ts`, `gates/approvals.ts`, `grants.ts`\n`src/gone.ts`, `x`'),
    ['line 1: grants.ts', 'line 2: src/gone.ts'],
  );
});
