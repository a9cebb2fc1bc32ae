// Mostly waits: for what every kind of call does at its time-out.
// What every driver promises, tried on each of them.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  buildCall,
  closeExecutors,
  describeCall,
  isExecutorAborted,
  runCall,
} from '../../src/executors/index.js';
import type { Call, ExecutorResult, RunContext } from '../../src/executors/types.js';
import type { Executor, Path } from '../../src/engine/plan.js';
import { contextWith, makeWorld, token, type World } from './world.js';

const missing: Path = {
  kind: 'path',
  scope: 'arguments',
  segments: ['nope'],
  optional: false,
  text: '$.arguments.nope',
};
const scopes = { arguments: {}, context: {}, input: {} };
const key = 'run_1:pay:sha256:0:0';

interface Driver {
  readonly name: 'rest' | 'cli' | 'stdio' | 'http';
  readonly evidence: string;
  call(what: 'echo' | 'hang' | 'big' | 'leak'): Call;
  readonly unresolved: Executor;
  keyIn(output: unknown): unknown;
}

const mcpDriver = (name: 'stdio' | 'http'): Driver => ({
  name,
  evidence: 'mcp_tool_result',
  call: (what) => ({ kind: 'mcp', connection: name, tool: what, arguments: { n: 1 } }),
  unresolved: {
    kind: 'mcp',
    connection: name,
    tool: 'echo',
    map: { kind: 'object', entries: [{ key: 'a', value: missing }] },
    idempotencyKey: false,
  },
  keyIn: (output) => (output as { _idempotencyKey: unknown })._idempotencyKey,
});

const drivers: readonly Driver[] = [
  {
    name: 'rest',
    evidence: 'rest_call',
    call: (what) => ({
      kind: 'rest',
      connection: 'rest',
      method: 'POST',
      path: `/${what}`,
      writtenPath: '/{$.arguments.what}',
      query: [],
      headers: [],
      body: { n: 1 },
    }),
    unresolved: {
      kind: 'rest',
      connection: 'rest',
      method: 'POST',
      path: { kind: 'text', parts: ['/a'] },
      query: [],
      headers: [],
      body: missing,
      idempotencyKey: false,
    },
    keyIn: (output) => (output as { key: unknown }).key,
  },
  {
    name: 'cli',
    evidence: 'cli_output',
    call: (what) => ({ kind: 'cli', connection: 'cli', args: [what], stdin: null }),
    unresolved: { kind: 'cli', connection: 'cli', args: [missing], stdin: null, idempotencyKey: false },
    keyIn: (output) => (output as { json: { key: unknown } }).json.key,
  },
  mcpDriver('stdio'),
  mcpDriver('http'),
];

let world: World;
before(async () => {
  world = await makeWorld();
});
after(async () => {
  await closeExecutors();
  await world.close();
});

for (const driver of drivers) {
  const run = (
    what: 'echo' | 'hang' | 'big' | 'leak',
    more: Partial<RunContext> = {},
  ): Promise<ExecutorResult> => runCall(driver.call(what), contextWith(world.connections[driver.name], more));
  const failed = async (
    result: Promise<ExecutorResult>,
  ): Promise<Extract<ExecutorResult, { status: 'failed' }>> => {
    const given = await result;
    assert.ok(given.status === 'failed', `it succeeded: ${JSON.stringify(given)}`);
    return given;
  };

  describe(`the ${driver.name} driver`, () => {
    test('gives the output and its kind of evidence', async () => {
      const result = await run('echo');
      assert.ok(result.status === 'succeeded', JSON.stringify(result));
      assert.deepEqual(result.evidence, [driver.evidence]);
      assert.notEqual(result.output, null);
    });

    test('passes the idempotency key, and none where there is none', async () => {
      const withKey = await run('echo', { idempotencyKey: key });
      const without = await run('echo');
      assert.ok(withKey.status === 'succeeded' && without.status === 'succeeded');
      assert.equal(driver.keyIn(withKey.output), key);
      assert.equal(driver.keyIn(without.output) ?? null, null);
    });

    test('does not build a call whose path does not resolve, and names the path', () => {
      const built = buildCall(driver.unresolved, scopes, 'transition');
      assert.ok(built.status === 'unresolved');
      assert.equal(built.path, '$.arguments.nope');
      assert.match(built.message, /`\$\.arguments\.nope`/);
    });

    test('a timeout is `timeout` with a key or without an effect, and an unknown outcome otherwise', async () => {
      // Started already, so that the time is spent in the call.
      await run('echo');
      const timeoutMs = 700;
      assert.equal((await failed(run('hang', { timeoutMs, idempotencyKey: key }))).errorClass, 'timeout');
      await run('echo');
      assert.equal((await failed(run('hang', { timeoutMs, hasEffect: false }))).errorClass, 'timeout');
      await run('echo');
      assert.equal((await failed(run('hang', { timeoutMs }))).errorClass, 'unknown_outcome');
    });

    for (const [idempotencyKey, unknownOutcome] of [
      [null, true],
      [key, false],
    ] as const) {
      test(`an abort rejects, and says ${unknownOutcome ? 'that the outcome is unknown' : 'that a key makes it safe'}`, async () => {
        const controller = new AbortController();
        const hanging = world.hanging();
        const result = run('hang', { signal: controller.signal, idempotencyKey });
        await hanging;
        controller.abort();
        await assert.rejects(
          result,
          (error) => isExecutorAborted(error) && error.unknownOutcome === unknownOutcome,
        );
      });
    }

    test('an abort before the start sends nothing', async () => {
      await assert.rejects(
        run('echo', { signal: AbortSignal.abort() }),
        (error) => isExecutorAborted(error) && !error.unknownOutcome,
      );
    });

    test('an oversized output fails the call, for a person to look at where it may have had its effect', async () => {
      assert.equal((await failed(run('big', { hasEffect: false }))).errorClass, 'permanent');
      assert.equal((await failed(run('big', { idempotencyKey: key }))).errorClass, 'unknown_outcome');
      assert.equal((await failed(run('big'))).errorClass, 'unknown_outcome');
    });

    test('a failure never shows a secret that the target echoes', async () => {
      const result = await failed(run('leak'));
      assert.equal(result.errorClass, 'permanent');
      assert.ok(!JSON.stringify(result).includes(token), JSON.stringify(result));
      assert.ok(JSON.stringify(result).includes('[redacted]'));
    });

    test('a reference without a value fails the call and names it', async () => {
      const references = { env: {}, secretsDirectory: null };
      const result = await failed(run('echo', { references }));
      assert.equal(result.errorClass, 'permanent');
      assert.match(result.message, /`env:\/\/TEST_TOKEN`/);
    });

    test('a connection of another kind, or none, fails the call', async () => {
      const other = world.connections[driver.name === 'rest' ? 'cli' : 'rest'];
      for (const connection of [other, null]) {
        assert.equal((await failed(run('echo', { connection }))).errorClass, 'permanent');
      }
    });

    test('the preview shows the call and no secret', () => {
      const shown = JSON.stringify(describeCall(driver.call('echo')));
      assert.match(shown, /echo/);
      assert.ok(!shown.includes(token));
    });
  });
}

test('noop answers what its definition says', async () => {
  const built = buildCall({ kind: 'noop', output: { a: [1] } }, scopes, 'onEnter');
  assert.ok(built.status === 'built');
  assert.deepEqual(await runCall(built.call, contextWith(null)), {
    status: 'succeeded',
    output: { a: [1] },
    response: { a: [1] },
    evidence: [],
  });
});
