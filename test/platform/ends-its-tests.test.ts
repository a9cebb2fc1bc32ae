import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const endsItsTests = pathToFileURL(join(process.cwd(), 'scripts', 'ends-its-tests.mjs')).href;

/** The exit code of `node --test` over files of these texts, as `npm test` runs it. */
function codeOf(...texts: string[]): number | null {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-ends-'));
  try {
    const files = texts.map((text, index) => {
      const path = join(folder, `${index}.test.mjs`);
      writeFileSync(path, `import { test } from 'node:test';\n${text}\n`);
      return path;
    });
    const { NODE_TEST_CONTEXT: _nested, TEST_PROCESS: _process, ...env } = process.env;
    return spawnSync(process.execPath, [`--import=${endsItsTests}`, '--test', ...files], { env }).status;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('a test file that exits before its tests have ended has failed, though it exits with 0', () => {
  assert.equal(
    codeOf("test('exits', () => process.exit(0)); test('fails', () => { throw new Error(); });"),
    1,
  );
  assert.equal(codeOf('process.exit(0);'), 1);
  assert.equal(codeOf("test('passes', () => {});", "test('exits', () => process.exit(0));"), 1);
});

test('what a test file starts may exit as it will', () => {
  const fork =
    "import { fork } from 'node:child_process';\nimport { once } from 'node:events';\n" +
    "import { Worker } from 'node:worker_threads';\n" +
    "test('forks', async () => { if ((await once(fork('/dev/null'), 'exit'))[0] !== 0) throw new Error(); });\n" +
    "test('threads', async () => { if ((await once(new Worker('process.exit(0)', { eval: true }), 'exit'))[0] !== 0) throw new Error(); });";
  assert.equal(codeOf(fork), 0);
});

test('npm test runs each test file so', () => {
  assert.ok(process.execArgv.includes(`--import=${endsItsTests}`));
});
