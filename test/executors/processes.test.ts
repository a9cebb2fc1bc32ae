// What is particular to commands and MCP servers.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { buildCall, closeExecutors, isExecutorAborted, runCall } from '../../src/executors/index.js';
import type { Call, ExecutorResult, RunContext } from '../../src/executors/types.js';
import type { Path, Template } from '../../src/engine/plan.js';
import {
  mostArgumentBytes,
  mostArgumentsBytes,
  mostEnvironmentBytes,
  passedBytes,
  toAssignment,
} from '../../src/model/command-line.js';
import type { JsonObject } from '../../src/model/values/json.js';
import type { CliConnection } from '../../src/executors/cli/types.js';
import type { Connection } from '../../src/model/policy-set.js';
import { contextWith, isGone, makeWorld, root, type World } from './world.js';

let world: World;
before(async () => {
  world = await makeWorld();
  process.env['SECRET_OF_WORKER'] = 'not for children';
});
after(async () => {
  await closeExecutors();
  await world.close();
});

const command = (args: readonly string[], stdin: string | null = null): Call => ({
  kind: 'cli',
  connection: 'cli',
  args,
  stdin,
});
const runCommand = (call: Call, more: Partial<RunContext> = {}): Promise<ExecutorResult> =>
  runCall(call, contextWith(world.connections.cli, more));
const tool = (name: string): Call => ({ kind: 'mcp', connection: 'tools', tool: name, arguments: {} });
const runTool = (
  name: string,
  over: 'stdio' | 'http',
  more: Partial<RunContext> = {},
): Promise<ExecutorResult> => runCall(tool(name), contextWith(world.connections[over], more));
const cliConnection = (): CliConnection => {
  const { cli } = world.connections;
  assert.ok(cli.kind === 'cli');
  return cli;
};
const output = (result: ExecutorResult): JsonObject => {
  assert.ok(result.status === 'succeeded', JSON.stringify(result));
  return result.output as JsonObject;
};

test('a command gets its arguments as they are, without a shell', async () => {
  const odd = ['a b', '$(id)', '; rm -rf /', '*', "'", ''];
  const given = output(await runCommand(command(['echo', ...odd])));
  assert.deepEqual((given['json'] as JsonObject)['rest'], odd);
  assert.equal(given['exitCode'], 0);
});

test('a command gets PATH and what is declared, and nothing of the worker', async () => {
  const given = output(await runCommand(command(['echo']), { idempotencyKey: 'k' }));
  const names = (given['json'] as JsonObject)['env'] as readonly string[];
  assert.deepEqual(
    names.filter((name) => name !== 'PATH'),
    ['HANG_URL', 'IDEMPOTENCY_KEY', 'TOKEN'],
  );
});

test('a command reads its stdin; output that is no JSON is text', async () => {
  const given = output(await runCommand(command(['stdin'], 'hello')));
  assert.deepEqual([given['stdout'], given['json']], ['hello', null]);
});

test('what its limits let through is really passed to a command, all of it together', async () => {
  const big = 'x'.repeat(mostArgumentBytes);
  // Of each kind as much as is taken: eight arguments of a call, two of its connection, and nearly 512 KiB of variables.
  const args = ['echo', ...Array.from({ length: 7 }, () => big), 'x'.repeat(120_000)];
  assert.ok(passedBytes(args) > 0.98 * mostArgumentsBytes && passedBytes(args) <= mostArgumentsBytes);
  const env = Object.fromEntries(
    Array.from({ length: 4 }, (_, at) => [`A${at}`, 'x'.repeat(mostArgumentBytes - 20)]),
  );
  assert.ok(passedBytes(Object.entries(env).map(toAssignment)) > 0.98 * mostEnvironmentBytes);
  const connection: Connection = { ...cliConnection(), env };
  const given = output(await runCall(command(args), contextWith(connection)));
  assert.equal(((given['json'] as JsonObject)['rest'] as readonly string[])[0]?.length, mostArgumentBytes);
});

