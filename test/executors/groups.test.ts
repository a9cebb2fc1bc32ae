// What a connection starts ends with its call, its connection and its worker, and with it whatever it has started itself.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { closeExecutors, runCall } from '../../src/executors/index.js';
import type { Call, ExecutorResult, RunContext } from '../../src/executors/types.js';
import type { JsonObject } from '../../src/model/json.js';
import type { Connection } from '../../src/model/policy-set.js';
import { contextWith, isGone, makeWorld, root, type World } from './world.js';

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => {
  await closeExecutors();
  await world.close();
});

/** Answers `pids` with the process ids of its launcher, itself, and its helper. */
const server = `
const { HELPED, STUBBORN } = process.env;
if (STUBBORN) {
  process.on('SIGTERM', () => undefined);
  setInterval(() => undefined, 1000);
}
const helper = HELPED ? require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' }) : null;
helper?.unref();
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  const say = (result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
  if (method === 'initialize') say({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } });
  else if (method === 'tools/call' && params.name === 'pids') say({ content: [], structuredContent: { pids: [process.ppid, process.pid, ...(helper ? [helper.pid] : [])] } });
  else if (method === 'tools/call' && params.name === 'flood') process.stdout.write('x'.repeat(5e6));
  else if (method === 'tools/call' && params.name === 'exit') process.exit(1);
});`;
/** As `npx` does it: the server is a child of the command. Stubborn: it ends neither with its input nor by SIGTERM. */
const behindShell = (mood: 'STUBBORN' | 'HELPED'): Connection => ({
  kind: 'mcp',
  transport: {
    ...{ kind: 'stdio', command: '/bin/sh', workingDirectory: null },
    args: ['-c', '"$NODE" -e "$SERVER"; true'],
    env: { NODE: process.execPath, SERVER: server, [mood]: 'yes' },
  },
});
const tool = (name: string): Call => ({ kind: 'mcp', connection: 'c', tool: name, arguments: {} });
const pidsIn = (result: ExecutorResult): number[] => {
  assert.ok(result.status === 'succeeded', JSON.stringify(result));
  return (result.output as JsonObject)['pids'] as number[];
};
const start = async (connection: Connection): Promise<number[]> => {
  const pids = pidsIn(await runCall(tool('pids'), contextWith(connection)));
  assert.ok(pids.length >= 2);
  return pids;
};
async function assertGone(pids: readonly number[]): Promise<void> {
  for (const pid of pids) assert.ok(await isGone(pid), `process ${pid} is still there`);
}

describe('an MCP server behind a launcher', () => {
  test('ends with it when the worker stops', async () => {
    const pids = await start(behindShell('STUBBORN'));
    await closeExecutors();
    await assertGone(pids);
  });

  const ends: readonly (readonly [string, string, Partial<RunContext>])[] = [
    ['a call that times out', 'hang', { timeoutMs: 500 }],
    ['a call that floods it', 'flood', {}],
    ['a server that exits', 'exit', {}],
  ];
  for (const [what, name, more] of ends)
    test(`ends with it after ${what}`, async () => {
      const pids = await start(behindShell('STUBBORN'));
      const said = await runCall(tool(name), contextWith(behindShell('STUBBORN'), more));
      assert.ok(said.status === 'failed', JSON.stringify(said));
      await assertGone(pids);
    });

  for (const [what, stop] of [
    ['when it ends with its input', closeExecutors],
    ['when it exits', () => runCall(tool('exit'), contextWith(behindShell('HELPED')))],
  ] as const)
    test(`leaves no helper behind ${what}`, async () => {
      const pids = await start(behindShell('HELPED'));
      assert.equal(pids.length, 3);
      await stop();
      await assertGone(pids);
    });
});

