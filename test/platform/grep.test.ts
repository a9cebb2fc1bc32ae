import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../../testing/paths.js';

// In a project of its own, built and installed, which has one test and a file that does not load.

describe('npm test -- --grep', () => {
  const root = mkdtempSync(join(tmpdir(), 'countersign-grep-'));
  before(async () => {
    for (const path of ['scripts', 'package.json', 'package-lock.json'])
      cpSync(join(projectRoot, path), join(root, path), { recursive: true, preserveTimestamps: true });
    symlinkSync(join(projectRoot, 'node_modules'), join(root, 'node_modules'));
    const lib = pathToFileURL(join(root, 'scripts', 'lib.mjs')).href;
    const { buildHash } = (await import(lib)) as { buildHash(): string };
    const files = {
      'dist/.stamp': buildHash(),
      'test/loads.test.ts': "import { test } from 'node:test';\ntest('one and one is two', () => {});\n",
      'test/throws.test.ts': "throw new Error('it does not load');\n",
    };
    for (const folder of ['dist', 'test']) mkdirSync(join(root, folder));
    for (const [path, text] of Object.entries(files)) writeFileSync(join(root, path), text);
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  function npmTest(file: string, pattern: string): { code: number | null; out: string; err: string } {
    const { NODE_TEST_CONTEXT: _nested, TEST_PROCESS: _process, FORCE_COLOR: _color, ...env } = process.env;
    const args = [join(root, 'scripts', 'test.mjs'), file, '--grep', pattern];
    const ended = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
    return { code: ended.status, out: ended.stdout, err: ended.stderr };
  }

  it('runs the tests of that name', () => {
    const { code, out, err } = npmTest('test/loads', 'one is two');
    assert.equal(code, 0, err);
    assert.match(out, /^✔ one and one is two /m);
  });

  it('tells a name that no test has as that, and not as passed', () => {
    const { code, err } = npmTest('test/loads', 'one is three');
    assert.equal(code, 1);
    assert.match(err, /^no test's name matches `one is three` in these files$/m);
  });

  it('tells of a file that does not load that it has failed, and not that no test of it has the name', () => {
    const { code, out, err } = npmTest('test/throws', 'one is two');
    assert.equal(code, 1);
    assert.match(out, /it does not load/);
    assert.doesNotMatch(err, /no test's name/);
  });
});
