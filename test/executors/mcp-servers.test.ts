// What MCP servers do that the protocol permits, or that many of them do all the same: none of it ends an approved action,
// and what cannot be used says why.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { closeExecutors, runCall } from '../../src/executors/index.js';
import type { Call, ExecutorResult, RunContext } from '../../src/executors/types.js';
import type { Json, JsonObject } from '../../src/model/values/json.js';
import type { Connection } from '../../src/model/policy-set.js';
import { makeTarget, type Target, type TargetAnswer } from '../activities/execute/target.js';
import { contextWith, mcpServer } from './world.js';

let target: Target;
before(async () => {
  target = await makeTarget();
});
after(async () => {
  await closeExecutors();
  await target.close();
});

type Answer = Exclude<TargetAnswer, number | string>;
type Failed = Extract<ExecutorResult, { status: 'failed' }>;
const call: Call = { kind: 'mcp', connection: 'c', tool: 't', arguments: { a: 1 } };
const fine: JsonObject = {
  ...{ protocolVersion: '2025-06-18', capabilities: { tools: {} } },
  serverInfo: { name: 's', version: '1' },
};
const result = (of: Json, headers = {}): Answer => ({
  headers,
  body: (id) => JSON.stringify({ jsonrpc: '2.0', id, result: of }),
});
const good = { content: [], structuredContent: { ok: true } };
const opened = (session?: string): readonly TargetAnswer[] => [
  result(fine, session === undefined ? {} : { 'mcp-session-id': session }),
  202,
];
const overHttp = (says: readonly TargetAnswer[], more: Partial<RunContext> = {}): Promise<ExecutorResult> => {
  target.say(...says);
  const url = `${target.url}/mcp`;
  const transport = { kind: 'http', url, allowPrivate: true, headers: {} } as const;
  return runCall(call, contextWith({ kind: 'mcp', transport }, more));
};

/** Answers `initialize` and a call with what its environment says, in bytes. */
const script = `
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method } = JSON.parse(line);
  const say = (hex) => process.stdout.write(Buffer.concat([Buffer.from(Buffer.from(hex, 'hex').toString('latin1').replace('<id>', id), 'latin1'), Buffer.from('\\n')]));
  if (method === 'initialize') say(process.env.OPENS);
  if (method === 'tools/list') say(process.env.LISTS);
  if (method === 'tools/call') say(process.env.SAYS);
});`;
const message = (of: Json): Buffer =>
  Buffer.from(`{"jsonrpc":"2.0","id":<id>,"result":${JSON.stringify(of)}}`);
interface Says {
  readonly opens?: Json;
  readonly lists?: Json;
  readonly says?: Buffer;
}
const overStdio = (
  { opens = fine, lists = { tools: [] }, says = message(good) }: Says,
  more: Partial<RunContext> = {},
): Promise<ExecutorResult> => {
  const env = {
    OPENS: message(opens).toString('hex'),
    LISTS: message(lists).toString('hex'),
    SAYS: says.toString('hex'),
  };
  return runCall(call, contextWith(mcpServer(script, env), more));
};

async function outputOf(given: Promise<ExecutorResult>): Promise<Json> {
  const found = await given;
  assert.ok(found.status === 'succeeded', JSON.stringify(found));
  return found.output;
}
async function failed(given: Promise<ExecutorResult>): Promise<Failed> {
  const found = await given;
  assert.ok(found.status === 'failed', JSON.stringify(found));
  return found;
}

describe('a session that its server has ended', () => {
  const gone: readonly (readonly [string, Answer])[] = [
    [
      '404',
      {
        status: 404,
        body: '{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}',
      },
    ],
    ['404 without a word', { status: 404, body: '' }],
    [
      '400 that names it',
      {
        status: 400,
        body: '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"Bad Request: No valid session ID provided"}}',
      },
    ],
  ];
  for (const [how, lost] of gone) {
    test(`is begun anew, and the call is made in the new one: ${how}`, async () => {
      const says = [...opened('one'), lost, ...opened('two'), result(good)];
      assert.deepEqual(await outputOf(overHttp(says)), { ok: true });
      const sessions = target.requests.map(({ headers }) => headers['mcp-session-id'] ?? null);
      assert.deepEqual(sessions, [null, 'one', 'one', null, 'two', 'two']);
    });

    test(`is begun anew where it was gone before the tools were listed: ${how}`, async () => {
      const lists = result({ tools: [] });
      const says = [...opened('one'), lost, ...opened('two'), lists, result(good)];
      assert.deepEqual(await outputOf(overHttp(says, { idempotencyKey: 'k' })), { ok: true });
    });
  }

  test('twice is a lost connection, and the call was not taken', async () => {
    const lost = { status: 404, body: '' };
    const said = await failed(overHttp([...opened('one'), lost, ...opened('two'), lost]));
    assert.deepEqual([said.errorClass, said.effectPossible], ['connection', undefined]);
    assert.match(said.message, /answered 404 in two sessions.*has not taken the call/);
  });

  test('is none where there was no session: 404 is a refusal', async () => {
    const said = await failed(overHttp([...opened(), { status: 404, body: '' }]));
    assert.equal(said.errorClass, 'permanent');
    assert.equal(target.requests.length, 3);
  });

  test('is none where the server refuses the call itself, and its words are told', async () => {
    const refusal = {
      status: 400,
      body: (id: Json) =>
        JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32602, message: 'amount is missing' } }),
    };
    const said = await failed(overHttp([...opened('one'), refusal]));
    assert.equal(said.errorClass, 'permanent');
    assert.match(said.message, /it answered 400: amount is missing/);
    assert.equal(target.requests.length, 3);
  });
});