describe('a command that ends before what it has started', () => {
  const shell = (script: string, more: Partial<RunContext> = {}): Promise<ExecutorResult> => {
    const connection: Connection = {
      ...{ kind: 'cli', command: '/bin/sh', args: ['-c', script], env: {}, workingDirectory: null },
    };
    return runCall({ kind: 'cli', connection: 'c', args: [], stdin: null }, contextWith(connection, more));
  };
  const pidOf = (result: ExecutorResult): number => {
    const said = result.status === 'failed' ? (result.response as JsonObject) : {};
    return Number(said['stdout']);
  };
  const left: readonly (readonly [string, string])[] = [
    ['and holds its output', 'sleep 300 & echo $!'],
    ['and holds nothing of it', 'sleep 300 >/dev/null 2>&1 & echo $!'],
    ['and does not end by SIGTERM', '(trap "" TERM; sleep 300; sleep 300) >/dev/null 2>&1 & echo $!'],
    ['though the command failed', 'sleep 300 & echo $!; exit 3'],
  ];
  for (const [what, script] of left)
    test(`has not executed where that runs on, ${what}: it is ended, and the outcome says so`, async () => {
      const result = await shell(script);
      assert.ok(result.status === 'failed', JSON.stringify(result));
      assert.deepEqual([result.errorClass, result.effectPossible], ['unknown_outcome', true]);
      assert.match(
        result.message,
        /exited with code [03] while something that it had started was still running, which was ended/,
      );
      await assertGone([pidOf(result)]);
    });

  test('is `permanent` for a read and with a key, whose effect may have happened', async () => {
    const script = 'sleep 300 & echo $!';
    const [read, keyed] = await Promise.all([
      shell(script, { hasEffect: false }),
      shell(script, { idempotencyKey: 'k' }),
    ]);
    assert.ok(read.status === 'failed' && keyed.status === 'failed');
    assert.deepEqual([read.errorClass, read.effectPossible], ['permanent', false]);
    assert.deepEqual([keyed.errorClass, keyed.effectPossible], ['permanent', true]);
    await assertGone([pidOf(read), pidOf(keyed)]);
  });

  test('is waited for with few readings of all processes, however many such commands there are', async (t) => {
    const read = t.mock.method(fs, 'readdirSync');
    syncBuiltinESMExports();
    t.after(() => syncBuiltinESMExports());
    const results = await Promise.all(Array.from({ length: 5 }, () => shell('sleep 300 & echo $!')));
    const readings = read.mock.calls.filter((one) => one.arguments[0] === '/proc').length;
    assert.ok(readings >= 1 && readings <= 20, `${readings}`);
    await assertGone(results.map(pidOf));
  });

  test('has not executed where a reading of all processes has missed what runs on', async (t) => {
    const { readdirSync } = fs;
    let missed = 0;
    t.mock.method(fs, 'readdirSync', (path: string) => {
      if (path !== '/proc') return readdirSync(path);
      missed += 1;
      return missed === 1 ? [] : readdirSync(path);
    });
    syncBuiltinESMExports();
    t.after(() => syncBuiltinESMExports());
    // What other commands have read lately is not asked again.
    await new Promise((resolve) => setTimeout(resolve, 150));
    const result = await shell('sleep 300 & echo $!');
    assert.ok(missed > 1 && result.status === 'failed', JSON.stringify(result));
    assert.equal(result.errorClass, 'unknown_outcome');
    await assertGone([pidOf(result)]);
  });

  test('has not executed by what was read for another command, before it had started anything', async (t) => {
    const { readdirSync } = fs;
    let readings = 0;
    let missesNext = false;
    t.mock.method(fs, 'readdirSync', (path: string) => {
      if (path !== '/proc') return readdirSync(path);
      readings += 1;
      const misses = missesNext;
      missesNext = false;
      return misses ? [] : readdirSync(path);
    });
    syncBuiltinESMExports();
    t.after(() => syncBuiltinESMExports());
    // What other commands have read lately is not asked again.
    await new Promise((resolve) => setTimeout(resolve, 150));
    const other = shell('sleep 300 & echo $!');
    while (readings === 0) await new Promise((resolve) => setImmediate(resolve));
    missesNext = true;
    const results = await Promise.all([other, shell('sleep 300 & echo $!')]);
    for (const result of results) {
      assert.ok(result.status === 'failed', JSON.stringify(result));
      assert.equal(result.errorClass, 'unknown_outcome');
    }
    await assertGone(results.map(pidOf));
  });

  test('has executed where that ends soon after it, and what it printed counts', async () => {
    const result = await shell('(sleep 0.2; echo second) & echo first');
    assert.ok(result.status === 'succeeded', JSON.stringify(result));
    assert.equal((result.output as JsonObject)['stdout'], 'first\nsecond\n');
  });
});

describe('when the worker is killed', () => {
  const caller = fileURLToPath(new URL('./fixtures/caller.ts', import.meta.url));
  const run = (call: Call, connection: Connection): ChildProcess =>
    spawn(process.execPath, ['--import', 'tsx', caller, JSON.stringify({ call, connection })], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  const kill = async (worker: ChildProcess): Promise<void> => {
    const exited = once(worker, 'exit');
    worker.kill('SIGKILL');
    await exited;
  };

  test('an MCP server ends, which ends neither with its input nor by SIGTERM, and its launcher', async () => {
    const worker = run(tool('pids'), behindShell('STUBBORN'));
    assert.ok(worker.stdout !== null);
    const [line] = (await once(createInterface(worker.stdout), 'line')) as [string];
    const pids = pidsIn(JSON.parse(line) as ExecutorResult);
    await kill(worker);
    await assertGone(pids);
  });

  test('a stubborn command ends, and its children', async () => {
    const hanging = world.hanging();
    const call: Call = { kind: 'cli', connection: 'cli', args: ['hang', 'stubborn'], stdin: null };
    const worker = run(call, world.connections.cli);
    const pids = await hanging;
    await kill(worker);
    await assertGone(pids);
  });
});
