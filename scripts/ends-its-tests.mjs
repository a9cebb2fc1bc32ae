// The process of each test file imports this: a process that exits before its tests have ended has failed, whatever its exit code.
// Otherwise a test that exits, itself or by what it calls, would hide all later tests of its process.
import { after } from 'node:test';
import { appendFileSync } from 'node:fs';
import { basename } from 'node:path';
import { isMainThread } from 'node:worker_threads';
import { coreSeconds } from './core-seconds.mjs';

// A process that a test file starts may inherit this import; then it inherits the variable too, and is left alone.
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