describe('what fails before the call', () => {
  const error = { code: -32603, message: 'the licence has run out' };

  test('is `permanent` with the words of a server over standard streams that refuses `initialize`', async () => {
    const script = `require('node:readline').createInterface({ input: process.stdin }).on('line', (line) =>
      console.log(JSON.stringify({ jsonrpc: '2.0', id: JSON.parse(line).id, error: ${JSON.stringify(error)} })));`;
    const transport = {
      kind: 'stdio',
      command: process.execPath,
      args: ['-e', script],
      env: {},
      workingDirectory: null,
    } as const;
    const said = await failed(runCall(call, contextWith({ kind: 'mcp', transport })));
    assert.deepEqual([said.errorClass, said.effectPossible], ['permanent', undefined]);
    assert.match(said.message, /refused `initialize`: .*the licence has run out; nothing was sent$/);
  });

  const answers: readonly (readonly [string, TargetAnswer])[] = [
    ['400', { status: 400, body: 'no' }],
    ['401', { status: 401, body: '' }],
    ['307', { status: 307, headers: { location: '/other' }, body: '' }],
    ['a page', { headers: { 'content-type': 'text/html' }, body: '<h1>hello</h1>' }],
    ['an error', { body: (id) => JSON.stringify({ jsonrpc: '2.0', id, error }) }],
  ];
  for (const [what, answer] of answers)
    test(`says that nothing was sent, over HTTP: ${what} at \`initialize\``, async () => {
      const said = await failed(overHttp([answer]));
      assert.notEqual(said.errorClass, 'unknown_outcome');
      assert.equal(said.effectPossible, undefined);
      assert.match(said.message, /; nothing was sent$/);
    });
});

describe('a server over standard streams that reads no more', () => {
  /** Serves `calls` calls, and closes its input then, without ending. */
  const serving = (calls: number, more: Record<string, string> = {}): Connection => {
    const script = `
    let left = Number(process.env.CALLS);
    setInterval(() => undefined, 1000);
    const close = () => { process.stdin.destroy(); try { require('node:fs').closeSync(0); } catch {} };
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const { id, method, params } = JSON.parse(line);
      const say = (result) => console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
      if (method === 'initialize') say({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } });
      if (method === 'notifications/initialized' && left === 0) close();
      if (method !== 'tools/call') return;
      left -= 1;
      if (left <= 0) close();
      say({ content: [], structuredContent: { pid: process.pid } });
    });`;
    const env = { CALLS: String(calls), ...more };
    return {
      kind: 'mcp',
      transport: {
        kind: 'stdio',
        command: process.execPath,
        args: ['-e', script],
        env,
        workingDirectory: null,
      },
    };
  };

  test('is not used again: another one is started, and does the call', async () => {
    const pids = [];
    for (let time = 0; time < 2; time += 1)
      pids.push(((await outputOf(runCall(call, contextWith(serving(1))))) as JsonObject)['pid']);
    assert.notEqual(pids[0], pids[1]);
  });
});

describe('null for what is left out', () => {
  const results: readonly JsonObject[] = [
    { ...good, isError: null, _meta: null },
    { content: null, structuredContent: { ok: true } },
    { content: [{ type: 'text', text: '{"ok":true}' }], structuredContent: null, isError: null },
  ];
  for (const answer of results)
    test(`is read in a result: ${JSON.stringify(answer)}`, async () => {
      for (const more of [{}, { idempotencyKey: 'k' }]) {
        const lists = 'idempotencyKey' in more ? [result({ tools: [] })] : [];
        const says = [...opened(), ...lists, result(answer)];
        assert.deepEqual(await outputOf(overHttp(says, more)), { ok: true });
        assert.deepEqual(await outputOf(overStdio({ says: message(answer) }, more)), { ok: true });
      }
    });

  for (const nextCursor of [null, ''])
    test(`is read as the end of the tools: ${JSON.stringify(nextCursor)}`, async () => {
      const lists = { tools: [{ name: 'other', inputSchema: {} }], nextCursor, _meta: null };
      const more = { idempotencyKey: 'k' };
      assert.deepEqual(await outputOf(overHttp([...opened(), result(lists), result(good)], more)), {
        ok: true,
      });
      assert.deepEqual(await outputOf(overStdio({ lists }, more)), { ok: true });
    });

  const openings: readonly JsonObject[] = [
    { ...fine, instructions: null, _meta: null },
    { ...fine, capabilities: { tools: { listChanged: null }, prompts: null, logging: null } },
    { ...fine, serverInfo: { name: 's', version: '1', title: null } },
    { ...fine, serverInfo: { name: 's' } },
    { protocolVersion: '2025-06-18', capabilities: null, serverInfo: null },
  ];
  for (const opens of openings)
    test(`is read in what opens a session: ${JSON.stringify(opens)}`, async () => {
      assert.deepEqual(await outputOf(overHttp([result(opens), 202, result(good)])), { ok: true });
      assert.deepEqual(await outputOf(overStdio({ opens })), { ok: true });
    });
});

