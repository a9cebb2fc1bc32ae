// Mostly waits: for processes that do not end by themselves to be ended.
// When a command is over is read in /proc, and a reading may show less than there is.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { makeReader } from '../../../src/executors/command/processes.js';
import { closeExecutors, runCall } from '../../../src/executors/index.js';
import type { ExecutorResult, RunContext } from '../../../src/executors/types.js';
import type { JsonObject } from '../../../src/model/values/json.js';
import type { Connection } from '../../../src/model/policy-set.js';
import { contextWith, isGone } from '../world.js';

after(closeExecutors);

const shell = (script: string, more: Partial<RunContext> = {}): Promise<ExecutorResult> => {
  const connection: Connection = {
    ...{ kind: 'cli', command: '/bin/sh', args: ['-c', script], env: {}, workingDirectory: null },
  };
  return runCall({ kind: 'cli', connection: 'c', args: [], stdin: null }, contextWith(connection, more));
};
/** What it prints is the id of a process that it leaves running. */
const leaves = 'sleep 300 >/dev/null 2>&1 & echo $!';
const pidOf = (result: ExecutorResult): number => {
  const said = result.status === 'failed' ? result.response : result.status === 'succeeded' && result.output;
  return Number((said as JsonObject)['stdout']);
};
const assertLeft = async (result: ExecutorResult): Promise<void> => {
  assert.ok(result.status === 'failed', JSON.stringify(result));
  assert.equal(result.errorClass, 'unknown_outcome');
  assert.match(result.message, /was still running, which was ended/);
  assert.ok(await isGone(pidOf(result)), 'it is still there');
};

/** What /proc lists, from here on. */
function listed(t: TestContext, change: (pids: string[], reading: number) => string[]): void {
  const { readdirSync } = fs;
  let readings = 0;
  t.mock.method(fs, 'readdirSync', (path: string) =>
    path === '/proc' ? change(readdirSync(path), (readings += 1)) : readdirSync(path),
  );
  syncBuiltinESMExports();
  t.after(() => syncBuiltinESMExports());
}

/** What /proc says of each process, from here on. */
function told(t: TestContext, change: (stat: string) => string): void {
  const { readFileSync } = fs;
  t.mock.method(fs, 'readFileSync', (...args: Parameters<typeof readFileSync>) => {
    const text = readFileSync(...args);
    return typeof text === 'string' && /^\/proc\/\d+\/stat$/.test(String(args[0])) ? change(text) : text;
  });
  syncBuiltinESMExports();
  t.after(() => syncBuiltinESMExports());
}
/** As of one that has ended, and of whose threads so many run or have not been asked about. */
const ended =
  (threads: number) =>
  (stat: string): string => {
    const head = stat.slice(0, stat.lastIndexOf(')') + 2);
    const [, ...fields] = stat.slice(head.length).split(' ');
    return `${head}${['Z', ...fields.with(16, String(threads))].join(' ')}`;
  };

describe('a command has not executed while something that it has started runs on', () => {
  test('where one reading has missed it', async (t) => {
    listed(t, (pids, reading) => (reading === 1 ? [] : pids));
    const untilMoved = 'while [ "$(cut -d " " -f 5 /proc/$!/stat)" != $! ]; do :; done; echo $!';
    await assertLeft(await shell(`timeout 300 sleep 300 >/dev/null 2>&1 & ${untilMoved}`));
  });

  test('where a reading for another command has missed it, or was from before it was started', async (t) => {
    listed(t, (pids, reading) => (reading % 2 === 0 ? [] : pids));
    for (const result of await Promise.all([shell(leaves), shell(leaves), shell(leaves)]))
      await assertLeft(result);
  });

  test('where /proc shows nothing, or hides it', async (t) => {
    listed(t, () => []);
    await assertLeft(await shell(leaves));
  });

  test('where /proc is that of other processes, and says that those have ended', async (t) => {
    t.mock.method(fs, 'readlinkSync', () => '1');
    told(t, ended(1));
    await assertLeft(await shell(leaves));
  });

  test('where its first thread has ended, and others go on', async (t) => {
    told(t, ended(2));
    await assertLeft(await shell(leaves));
  });

  test('and has executed where that has ended, and nobody has asked about it', async (t) => {
    told(t, ended(1));
    const result = await shell(leaves);
    process.kill(pidOf(result), 'SIGKILL');
    assert.equal(result.status, 'succeeded', JSON.stringify(result));
  });
});

test('a command that has not been heard to exit is ended at its time-out, whatever /proc says of it', async (t) => {
  told(t, ended(1));
  const directory = fs.mkdtempSync(join(tmpdir(), 'countersign-pid-'));
  const file = join(directory, 'pid');
  const result = await shell(`echo $$ > ${file}; exec sleep 300`, { timeoutMs: 2_000, idempotencyKey: 'k' });
  assert.equal(result.status === 'failed' && result.errorClass, 'timeout');
  assert.ok(await isGone(Number(fs.readFileSync(file, 'utf8'))), 'it is still there');
  fs.rmSync(directory, { recursive: true });
});

test('everybody else goes on while many processes are read', async (t) => {
  listed(t, () => Array<string>(20_000).fill(String(process.pid)));
  let isRead = false;
  void makeReader(new Set())().then(() => (isRead = true));
  let turns = 0;
  for (; !isRead; turns += 1) await turn();
  assert.ok(turns > 3, `${turns}`);
});
