import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { it } from 'node:test';
import { compilingRooms } from '../../src/policy/folder/basis.js';
import { projectRoot } from '../../testing/paths.js';

const sources = join(projectRoot, 'src');

/** The files of this project that a file imports at run time, directly or through others. */
function reachedFrom(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, isType, path] of text.matchAll(/^(?:import|export) (type )?[^;]*?from '(\.[^']+)\.js';/gms))
    if (isType === undefined) reachedFrom(join(dirname(file), `${path}.ts`), seen);
  return seen;
}

it('another build compiles a published flow again, whichever of the files that compile it has changed', () => {
  const reached = [...reachedFrom(join(sources, 'policy', 'checker', 'checker-thread.ts'))];
  assert.ok(reached.length > 100, `${reached.length} files`);
  const rooms = new Set(reached.map((file) => relative(sources, file).split('/')[0]));
  assert.deepEqual(
    [...rooms].filter((room) => room === undefined || !compilingRooms.includes(room)),
    [],
  );
});