test('what a reference holds and no system passes is told before anything is started', async () => {
  const secretsDirectory = mkdtempSync(join(tmpdir(), 'countersign-secrets-'));
  writeFileSync(join(secretsDirectory, 'odd'), 'a\0b');
  writeFileSync(join(secretsDirectory, 'large'), 'x'.repeat(60_000));
  const references = { env: { LONG: 'x'.repeat(mostArgumentBytes - 1) }, secretsDirectory };
  const many = Object.fromEntries(Array.from({ length: 9 }, (_, at) => [`A${at}`, 'secret://large']));
  const cases: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ A: 'env://LONG' }, /variable `A`, with what reference `env:\/\/LONG` holds, is 131072 bytes/],
    [
      { A: 'secret://odd' },
      /variable `A`, with what reference `secret:\/\/odd` holds, holds a NUL character/,
    ],
    [many, /its environment takes 540108 bytes, and 524288 are the most/],
  ];
  for (const [env, why] of cases)
    for (const [call, connection] of [
      [command(['echo']), { ...cliConnection(), env }],
      [tool('ok'), { kind: 'mcp', transport: { ...cliConnection(), kind: 'stdio', env } }],
    ] as const) {
      const result = await runCall(call, contextWith(connection, { references }));
      assert.ok(result.status === 'failed', JSON.stringify(env));
      assert.equal(result.errorClass, 'permanent');
      assert.match(result.message, why);
      assert.equal(result.effectPossible, undefined);
    }
  rmSync(secretsDirectory, { recursive: true });
});

test('a command that takes more than this system passes is told so, and what to do', async () => {
  for (const [call, connection] of [
    [command([...Array.from({ length: 40 }, () => 'x'.repeat(mostArgumentBytes))]), cliConnection()],
    [
      tool('ok'),
      {
        kind: 'mcp',
        transport: {
          ...cliConnection(),
          kind: 'stdio',
          args: Array.from({ length: 60 }, () => 'x'.repeat(mostArgumentBytes)),
        },
      },
    ],
  ] as const) {
    const result = await runCall(call, contextWith(connection));
    assert.ok(result.status === 'failed');
    assert.match(result.message, /could not be started \(E2BIG\); this system passes less .* send less/);
  }
});

test('an exit code that is not 0 is permanent and tells the end of stderr', async () => {
  const result = await runCommand(command(['leak']));
  assert.ok(result.status === 'failed');
  assert.equal(result.errorClass, 'permanent');
  assert.match(result.message, /code 4: no: \[redacted\]/);
});

test('a command or folder that is not there is permanent', async () => {
  const connection = {
    kind: 'cli',
    command: '/no/such/command',
    args: [],
    env: {},
    workingDirectory: null,
  } as const;
  for (const given of [
    connection,
    { ...connection, command: process.execPath, workingDirectory: 'no/such/folder' },
  ]) {
    const result = await runCall(command([]), contextWith(given));
    assert.ok(result.status === 'failed');
    assert.equal(result.errorClass, 'permanent');
  }
});

for (const mood of ['willing', 'stubborn']) {
  test(`a timeout ends a ${mood} command with its children`, async () => {
    const hanging = world.hanging();
    const result = runCommand(command(['hang', mood]), { timeoutMs: 1_500, idempotencyKey: 'k' });
    const pids = await hanging;
    const ended = await result;
    assert.ok(ended.status === 'failed');
    assert.equal(ended.errorClass, 'timeout');
    assert.equal(pids.length, 2);
    for (const pid of pids) assert.ok(await isGone(pid), `process ${pid} is still there`);
  });
}

test('an argument that is an object is refused; an optional one that is missing is left out', () => {
  const build = (args: readonly Template[]): ReturnType<typeof buildCall> =>
    buildCall(
      { kind: 'cli', connection: 'cli', args, stdin: null, idempotencyKey: false },
      { arguments: { o: {} }, context: {}, input: {} },
      'transition',
    );
  const at = (name: string, optional: boolean): Template => ({
    kind: 'path',
    scope: 'arguments',
    segments: [name],
    optional,
    text: `$.arguments.${name}`,
  });
  assert.equal(build([at('o', false)]).status, 'unresolved');
  const built = build([{ kind: 'literal', value: 'get' }, at('gone', true), { kind: 'literal', value: 3 }]);
  assert.ok(built.status === 'built' && built.call.kind === 'cli');
  assert.deepEqual(built.call.args, ['get', '3']);
});

