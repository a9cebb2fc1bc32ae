// Mostly waits: for processes that do not end by themselves to be ended.
// What a connection starts ends with its call, its connection and its worker, and with it whatever it has started itself.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { closeExecutors, isExecutorAborted, runCall } from '../../src/executors/index.js';
import type { Call, ExecutorResult, RunContext } from '../../src/executors/types.js';
import type { JsonObject } from '../../src/model/values/json.js';
import type { Connection } from '../../src/model/policy-set.js';
import { programArgs } from '../../testing/programs.js';
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
const { HELPED, HELD, STUBBORN } = process.env;
if (STUBBORN) {
  process.on('SIGTERM', () => undefined);
  setInterval(() => undefined, 1000);
}
const stdio = ['ignore', HELD ? 'inherit' : 'ignore', 'ignore'];
const helper = HELPED || HELD ? require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio }) : null;
helper?.unref();
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  const say = (result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
  if (method === 'initialize') say({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } });
  else if (method === 'tools/call' && params.name === 'pids') say({ content: [], structuredContent: { pids: [process.ppid, process.pid, ...(helper ? [helper.pid] : [])] } });
  else if (method === 'tools/call' && params.name === 'flood') process.stdout.write('x'.repeat(5e6));
  else if (method === 'tools/call' && params.name === 'exit') process.exit(1);
  else if (method === 'tools/call' && params.name === 'last') {
    say({ content: [], structuredContent: { done: true } });
    process.exit(0);
  }
});`;
/** As `npx` does it: the server is a child of the command. Stubborn: it ends neither with its input nor by SIGTERM. */
const behindShell = (mood: 'STUBBORN' | 'HELPED' | 'HELD'): Connection => ({
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

describe('an MCP server whose helper holds its output open', () => {
  test('has ended when it exits: the call is told so, and waits for no time-out', async () => {
    const pids = await start(behindShell('HELD'));
    const said = await runCall(tool('exit'), contextWith(behindShell('HELD'), { hasEffect: false }));
    assert.ok(said.status === 'failed', JSON.stringify(said));
    assert.equal(said.errorClass, 'connection');
    assert.match(said.message, /its server ended/);
    await assertGone(pids);
  });

  test('is heard to its end: what it answered before it exited counts', async () => {
    const pids = await start(behindShell('HELD'));
    const said = await runCall(tool('last'), contextWith(behindShell('HELD')));
    assert.ok(said.status === 'succeeded', JSON.stringify(said));
    assert.deepEqual(said.output, { done: true });
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
  /** `timeout` makes a process group of its own; it has moved there when this says its process id. */
  const untilMoved = 'while [ "$(cut -d " " -f 5 /proc/$!/stat)" != $! ]; do :; done; echo $!';
  const left: readonly (readonly [string, string])[] = [
    ['and holds its output', 'sleep 300 & echo $!'],
    ['and holds nothing of it', 'sleep 300 >/dev/null 2>&1 & echo $!'],
    ['and does not end by SIGTERM', '(trap "" TERM; sleep 300; sleep 300) >/dev/null 2>&1 & echo $!'],
    ['though the command failed', 'sleep 300 & echo $!; exit 3'],
    ['in another process group', `timeout 300 sleep 300 & ${untilMoved}`],
    ['in another process group, and holds nothing', `timeout 300 sleep 300 >/dev/null 2>&1 & ${untilMoved}`],
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

  test('is waited for without reading again and again who is not of it, however many such commands there are', async (t) => {
    const read = t.mock.method(fs, 'readFileSync');
    syncBuiltinESMExports();
    t.after(() => syncBuiltinESMExports());
    const since = performance.now();
    const results = await Promise.all(Array.from({ length: 5 }, () => shell('sleep 300 & echo $!')));
    const seconds = (performance.now() - since) / 1_000;
    const readings = read.mock.calls.filter((call) => call.arguments[0] === '/proc/1/stat').length;
    assert.ok(readings >= 1 && readings <= seconds + 1, `${readings} in ${seconds} s`);
    await assertGone(results.map(pidOf));
  });

  test('has executed where that ends soon after it, and what it printed counts', async () => {
    const result = await shell('(sleep 0.2; echo second) & echo first');
    assert.ok(result.status === 'succeeded', JSON.stringify(result));
    assert.equal((result.output as JsonObject)['stdout'], 'first\nsecond\n');
  });
});

/** Behind a shell and `timeout`, which makes a process group of its own, a command that hangs. */
const behindTimeout = (mood: string): Connection => {
  const { cli } = world.connections;
  assert.ok(cli.kind === 'cli');
  const env = { ...cli.env, NODE: process.execPath, COMMAND: cli.args[0] ?? '' };
  const script = `timeout 300 "$NODE" "$COMMAND" hang ${mood}; true`;
  return { ...cli, command: '/bin/sh', args: ['-c', script], env };
};
const command: Call = { kind: 'cli', connection: 'c', args: [], stdin: null };

describe('at a time-out, what a command has started', () => {
  test('is over in other process groups too, before anybody makes the call again under its key', async () => {
    const hanging = world.hanging();
    const calling = runCall(
      command,
      contextWith(behindTimeout('willing'), { timeoutMs: 3_000, idempotencyKey: 'k' }),
    );
    const pids = await hanging;
    const result = await calling;
    assert.ok(result.status === 'failed', JSON.stringify(result));
    assert.equal(result.errorClass, 'timeout');
    await assertGone(pids);
  });

  test('has its time to tidy up, though the command itself ends at once', async () => {
    const directory = fs.mkdtempSync(join(tmpdir(), 'countersign-tidy-'));
    const file = join(directory, 'tidied');
    const controller = new AbortController();
    const hanging = world.hanging();
    const calling = runCall(
      command,
      contextWith(behindTimeout(`tidy ${file}`), { signal: controller.signal }),
    );
    await hanging;
    controller.abort();
    await assert.rejects(calling, isExecutorAborted);
    assert.equal(fs.readFileSync(file, 'utf8'), 'tidied');
    fs.rmSync(directory, { recursive: true });
  });

  test('may be another user’s, whom nobody here can end: that is an unknown outcome, and not tried again', async (t) => {
    const hanging = world.hanging();
    const calling = runCall(
      command,
      contextWith(behindTimeout('willing'), { timeoutMs: 3_000, idempotencyKey: 'k' }),
    );
    const pids = await hanging;
    const { kill } = process;
    const refuses = t.mock.method(process, 'kill', (pid: number, signal?: string | number) => {
      if (pid < 0 && signal !== 0) throw Object.assign(new Error('not permitted'), { code: 'EPERM' });
      return kill.call(process, pid, signal);
    });
    const result = await calling;
    refuses.mock.restore();
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    assert.ok(result.status === 'failed', JSON.stringify(result));
    assert.equal(result.errorClass, 'unknown_outcome');
    assert.match(result.message, /did not answer within 3000 ms and could not be ended/);
    await assertGone(pids);
  });
});

describe('when the worker is killed', () => {
  const run = (call: Call, connection: Connection): ChildProcess =>
    spawn(
      process.execPath,
      [...programArgs('test/executors/fixtures/caller.ts'), JSON.stringify({ call, connection })],
      {
        cwd: root,
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
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

  test('a stubborn command ends in another process group too', async () => {
    const hanging = world.hanging();
    const worker = run(command, behindTimeout('stubborn'));
    const pids = await hanging;
    await kill(worker);
    await assertGone(pids);
  });
});