describe('a server that cannot be used', () => {
  const openings: readonly (readonly [JsonObject, RegExp])[] = [
    [{ ...fine, protocolVersion: '2031-01-01' }, /speaks version `2031-01-01` of MCP/],
    [{ ...fine, protocolVersion: 7 }, /answered to `initialize` is none of what it may answer/],
    [{ ...fine, capabilities: 'all' }, /answered to `initialize` is none of what it may answer/],
    [{}, /answered to `initialize` is none of what it may answer/],
  ];
  for (const [opens, says] of openings)
    test(`says why, and is not asked again: ${JSON.stringify(opens)}`, async () => {
      for (const said of [await failed(overHttp([result(opens)])), await failed(overStdio({ opens }))]) {
        assert.deepEqual([said.errorClass, said.effectPossible], ['permanent', undefined]);
        assert.match(said.message, says);
        assert.match(said.message, /nothing was sent/);
      }
    });
});

describe('the words of a server', () => {
  test('are told where an error has only a structure', async () => {
    const answer = { isError: true, content: [], structuredContent: { reason: 'account is closed' } };
    for (const said of [
      await failed(overHttp([...opened(), result(answer)])),
      await failed(overStdio({ says: message(answer) })),
    ]) {
      assert.equal(said.errorClass, 'permanent');
      assert.match(said.message, /failed: \{"reason":"account is closed"\}/);
    }
  });

  test('are told of an error whose id is null, which in a stream may be about something else', async () => {
    const error = '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"cannot parse that"}}';
    const headers = { 'content-type': 'text/event-stream' };
    const alone = await failed(overHttp([...opened(), { body: error }]));
    assert.equal(alone.errorClass, 'permanent');
    assert.match(alone.message, /refused by its server: .*cannot parse that/);
    const streamed = await failed(overHttp([...opened(), { headers, body: `data: ${error}\n\n` }]));
    assert.equal(streamed.errorClass, 'unknown_outcome');
    assert.match(streamed.message, /may be about another message: .*cannot parse that/);
  });
});

test('a result over stdio that is not UTF-8 is not read as another one', async () => {
  const says = Buffer.from(
    '{"jsonrpc":"2.0","id":<id>,"result":{"content":[{"type":"text","text":"\u00fc"}]}}',
    'latin1',
  );
  for (const [more, errorClass] of [
    [{}, 'unknown_outcome'],
    [{ idempotencyKey: 'k' }, 'unknown_outcome'],
    [{ hasEffect: false }, 'permanent'],
  ] as const) {
    const said = await failed(overStdio({ says }, more));
    assert.equal(said.errorClass, errorClass);
    assert.match(said.message, /not UTF-8/);
  }
});

describe('what a server over standard streams writes to its standard error', () => {
  /** Logs each call at once, or only when the next one comes; ends where the arguments say so. */
  const logging = (when: 'at once' | 'late'): Connection => ({
    kind: 'mcp',
    transport: {
      ...{ kind: 'stdio', command: process.execPath, env: { WHEN: when }, workingDirectory: null },
      args: [
        '-e',
        `
let late = '';
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  const say = (result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
  if (method === 'initialize') say(${JSON.stringify(fine)});
  if (method !== 'tools/call') return;
  const log = 'handling ' + JSON.stringify(params.arguments) + '\\n';
  const now = process.env.WHEN === 'late' ? late : log;
  late = log;
  if (params.arguments.end) process.stderr.write(now, () => process.exit(3));
  else process.stderr.write(now, () => say({ content: [] }));
});`,
      ],
    },
  });
  const made = (args: JsonObject, connection: Connection): Promise<ExecutorResult> =>
    runCall({ ...call, arguments: args }, contextWith(connection));

  for (const when of ['at once', 'late'] as const)
    test(`is told to nobody once it has served two calls: it logs ${when}`, async () => {
      const connection = logging(when);
      assert.equal((await made({ salary: 91_000 }, connection)).status, 'succeeded');
      const { message, errorClass } = await failed(made({ end: true }, connection));
      assert.equal(errorClass, 'unknown_outcome');
      assert.doesNotMatch(message, /91000|salary|handling/);
      assert.match(message, /its server ended: what it wrote to its standard error is not told, since/);
    });

  test('is told to the one call that it has served', async () => {
    const { message } = await failed(made({ end: true, own: 4711 }, logging('at once')));
    assert.match(message, /its server ended: handling {"end":true,"own":4711}; whether/);
  });
});