test('without `map` a transition sends its arguments and an onEnter the input; `map` must be an object', () => {
  const scopes = { arguments: { a: 1 }, context: {}, input: { i: 1 } };
  const build = (map: Template | null, at: 'transition' | 'onEnter'): unknown => {
    const built = buildCall(
      { kind: 'mcp', connection: 'c', tool: 't', map, idempotencyKey: false },
      scopes,
      at,
    );
    return built.status === 'built' && built.call.kind === 'mcp' ? built.call.arguments : built.status;
  };
  assert.deepEqual(build(null, 'transition'), { a: 1 });
  assert.deepEqual(build(null, 'onEnter'), { i: 1 });
  assert.equal(build({ kind: 'literal', value: 'x' }, 'onEnter'), 'unresolved');
});

for (const over of ['stdio', 'http'] as const) {
  test(`an MCP result over ${over} is its structure, else JSON text, else its content`, async () => {
    assert.deepEqual(output(await runTool('structured', over)), { good: true });
    assert.equal(typeof output(await runTool('echo', over))['pid'], 'number');
    assert.deepEqual(output(await runTool('words', over)), {
      content: [{ type: 'text', text: 'plain words' }],
    });
  });

  test(`an unknown tool over ${over} is permanent`, async () => {
    const result = await runTool('no-such-tool', over);
    assert.ok(result.status === 'failed');
    assert.equal(result.errorClass, 'permanent');
  });
}

test('calls of one connection that follow one another share a server, and a new one is started when it dies', async () => {
  const first = output(await runTool('echo', 'stdio'))['pid'];
  assert.equal(output(await runTool('echo', 'stdio'))['pid'], first);
  const died = await runTool('die', 'stdio');
  assert.ok(died.status === 'failed');
  assert.equal(died.errorClass, 'unknown_outcome');
  const third = output(await runTool('echo', 'stdio'));
  assert.notEqual(third['pid'], first);
  assert.equal(third['home'], null, 'the environment of the worker leaked');
  await closeExecutors();
  assert.ok(await isGone(Number(third['pid'])));
});

test('calls of one connection at the same time have a server each: what one does to its server, the other does not hear of', async () => {
  const both = await Promise.all([runTool('echo', 'stdio'), runTool('echo', 'stdio')]);
  const [first, second] = both.map((result) => output(result)['pid']);
  assert.notEqual(first, second);
  const controller = new AbortController();
  const hanging = world.hanging();
  const hangs = runTool('hang', 'stdio', { signal: controller.signal });
  await hanging;
  for (const ends of ['die', 'flood']) assert.equal((await runTool(ends, 'stdio')).status, 'failed');
  // It is ended by nobody but its own caller.
  controller.abort();
  await assert.rejects(hangs, isExecutorAborted);
});

test('an MCP server that cannot be started is permanent, one that does not speak is a connection failure', async () => {
  const transport = {
    kind: 'stdio',
    command: 'no-such-command',
    args: [],
    env: {},
    workingDirectory: null,
  } as const;
  const missing = await runCall(tool('echo'), contextWith({ kind: 'mcp', transport }));
  const mute = await runCall(
    tool('echo'),
    contextWith({ kind: 'mcp', transport: { ...transport, command: 'false' } }),
  );
  assert.deepEqual(
    [missing, mute].map((result) => result.status === 'failed' && result.errorClass),
    ['permanent', 'connection'],
  );
});

test('over HTTP, a refused credential, a busy server, a redirect and a broken answer are told apart', async () => {
  const classOf = (result: ExecutorResult): string =>
    result.status === 'failed' ? result.errorClass : result.status;
  assert.equal(
    classOf(
      await runTool('echo', 'http', {
        references: { env: { TEST_TOKEN: 'wrong-one' }, secretsDirectory: null },
      }),
    ),
    'auth',
  );
  const busy = await runTool('busy', 'http');
  assert.ok(busy.status === 'failed');
  assert.deepEqual([busy.errorClass, busy.retryAfterMs], ['transient', 3000]);
  assert.equal(classOf(await runTool('moved', 'http')), 'permanent');
  assert.equal(classOf(await runTool('cut', 'http')), 'unknown_outcome');
  assert.equal(classOf(await runTool('cut', 'http', { idempotencyKey: 'k' })), 'connection');
});

