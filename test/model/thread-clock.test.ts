import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { workedMs } from '../../src/model/thread-clock.js';

test(
  'a thread’s work is its own: what another thread of the process works, and what is waited for, is not counted',
  {
    skip: process.platform === 'linux' ? false : 'only Linux says what one thread has worked',
  },
  async () => {
    const work = `
    const { parentPort } = require('node:worker_threads');
    const until = process.cpuUsage().user + 300_000;
    while (process.cpuUsage().user < until);
    parentPort.postMessage('worked');`;
    const [own, all] = [workedMs(), process.cpuUsage()];
    const other = new Worker(work, { eval: true });
    await new Promise((resolve) => other.once('message', resolve));
    const { user, system } = process.cpuUsage(all);
    const counted = workedMs() - own;
    await other.terminate();
    // Of the process, all that the other thread has worked is somebody else's.
    const others = (user + system) / 1_000 - counted;
    assert.ok(others >= 200, `${others} of ${user + system}`);
  },
);

test('what this thread works is counted', () => {
  const before = workedMs();
  const until = process.cpuUsage().user + 50_000;
  while (process.cpuUsage().user < until);
  assert.ok(workedMs() - before > 0);
});
