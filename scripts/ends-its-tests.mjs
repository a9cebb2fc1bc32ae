// Imported by the process of each test file: a process that exits before its tests have ended has failed, whatever its exit code. A test,
// or what it calls, that exits would otherwise hide all tests behind it in its process.
import { after } from 'node:test';
import { appendFileSync } from 'node:fs';
import { basename } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { coreSeconds } from './core-seconds.mjs';

// What a test file starts may inherit the import, and with it the variable.
if (process.env.NODE_TEST_CONTEXT !== undefined && isMainThread && process.env.TEST_PROCESS === undefined) {
  process.env.TEST_PROCESS = String(process.pid);
  let ended = false;
  after(() => {
    ended = true;
  });
  process.on('exit', () => {
    const line = { module: basename(process.argv[1]), core: coreSeconds() };
    if (process.env.TEST_CORE_SECONDS !== undefined)
      appendFileSync(process.env.TEST_CORE_SECONDS, `${JSON.stringify(line)}\n`);
    if (ended) return;
    process.exitCode = 1;
    process.stderr.write('this process exited before its tests had ended\n');
  });
}