test('over HTTP, a private address is refused where the connection does not allow it', async () => {
  const transport = { kind: 'http', url: `${world.url}/mcp`, allowPrivate: false, headers: {} } as const;
  const result = await runCall(
    tool('echo'),
    contextWith({ kind: 'mcp', transport }, { baseDirectory: root }),
  );
  assert.ok(result.status === 'failed');
  assert.equal(result.errorClass, 'permanent');
  assert.match(result.message, /allowPrivate/);
});

describe('a value that begins with a dash', () => {
  const value = (name: string): Path => ({
    ...{ kind: 'path', scope: 'arguments', segments: [name], optional: false },
    text: `$.arguments.${name}`,
  });
  const literal = (text: string): Template => ({ kind: 'literal', value: text });
  const built = (args: readonly Template[], allowDashes?: true): ReturnType<typeof buildCall> =>
    buildCall(
      {
        ...{ kind: 'cli', connection: 'cli', args, stdin: null, idempotencyKey: false },
        ...(allowDashes === undefined ? {} : { allowDashes }),
      },
      { arguments: { name: '--all', n: -5, plain: 'x-y', end: '--' }, context: {}, input: {} },
      'transition',
    );

  test('is refused, a negative number and a bare `--` too', () => {
    for (const args of [
      [value('name')],
      [value('n')],
      [literal('-f'), value('name')],
      [value('end'), value('name')],
      [value('plain'), value('name'), literal('--')],
    ]) {
      const found = built(args);
      assert.ok(found.status === 'unresolved', JSON.stringify(found));
      assert.match(found.message, /begins with `-`.*allowDashes/);
    }
  });

  test('is taken behind a `--` of the author’s, where the tool allows it, and as the author’s own', () => {
    for (const found of [
      built([literal('--'), value('name')]),
      built([value('name'), value('n')], true),
      built([literal('--all'), value('plain')]),
    ])
      assert.equal(found.status, 'built', JSON.stringify(found));
  });
});

describe('a command', () => {
  const ran = (script: string, more: Partial<RunContext> = {}): Promise<ExecutorResult> =>
    runCall(
      { kind: 'cli', connection: 'cli', args: [], stdin: null },
      contextWith(
        { kind: 'cli', command: '/bin/sh', args: ['-c', script], env: {}, workingDirectory: null },
        more,
      ),
    );

  test('whose output is not UTF-8 is a failure that says so, and no other text is read instead', async () => {
    for (const [more, errorClass] of [
      [{}, 'unknown_outcome'],
      [{ idempotencyKey: 'k' }, 'unknown_outcome'],
      [{ hasEffect: false }, 'permanent'],
    ] as const) {
      const said = await ran(`printf '{"id":"\\374"}'`, more);
      assert.ok(said.status === 'failed' && said.errorClass === errorClass, JSON.stringify(said));
      assert.match(said.message, /standard output is not UTF-8/);
    }
  });

  test('whose output begins with a byte order mark, in UTF-16 too, is read; its standard error may be anything', async () => {
    for (const bytes of [`\\357\\273\\277{"a":1}`, `\\377\\376{\\000"\\000a\\000"\\000:\\0001\\000}\\000`])
      assert.deepEqual(output(await ran(`printf '${bytes}'; printf '\\374' >&2`))['json'], { a: 1 });
  });

  test('that a shell or `timeout` says was ended has an unknown outcome, as one that a signal ended', async () => {
    // As docs/executors.md has it for `ssh`, whose connection may be lost after sending.
    const lost = '(exit 255) || { code=$?; [ $code -eq 255 ] && exit 124; exit $code; }';
    for (const script of ['sh -c "kill -9 $$"; exit 137', 'exit 143', 'exit 124', 'kill -9 $$', lost])
      for (const [more, errorClass, effectPossible] of [
        [{}, 'unknown_outcome', true],
        [{ idempotencyKey: 'k' }, 'permanent', true],
        [{ hasEffect: false }, 'permanent', false],
      ] as const) {
        const said = await ran(script.replace('kill -9 $$"', 'kill -9 \\$\\$"'), more);
        assert.ok(said.status === 'failed', script);
        assert.deepEqual([said.errorClass, said.effectPossible], [errorClass, effectPossible], said.message);
      }
    for (const code of [1, 2, 123, 125, 126, 127, 128, 255]) {
      const said = await ran(`exit ${code}`);
      assert.ok(said.status === 'failed' && said.errorClass === 'permanent', JSON.stringify(said));
      assert.equal(said.effectPossible, undefined);
    }
  });
});
