// What targets answer, over every kind of connection: numbers as they wrote them, nothing of our secrets, and every body
// that can be read.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { root } from '../../../src/executors/answer/places.js';
import { closeExecutors, pointerOf, runCall } from '../../../src/executors/index.js';
import type { Call, ExecutorResult, RunContext } from '../../../src/executors/types.js';
import type { Json, JsonObject } from '../../../src/model/values/json.js';
import type { Connection } from '../../../src/model/policy-set.js';
import { makeTarget, type Target, type TargetAnswer } from '../../activities/execute/target.js';
import { contextWith, token } from '../world.js';

let target: Target;
before(async () => {
  target = await makeTarget();
});
after(async () => {
  await closeExecutors();
  await target.close();
});

const restCall: Call = {
  ...{ kind: 'rest', connection: 'c', method: 'POST', path: '/', writtenPath: '/' },
  ...{ query: [], headers: [], body: undefined },
};
const rest = (headers: Record<string, string> = {}): Connection => ({
  kind: 'rest',
  baseUrl: target.url,
  allowPrivate: true,
  headers,
});
const ask = (answer: TargetAnswer, more: Partial<RunContext> = {}): Promise<ExecutorResult> => {
  target.say(answer);
  return runCall(restCall, contextWith(rest(), more));
};
async function succeeded(
  result: Promise<ExecutorResult>,
): Promise<Extract<ExecutorResult, { status: 'succeeded' }>> {
  const found = await result;
  assert.ok(found.status === 'succeeded', JSON.stringify(found));
  return found;
}

/** A command that prints, and an MCP server over stdio that answers a call with, what its environment says. */
const printed = (text: string, env: Record<string, string> = {}): Promise<ExecutorResult> =>
  runCall(
    { kind: 'cli', connection: 'c', args: [], stdin: null },
    contextWith({
      ...{ kind: 'cli', command: process.execPath, workingDirectory: null },
      args: ['-e', 'process.stdout.write(process.env.SAYS)'],
      env: { ...env, SAYS: text },
    }),
  );
const serverScript = `
let listed = 0;
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  const say = (text) => process.stdout.write('{"jsonrpc":"2.0","id":' + id + (text.startsWith('"error":') ? ',' : ',"result":') + text + '}\\n');
  if (method === 'initialize') say(JSON.stringify({ protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } }));
  else if (method === 'tools/list') say((listed += 1) === 1 && process.env.ONCE || process.env.TOOLS || '{"tools":[]}');
  else if (method === 'tools/call' && process.env.CHANGES) process.stdout.write('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\\n');
  if (method === 'tools/call') say(process.env.SAYS.replace('<five million>', 'x'.repeat(5e6)).replaceAll('<params>', JSON.stringify(params).replaceAll('"', '\\\\"')).replaceAll('<secret>', process.env.SECRET || ''));
});`;
const mcpCall: Call = { kind: 'mcp', connection: 'c', tool: 't', arguments: { a: 1 } };
const answeredOverStdio = (
  result: string,
  env: Record<string, string> = {},
  more: Partial<RunContext> = {},
): Promise<ExecutorResult> =>
  runCall(
    mcpCall,
    contextWith(
      {
        kind: 'mcp',
        transport: {
          ...{ kind: 'stdio', command: process.execPath, workingDirectory: null },
          args: ['-e', serverScript],
          env: { ...env, SAYS: result },
        },
      },
      more,
    ),
  );
const http = (headers: Record<string, string> = {}): Connection => ({
  kind: 'mcp',
  transport: { kind: 'http', url: `${target.url}/mcp`, allowPrivate: true, headers },
});
/** The answer to the request, with `said` behind its id. */
const answering =
  (said: string) =>
  (id: Json): string =>
    `{"jsonrpc":"2.0","id":${JSON.stringify(id)},${said}}`;
const initialized = {
  body: answering(
    `"result":${JSON.stringify({
      ...{ protocolVersion: '2025-06-18', capabilities: { tools: {} } },
      serverInfo: { name: 's', version: '1' },
    })}`,
  ),
};
const overHttp = (
  answer: Exclude<TargetAnswer, number | string>,
  more: Partial<RunContext> = {},
  headers: Record<string, string> = {},
): Promise<ExecutorResult> => {
  // With a key, the tools are listed before the call.
  const listed = more.idempotencyKey ? [{ body: answering('"result":{"tools":[]}') }] : [];
  target.say(initialized, 202, ...listed, answer);
  return runCall(mcpCall, contextWith(http(headers), more));
};
const answeredOverHttp = (result: string, more: Partial<RunContext> = {}): Promise<ExecutorResult> =>
  overHttp({ body: answering(`"result":${result}`) }, more);
const answeredAsEvents = (result: string): Promise<ExecutorResult> =>
  overHttp({
    headers: { 'content-type': 'text/event-stream' },
    body: (id) => `event: message\ndata: ${answering(`\ndata: "result":${result}`)(id)}\n\n`,
  });

const odd = `{"id": 1234567890123456789, "list": [9007199254740993, 1e400, 0.12345678901234567891], "plain": [0.1, 1.10, -0, 1e3, 9007199254740991]}`;
const kept = {
  id: '1234567890123456789',
  list: ['9007199254740993', '1e400', '0.12345678901234567891'],
  plain: [0.1, 1.1, 0, 1000, 9007199254740991],
};
const pointers = ['/id', '/list/0', '/list/1', '/list/2'];

describe('a body whose type nobody says', () => {
  const none = { 'content-type': '' };
  test('is JSON where it is an object or a list', async () => {
    for (const body of [' {"id": 1234567890123456789, "status": "blocked"}', '[1, {"a": null}]']) {
      const { output } = await succeeded(ask({ headers: none, body }));
      assert.deepEqual(
        output,
        body.includes('id') ? { id: '1234567890123456789', status: 'blocked' } : [1, { a: null }],
      );
    }
  });
  test('is its text else, as one is that says another type', async () => {
    for (const body of ['12e5', 'true', '{"a":', '{"a":1,"a":2}'])
      assert.equal((await succeeded(ask({ headers: none, body }))).output, body);
    const { output } = await succeeded(ask({ headers: { 'content-type': 'text/html' }, body: '{"a":1}' }));
    assert.equal(output, '{"a":1}');
  });
});

describe('an answer in which an object has a name twice', () => {
  const twice = [
    '{"id":"A1","id":"A2","status":"approved","status":"rejected"}',
    '{"a":[{"b":{},"b":{"c":1}}]}',
    '{"id":1,"\\u0069d":2}',
  ];
  const asText = (text: string, isError = false): string =>
    JSON.stringify({ content: [{ type: 'text', text }], isError });
  test('is none that anybody could act on: what it did is unknown, over every connection', async () => {
    for (const body of twice) {
      const overMcp = `{"content":[],"structuredContent":${body}}`;
      const ways = [
        () => ask({ body }),
        () => answeredOverStdio(overMcp),
        () => answeredOverHttp(overMcp),
        () => answeredAsEvents(overMcp),
        () => answeredOverStdio(asText(body)),
        () => printed(body),
      ];
      for (const way of ways) {
        const result = await way();
        assert.ok(result.status === 'failed', JSON.stringify(result));
        assert.equal(result.errorClass, 'unknown_outcome');
        assert.match(result.message, /an object has a name twice/);
      }
    }
    const error = await answeredOverStdio('{"content":[],"isError":true,"isError":false}');
    assert.ok(error.status === 'failed', JSON.stringify(error));
  });
  test('is text where it says why the call failed, and where it is no JSON besides', async () => {
    const [body = ''] = twice;
    const refused = await answeredOverStdio(asText(body, true));
    assert.ok(refused.status === 'failed', JSON.stringify(refused));
    assert.equal(refused.errorClass, 'permanent');
    assert.ok(refused.message.endsWith(body), refused.message);
    const { output } = await succeeded(printed(`${body}, done`));
    assert.equal((output as JsonObject)['json'], null);
  });
  test('is none where the same name stands in two objects', async () => {
    assert.deepEqual((await succeeded(ask({ body: '{"a":{"a":[{"a":1},{"a":2}]}}' }))).output, {
      a: { a: [{ a: 1 }, { a: 2 }] },
    });
  });
});

describe('half of a character in a JSON answer, as where a text was cut in an emoji', () => {
  test('is U+FFFD, and the answer counts, over every connection', async () => {
    const body = '{"text":"great \\ud83d","whole":"\\ud83d\\ude00","plain":"\\\\ud83d","\\udc00":1}';
    const read = { text: 'great \ufffd', whole: '\u{1f600}', plain: '\\ud83d', '\ufffd': 1 };
    const overMcp = `{"content":[],"structuredContent":${body}}`;
    const text = JSON.stringify({ content: [{ type: 'text', text: body }] });
    const ways = [
      () => ask({ body }),
      () => answeredOverStdio(overMcp),
      () => answeredOverHttp(overMcp),
      () => answeredAsEvents(overMcp),
      () => answeredOverStdio(text),
    ];
    for (const way of ways) assert.deepEqual((await succeeded(way())).output, read);
    assert.deepEqual(((await succeeded(printed(body))).output as JsonObject)['json'], read);
  });
});

describe('a number that no double holds', () => {
  const ways: readonly (readonly [string, () => Promise<ExecutorResult>, string])[] = [
    ['rest', () => ask({ body: odd }), ''],
    ['a command', () => printed(odd), '/json'],
    ['MCP over stdio, structured', () => answeredOverStdio(`{"content":[],"structuredContent":${odd}}`), ''],
    [
      'MCP over stdio, JSON as text',
      () => answeredOverStdio(JSON.stringify({ content: [{ type: 'text', text: odd }] })),
      '',
    ],
    ['MCP over HTTP', () => answeredOverHttp(`{"content":[],"structuredContent":${odd}}`), ''],
    ['MCP over HTTP as events', () => answeredAsEvents(`{"content":[],"structuredContent":${odd}}`), ''],
  ];
  for (const [name, way, below] of ways)
    test(`is kept as it was written, and named: ${name}`, async () => {
      const result = await succeeded(way());
      const output = below === '' ? result.output : (result.output as JsonObject)['json'];
      assert.equal(JSON.stringify(output), JSON.stringify(kept));
      assert.deepEqual(
        result.exact?.map(pointerOf),
        pointers.map((pointer) => below + pointer),
      );
    });

  test('is nobody’s mark: a text that looks like one stays text, and other numbers stay numbers', async () => {
    const result = await succeeded(ask({ body: '{"a": "12345678901234567890", "1e999": 5}' }));
    assert.deepEqual(result.output, { a: '12345678901234567890', '1e999': 5 });
    assert.equal(result.exact, undefined);
  });
});

describe('a resolved reference that comes back', () => {
  const bytes = (text: string): string => Buffer.from(text).toString('base64');
  const echoes: readonly (readonly [string, Json])[] = [
    ['as it is', token],
    ['in a longer text', `you said ${token}!`],
    ['in base64', bytes(token)],
    ['in base64 of something longer', bytes(`user:${token}@host`)],
    ['in base64 at another offset', bytes(`ab${token}`)],
    ['percent-encoded', encodeURIComponent(`x ${token}`)],
    ['percent-encoded more than it has to be', token.replace('t', '%74')],
    ['in JSON in a text', JSON.stringify({ a: token })],
    ['in hex', Buffer.from(token).toString('hex')],
    ['deep in an answer', { a: [{ b: token }] }],
    ['as a name', { [token]: 1 }],
  ];
  for (const [how, value] of echoes)
    test(`is masked ${how}, and the record is told where`, async () => {
      target.say({ body: JSON.stringify({ value }) });
      const result = await succeeded(
        runCall(restCall, contextWith(rest({ authorization: 'env://TEST_TOKEN' }))),
      );
      const said = JSON.stringify(result);
      for (const form of [token, bytes(token).slice(0, 20), encodeURIComponent(token)])
        assert.ok(!said.includes(form), said);
      assert.equal(result.masked?.length, 1, said);
      const pointers = result.masked.map(pointerOf);
      assert.match(pointers[0] ?? '', /^\/value/);
      assert.ok(!pointers.join().includes(token));
    });

  const written: readonly (readonly [string, Buffer])[] = [
    ['as it is', Buffer.from(`café ${token}`, 'latin1')],
    ['percent-encoded', Buffer.from(`café ${token.replace('t', '%74')}`, 'latin1')],
    ['in capitals', Buffer.from(`café ${token.toUpperCase()}`, 'latin1')],
    ['in base64', Buffer.from(`café ${bytes(token)}`, 'latin1')],
    [
      'in UTF-16',
      Buffer.concat([Buffer.from([0xc3, 0x28]), Buffer.from(token, 'utf16le'), Buffer.from([0x00, 0xd8])]),
    ],
  ];
  for (const [how, body] of written)
    test(`leaves nothing of a body that is kept byte for byte: ${how}`, async () => {
      target.say({ headers: { 'content-type': 'text/html; charset=utf-8' }, body });
      const result = await succeeded(
        runCall(restCall, contextWith(rest({ authorization: 'env://TEST_TOKEN' }))),
      );
      assert.deepEqual([result.output, result.masked], ['[redacted]', [root]]);
      assert.ok(!JSON.stringify(result).includes('base64'), JSON.stringify(result));
    });

  test('is masked in headers of the answer, where they are told apart from its body', async () => {
    target.say({ headers: { 'x-echo': `Bearer ${token}` } });
    const result = await succeeded(
      runCall(restCall, contextWith(rest({ authorization: 'env://TEST_TOKEN' }))),
    );
    assert.ok(!JSON.stringify(result).includes(token));
    assert.deepEqual(
      [result.masked, result.maskedResponse?.map(pointerOf)],
      [undefined, ['/headers/x-echo']],
    );
  });

  const parts: readonly (readonly [string, string, Json])[] = [
    ['the credential of a scheme', 'Bearer abcdef123456', 'abcdef123456'],
    [
      'a header’s value split at its comma',
      'key=abcdef123, user=zyxwvu987',
      ['key=abcdef123', 'user=zyxwvu987'],
    ],
    [
      'a header’s parameters taken apart',
      'key="abcdef123"; user=zyxwvu987',
      { key: 'abcdef123', user: 'zyxwvu987' },
    ],
    ['a basic credential, decoded', `Basic ${bytes('user:hunter2222')}`, { password: 'hunter2222' }],
    ['a number', '123456789', { n: 123456789 }],
    ['a longer number', '123456789', { n: 1234567890, list: [-5123456789, 123456789.5] }],
    ...['&#39;', '&#x27;', '&apos;'].map(
      (apostrophe) =>
        [
          `in HTML with ${apostrophe}`,
          "abcdef123'quo<x>",
          `<b>abcdef123${apostrophe}quo&lt;x&gt;</b>`,
        ] as const,
    ),
    ['a value with quotes and line ends', 'quo"te\\slash', 'quo"te\\slash'],
  ];
  for (const [how, secret, value] of parts)
    test(`is masked in parts: ${how}`, async () => {
      target.say({ body: JSON.stringify(value) });
      const references = { env: { TEST_TOKEN: secret }, secretsDirectory: null };
      const result = await succeeded(
        runCall(restCall, contextWith(rest({ authorization: 'env://TEST_TOKEN' }), { references })),
      );
      const said = JSON.stringify(result.output);
      for (const part of ['abcdef123', 'zyxwvu987', 'hunter2222', '123456789', 'quo'])
        assert.ok(!said.includes(part), said);
    });

  test('is masked in a command’s output and in an MCP result', async () => {
    const env = { SECRET: 'env://TEST_TOKEN' };
    for (const result of [
      await succeeded(printed(`{"a": "${token}"}`, env)),
      await succeeded(answeredOverStdio('{"content":[{"type":"text","text":"<secret>"}]}', env)),
    ]) {
      assert.ok(!JSON.stringify(result).includes(token));
      assert.ok((result.masked?.length ?? 0) > 0);
    }
  });

  test('is masked in a message before that is cut', async () => {
    const text = `${'x'.repeat(490)}${token}`;
    const result = await answeredOverStdio(
      JSON.stringify({ isError: true, content: [{ type: 'text', text }] }),
      { SECRET: 'env://TEST_TOKEN' },
    );
    assert.ok(result.status === 'failed' && result.isMasked === true, JSON.stringify(result));
    assert.ok(!result.message.includes(token.slice(0, 8)), result.message);
  });

  test('leaves alone what is shorter than six characters, what nothing was resolved for, and the address', async () => {
    target.say({ body: JSON.stringify({ a: 'short word', b: target.url }) });
    const references = { env: { TEST_TOKEN: 'short', URL: target.url }, secretsDirectory: null };
    const connection = { ...rest({ authorization: 'env://TEST_TOKEN' }), baseUrl: 'env://URL' } as Connection;
    const result = await succeeded(runCall(restCall, contextWith(connection, { references })));
    assert.deepEqual(result.output, { a: 'short word', b: target.url });
    assert.equal(result.masked, undefined);
  });
});

describe('a body', () => {
  const json = '{"grün":"ja"}';
  const value = { grün: 'ja' };
  const utf16 = (text: string): Buffer =>
    Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')]);
  const type = 'application/json';
  const readable: readonly (readonly [string, Record<string, string>, Buffer | string, Json])[] = [
    ['packed with gzip', { 'content-encoding': 'gzip' }, gzipSync(json), value],
    ['packed with x-gzip, in capitals', { 'content-encoding': 'X-GZIP' }, gzipSync(json), value],
    ['packed with deflate', { 'content-encoding': 'deflate' }, deflateSync(json), value],
    [
      'packed with deflate, without its frame',
      { 'content-encoding': 'deflate' },
      deflateRawSync(json),
      value,
    ],
    ['packed with br', { 'content-encoding': 'br' }, brotliCompressSync(json), value],
    ['packed twice', { 'content-encoding': 'gzip, br' }, brotliCompressSync(gzipSync(json)), value],
    ['packed, and no header says so', {}, gzipSync(json), value],
    ['packed and empty', { 'content-encoding': 'gzip' }, '', null],
    ['after a byte order mark', {}, `\ufeff${json}`, value],
    ['that is only a byte order mark', {}, '\ufeff', null],
    ['of white space', {}, ' \n', null],
    ['in UTF-16 that says so', {}, utf16(json), value],
    [
      'in latin-1 that says so',
      { 'content-type': `${type}; charset=iso-8859-1` },
      Buffer.from(json, 'latin1'),
      value,
    ],
    [
      'in a charset that nobody knows, and UTF-8 all the same',
      { 'content-type': `${type}; charset=x-mine` },
      json,
      value,
    ],
    ...['none', 'UTF-8', 'utf8', 'identity, binary'].map(
      (encoding) =>
        [`that says it is packed as ${encoding}`, { 'content-encoding': encoding }, json, value] as const,
    ),
    ['of the old name for JSON', { 'content-type': 'text/json' }, json, value],
    ['whose header a proxy has doubled', { 'content-type': `${type}, ${type}` }, json, value],
    ['of text after a byte order mark', { 'content-type': 'text/plain' }, '\ufeffwords', 'words'],
    [
      'of text in the charset that it says',
      { 'content-type': 'text/plain; charset=iso-8859-1' },
      Buffer.from('Grüße', 'latin1'),
      'Grüße',
    ],
    // What is no text is kept byte for byte.
    ...(
      [
        ['text/plain', 'text/plain'],
        ['text/csv; charset=utf-8', 'text/csv'],
        ['text/plain; charset=x-mine', 'text/plain'],
        ['application/pdf', 'application/pdf'],
        ['no type;', 'application/octet-stream'],
      ] as const
    ).map(
      ([said, media]) =>
        [
          `of ${said} that is no text in its charset`,
          { 'content-type': said },
          Buffer.from('Grüße', 'latin1'),
          `data:${media};base64,${Buffer.from('Grüße', 'latin1').toString('base64')}`,
        ] as const,
    ),
    ['of text that holds U+FFFD itself', { 'content-type': 'text/plain' }, 'a\ufffdb', 'a\ufffdb'],
  ];
  for (const [how, headers, body, expected] of readable)
    test(`${how} is read`, async () => {
      assert.deepEqual((await succeeded(ask({ headers, body }))).output, expected);
    });

  test('of bytes that are no text is kept to the limit of bytes, packed or not', async () => {
    const bytes = Buffer.alloc(1_048_576, 0xff);
    for (const [body, packed] of [
      [bytes, {}],
      [gzipSync(bytes), { 'content-encoding': 'gzip' }],
    ] as const) {
      const { output } = await succeeded(ask({ headers: { 'content-type': 'image/png', ...packed }, body }));
      assert.ok(output === `data:image/png;base64,${bytes.toString('base64')}`);
    }
  });

  test('of MCP over HTTP that is packed, or begins with a byte order mark, is read', async () => {
    const body = answering('"result":{"content":[],"structuredContent":{"ok":true}}');
    for (const answer of [
      { headers: { 'content-encoding': 'gzip' }, body: (id) => gzipSync(body(id)) },
      { body: (id) => `\ufeff${body(id)}` },
      { headers: { 'content-encoding': 'none' }, body },
      { headers: { 'content-encoding': 'UTF-8' }, body },
      { headers: { 'content-type': 'application/json-rpc; charset=utf-8' }, body },
    ] satisfies TargetAnswer[])
      assert.deepEqual((await succeeded(overHttp(answer))).output, { ok: true });
  });

  const unreadable: readonly (readonly [string, Record<string, string>, Buffer | string, RegExp])[] = [
    ['that is no gzip', { 'content-encoding': 'gzip' }, json, /no whole `gzip`/],
    ['whose gzip is cut', { 'content-encoding': 'gzip' }, gzipSync(json).subarray(0, 20), /no whole `gzip`/],
    ['packed in a way that is not read here', { 'content-encoding': 'zstd' }, json, /`zstd` is not read/],
    [
      'larger than it looks',
      { 'content-encoding': 'gzip' },
      gzipSync('x'.repeat(2_000_000)),
      /over 1048576 bytes/,
    ],
    ['in another charset than it says', {}, Buffer.from(json, 'latin1'), /not in `utf-8`/],
    [
      'of too many bytes that are no text',
      { 'content-type': 'application/pdf' },
      Buffer.alloc(1_048_577, 0xff),
      /over 1048576 bytes/,
    ],
    ['that says it is JSON and is not', {}, '{"half":', /is not JSON/],
    ['nested deeper than anything is kept', {}, '['.repeat(500) + ']'.repeat(500), /deeper than/],
  ];
  for (const [how, headers, body, says] of unreadable)
    test(`${how} is a failure that says so; its effect may have happened, with a key too`, async () => {
      for (const [more, errorClass] of [
        [{ hasEffect: false }, 'permanent'],
        [{ idempotencyKey: 'k' }, 'unknown_outcome'],
        [{}, 'unknown_outcome'],
      ] as const) {
        const result = await ask({ headers, body }, more);
        assert.ok(result.status === 'failed', JSON.stringify(result));
        assert.equal(result.errorClass, errorClass);
        assert.match(result.message, says);
        assert.match(result.message, /answered 200/);
      }
    });
});

describe('an MCP result that is none', () => {
  const results: readonly (readonly [string, RegExp])[] = [
    ['{"content":"done"}', /`content` is no array/],
    ['{"content":{"type":"text","text":"x"}}', /`content` is no array/],
    ['{"content":[{"type":"hologram"}]}', /unknown type `"hologram"`/],
    ['{"content":[null]}', /block 0 of `content` is no object/],
    ['{"content":[{"type":"text"}]}', /has no `text`/],
    ['{"content":[],"structuredContent":[1]}', /`structuredContent` is no object/],
    ['{"content":null}', /neither `content` nor/],
    ['{"content":[],"isError":"yes"}', /`isError`/],
    ['{}', /neither `content` nor/],
    ['[]', /its result is no object/],
    ['"done"', /its result is no object/],
    ['{"content":[],"_meta":7}', /malformed `_meta`/],
    ['{"content":[]},"error":{"code":1,"message":"no"}', /both a `result` and an `error`/],
    ['{"content":[]},"method":7', /both a `result` and a `method`/],
    ['null,"error":null', /an error without a code or a message/],
  ];
  const contexts = [
    [{ hasEffect: false }, 'permanent', undefined],
    [{ idempotencyKey: 'k' }, 'permanent', true],
    [{}, 'unknown_outcome', true],
  ] as const;
  for (const [result, says] of results)
    test(`${result} says what was wrong; its effect may have happened, and without a key nobody knows`, async () => {
      for (const [more, errorClass, effectPossible] of contexts)
        for (const said of [
          await answeredOverStdio(result, {}, more),
          await answeredOverHttp(result, more),
        ]) {
          assert.ok(said.status === 'failed', JSON.stringify(said));
          assert.deepEqual([said.errorClass, said.effectPossible], [errorClass, effectPossible]);
          assert.match(said.message, says);
          assert.doesNotMatch(said.message, /ended|broke off/);
          assert.equal(/effect may have happened/.test(said.message), effectPossible === true);
        }
    });

  test('is not what a server says of it: our own words for it are nobody else’s', async () => {
    const forged = JSON.stringify({ 'countersign/not-a-result': 'x'.repeat(3_900_000) });
    for (const said of [
      await answeredOverStdio('{"countersign/not-a-result":"xxxx"}'),
      await answeredOverHttp(forged),
    ]) {
      assert.ok(said.status === 'failed' && said.errorClass === 'unknown_outcome', said.status);
      assert.ok(said.message.length < 300, String(said.message.length));
      assert.doesNotMatch(said.message, /xxx/);
    }
  });

  test('is none where an answer only says more than it needs to, such as that there is no error', async () => {
    for (const more of ['"error":null', '"extra":[1]', '"error":null,"id2":7'])
      for (const said of [
        await answeredOverStdio(`{"content":[],"structuredContent":{"ok":true}},${more}`),
        await answeredOverHttp(`{"content":[],"structuredContent":{"ok":true}},${more}`),
      ])
        assert.deepEqual((await succeeded(Promise.resolve(said))).output, { ok: true });
  });

  test('over HTTP, an answer of another protocol says so, and not that `_meta` is wrong', async () => {
    for (const version of ['', '"jsonrpc":"1.0",']) {
      const said = await overHttp({
        body: (id) => `{${version}"id":${JSON.stringify(id)},"result":{"content":[]}}`,
      });
      assert.ok(said.status === 'failed' && said.errorClass === 'unknown_outcome', JSON.stringify(said));
      assert.match(said.message, /its `jsonrpc` is not `2\.0`/);
    }
  });

  test('over HTTP, what is no JSON at all says so', async () => {
    const said = await overHttp({ body: 'oh dear' }, { hasEffect: false });
    assert.ok(said.status === 'failed');
    assert.equal(said.errorClass, 'permanent');
    assert.match(said.message, /is not JSON/);
  });
});

describe('an MCP answer that cannot be read', () => {
  const result = (text: string): ((id: Json) => string) =>
    answering(`"result":{"content":[{"type":"text","text":"${text}"}]}`);
  const big = result('x'.repeat(5_000_000));
  const events = { 'content-type': 'text/event-stream' };
  const gzip = { 'content-encoding': 'gzip' };
  const answers: readonly (readonly [string, RegExp, Exclude<TargetAnswer, number | string>])[] = [
    ['over four megabytes', /over 4194304 bytes/, { body: big }],
    [
      'over four megabytes, as an event',
      /over 4194304 bytes/,
      { headers: events, body: (id) => `data: ${big(id)}\n\n` },
    ],
    ['larger than it looks', /over 4194304 bytes/, { headers: gzip, body: (id) => gzipSync(big(id)) }],
    ['that is no gzip', /packed wrongly/, { headers: gzip, body: result('x') }],
    [
      'whose gzip is cut',
      /packed wrongly/,
      { headers: gzip, body: (id) => gzipSync(result('x')(id)).subarray(0, 30) },
    ],
    [
      'packed in a way that is not read here',
      /content encoding/,
      { headers: { 'content-encoding': 'zstd' } },
    ],
    ['that is a page', /neither JSON nor/, { headers: { 'content-type': 'text/html' }, body: '<p>done</p>' }],
    ['that is nothing', /is not JSON/, { body: '' }],
    ['that is no message', /no message of the protocol/, { body: '{"ok":true}' }],
    ['that is not UTF-8', /not UTF-8/, { body: (id) => Buffer.from(result('\u00fc')(id), 'latin1') }],
    [
      'that is not UTF-8, as an event',
      /not UTF-8/,
      { headers: events, body: (id) => Buffer.from(`data: ${result('\u00fc')(id)}\n\n`, 'latin1') },
    ],
    ['that has no body', /neither JSON nor/, { status: 204, headers: { 'content-type': 'x' }, body: '' }],
    ['that is cut', /is not JSON/, { body: (id) => result('x')(id).slice(0, -2) }],
    [
      'of more messages than one',
      /over 100 messages/,
      { body: (id) => `[${`${result('x')(id)},`.repeat(100)}${result('x')(id)}]` },
    ],
  ];
  const contexts = [
    [{ hasEffect: false }, 'permanent'],
    [{ idempotencyKey: 'k' }, 'unknown_outcome'],
    [{}, 'unknown_outcome'],
  ] as const;
  for (const [how, says, answer] of answers)
    test(`${how}, over HTTP, is a failure that says so; its effect may have happened, with a key too`, async () => {
      for (const [more, errorClass] of contexts) {
        const said = await overHttp(answer, more);
        assert.ok(said.status === 'failed', JSON.stringify(said).slice(0, 500));
        assert.equal(said.errorClass, errorClass, said.message);
        assert.match(said.message, says);
      }
    });

  test('over four megabytes, over stdio, is the same', async () => {
    const result = '{"content":[{"type":"text","text":"<five million>"}]}';
    for (const [more, errorClass] of contexts) {
      const said = await answeredOverStdio(result, {}, more);
      assert.ok(said.status === 'failed', JSON.stringify(said).slice(0, 500));
      assert.equal(said.errorClass, errorClass, said.message);
      assert.match(said.message, /a message is over 4194304 bytes/);
    }
  });

  test('because its events ended before it came is a lost connection, told at once', async () => {
    const headers = { 'content-type': 'text/event-stream' };
    const body = ': ping\n\nid: 7\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n';
    for (const [more, errorClass] of [
      [{ hasEffect: false }, 'connection'],
      [{ idempotencyKey: 'k' }, 'connection'],
      [{}, 'unknown_outcome'],
    ] as const) {
      const said = await overHttp({ headers, body }, more);
      assert.ok(said.status === 'failed', JSON.stringify(said));
      assert.equal(said.errorClass, errorClass, said.message);
      assert.match(said.message, /ended without the answer/);
    }
  });

  test('is none of a notification: whatever is said to that, the call goes on', async () => {
    const body = answering('"result":{"content":[],"structuredContent":{"ok":true}}');
    for (const odd of [{ body: 'ok' }, { headers: { 'content-type': 'text/html' }, body: '<p>ok</p>' }]) {
      target.say(initialized, odd, { body });
      assert.deepEqual((await succeeded(runCall(mcpCall, contextWith(http())))).output, { ok: true });
    }
  });
});

describe('an error that an MCP server answers', () => {
  // A server that answers a call with what stands here instead of its result.
  const overStdio = (error: string): Promise<ExecutorResult> => answeredOverStdio(`"error":${error}`);
  const asHttp = (error: string): Promise<ExecutorResult> =>
    overHttp({ body: answering(`"error":${error}`) });
  for (const code of [-32000, -32001, -32602, -32042, 7])
    test(`${code} is permanent, with the server’s words`, async () => {
      const error = `{"code":${code},"message":"no such account","data":{"elicitations":[]}}`;
      for (const said of [await overStdio(error), await asHttp(error)]) {
        assert.ok(said.status === 'failed', JSON.stringify(said));
        assert.equal(said.errorClass, 'permanent', said.message);
        assert.match(said.message, /refused by its server: .*no such account/);
      }
    });

  test('counts beside a result that is null', async () => {
    for (const said of [
      await answeredOverStdio('null,"error":{"code":7,"message":"no such account"}'),
      await answeredOverHttp('null,"error":{"code":7,"message":"no such account"}'),
    ]) {
      assert.ok(said.status === 'failed' && said.errorClass === 'permanent', JSON.stringify(said));
      assert.match(said.message, /refused by its server: .*no such account/);
    }
  });

  test('and is none says why and quotes what it says, and gives away nothing of how numbers are kept', async () => {
    const notRead = [
      ['"no more: quota exceeded"', 'its error is no object: no more: quota exceeded;'],
      ['["quota",1]', 'its error is no object: ["quota",1];'],
      ['{"code":1}', 'it is an error without a message: {"code":1};'],
      ['{}', 'it is an error without a code and without a message;'],
      ['{"data":"why"}', 'it is an error without a code and without a message: {"data":"why"};'],
      ['{"message":"quota exceeded"}', 'it is an error without a code: quota exceeded;'],
      ['{"code":"E_FAIL","message":"quota","data":"why"}', 'below 2^53: E_FAIL: quota: why;'],
      ['{"code":-32603.5,"message":"","data":"why"}', 'below 2^53: -32603.5: why;'],
      ['{"code":1e100,"message":"quota"}', 'below 2^53: 1e+100: quota;'],
      ['{"message":"","data":"why"}', 'it is an error without a code: why;'],
      [
        '{"code":1,"message":{"en":"quota"},"data":"why"}',
        'an error whose message is no text: {"code":1,"message":{"en":"quota"},"data":"why"};',
      ],
      [
        '{"code":1,"message":12345678901234567890}',
        'an error whose message is no text: {"code":1,"message":"12345678901234567890"};',
      ],
    ] as const;
    for (const [error, says] of notRead)
      for (const said of [await overStdio(error), await asHttp(error)]) {
        assert.ok(said.status === 'failed' && said.errorClass === 'unknown_outcome', JSON.stringify(said));
        assert.ok(said.message.includes(says), said.message);
        assert.doesNotMatch(said.message, /exact:/);
      }
    const half = token.length / 2;
    const [begun, rest] = [token.slice(0, half), token.slice(half)];
    const long = 'x'.repeat(5_000);
    for (const error of [
      `"${token}${long}"`,
      `{"message":"${begun}","data":"${rest}${long}"}`,
      `{"code":"${begun}","message":"${rest}${long}"}`,
      `{"code":1,"message":["${token}"],"data":"${long}"}`,
    ])
      for (const said of [
        await answeredOverStdio(`"error":${error}`, { TOKEN: 'env://TEST_TOKEN' }),
        await overHttp({ body: answering(`"error":${error}`) }, {}, { Authorization: 'env://TEST_TOKEN' }),
      ]) {
        assert.ok(said.status === 'failed' && said.message.length < 1_200, JSON.stringify(said));
        assert.match(said.message, /\[redacted\]/);
        for (const part of [begun, rest]) assert.ok(!said.message.includes(part), said.message);
      }
    for (const block of ['{"type":12345678901234567890}', '{"type":"text","text":12345678901234567890}']) {
      const said = await answeredOverHttp(`{"isError":true,"content":[${block}]}`);
      assert.ok(said.status === 'failed', JSON.stringify(said));
      assert.doesNotMatch(said.message, /exact:/);
      assert.match(said.message, /unknown type `"12345678901234567890"`|has no `text`/);
    }
  });
});

describe('the key of an MCP call', () => {
  const tool = (inputSchema: JsonObject): string => JSON.stringify({ tools: [{ name: 't', inputSchema }] });
  const says = '{"content":[{"type":"text","text":"<params>"}]}';
  const cases: readonly (readonly [string, string, 'argument' | 'meta'])[] = [
    ['among the arguments where the schema is open', tool({ type: 'object' }), 'argument'],
    ['beside them where it is closed', tool({ type: 'object', additionalProperties: false }), 'meta'],
    ['beside them where it is closed in the newer way', tool({ unevaluatedProperties: false }), 'meta'],
    ['beside them where a part closes it', tool({ allOf: [{ additionalProperties: false }] }), 'meta'],
    [
      'beside them where what it refers to closes it',
      tool({ $ref: '#/definitions/a', definitions: { a: { additionalProperties: false } } }),
      'meta',
    ],
    [
      'beside them where other names take numbers',
      tool({ additionalProperties: { type: 'number' } }),
      'meta',
    ],
    ['beside them where names are of a form', tool({ propertyNames: { pattern: '^[a-z]+$' } }), 'meta'],
    ['among them where it says that it is open', tool({ additionalProperties: true }), 'argument'],
    ['among them where other names take anything', tool({ additionalProperties: {} }), 'argument'],
    [
      'among them where the closed schema names it',
      tool({ additionalProperties: false, properties: { _idempotencyKey: {} } }),
      'argument',
    ],
    ['among them where the tool is not listed', '{"tools":[]}', 'argument'],
  ];
  for (const [where, tools, place] of cases)
    test(`stands ${where}`, async () => {
      const result = await succeeded(
        answeredOverStdio(says, { TOOLS: tools }, { idempotencyKey: 'the key' }),
      );
      const params = result.output as JsonObject;
      const sent = place === 'meta' ? params['_meta'] : params['arguments'];
      assert.equal((sent as JsonObject)['_idempotencyKey'], 'the key');
      assert.deepEqual(
        params['arguments'],
        place === 'meta' ? { a: 1 } : { a: 1, _idempotencyKey: 'the key' },
      );
    });
});

describe('a server that does not say where the key goes', () => {
  test('is not called: an error is none of its tools, and neither is a list that is none', async () => {
    const result = '{"content":[]}';
    for (const [tools, errorClass, says] of [
      ['"error":{"code":-32603,"message":"out of order"}', 'transient', /answered an error: .*out of order/],
      ['{"tools":"none"}', 'permanent', /answered no list/],
      ['{"tools":[{}]}', 'permanent', /answered no list/],
      ['[]', 'permanent', /answered no list/],
    ] as const) {
      const said = await answeredOverStdio(result, { TOOLS: tools }, { idempotencyKey: 'k' });
      assert.ok(said.status === 'failed', JSON.stringify(said));
      assert.equal(said.errorClass, errorClass, said.message);
      assert.match(said.message, says);
      assert.match(said.message, /nothing was sent/);
      assert.notEqual(said.effectPossible, true);
      await succeeded(answeredOverStdio(result, { TOOLS: tools }));
    }
  });

  test('is asked again, once it could not say', async () => {
    const once = `"error":{"code":1,"message":"starting"}`;
    const asked = (): Promise<ExecutorResult> =>
      answeredOverStdio('{"content":[]}', { ONCE: once }, { idempotencyKey: 'k' });
    const first = await asked();
    assert.ok(first.status === 'failed' && first.errorClass === 'transient', JSON.stringify(first));
    await succeeded(asked());
  });

  test('is asked again where it says that its tools have changed', async () => {
    const tools = (inputSchema: JsonObject): string =>
      JSON.stringify({ tools: [{ name: 't', inputSchema }] });
    const env = {
      TOOLS: tools({ type: 'object', additionalProperties: false }),
      ONCE: tools({}),
      CHANGES: '1',
    };
    const says = '{"content":[{"type":"text","text":"<params>"}]}';
    const call = async (): Promise<JsonObject> =>
      (await succeeded(answeredOverStdio(says, env, { idempotencyKey: 'k' }))).output as JsonObject;
    assert.deepEqual((await call())['arguments'], { a: 1, _idempotencyKey: 'k' });
    assert.deepEqual((await call())['arguments'], { a: 1 });
  });
});

describe('a header', () => {
  test('is ASCII, whatever its value is written in', async () => {
    target.say(200);
    const headers = [['x-name', 'Zoë 日本 100%']] as const;
    await succeeded(
      runCall(
        { ...restCall, headers } as Call,
        contextWith(rest({ 'x-own': 'Grüße' }), { idempotencyKey: 'schlüssel' }),
      ),
    );
    const [request] = target.requests;
    assert.equal(request?.headers['x-own'], 'Gr%C3%BC%C3%9Fe');
    assert.equal(request?.headers['x-name'], 'Zo%C3%AB %E6%97%A5%E6%9C%AC 100%');
    assert.equal(request?.headers['idempotency-key'], 'schl%C3%BCssel');
  });

  test('of an MCP connection too, and one that HTTP cannot carry is permanent', async () => {
    const body = answering('"result":{"content":[]}');
    await succeeded(overHttp({ body }, {}, { 'x-own': 'Grüße' }));
    assert.equal(target.requests[0]?.headers['x-own'], 'Gr%C3%BC%C3%9Fe');
    const said = await overHttp({ body }, {}, { 'x-own': 'two\nlines' });
    assert.ok(said.status === 'failed');
    assert.equal(said.errorClass, 'permanent');
    assert.match(said.message, /header `x-own`: .*line break/);
    assert.equal(target.requests.length, 0);
  });

  test('that REST cannot carry is permanent too, and named without what it holds', async () => {
    target.say(200);
    const said = await runCall(restCall, contextWith(rest({ 'x-own': 'two\nlines' })));
    assert.ok(said.status === 'failed' && said.errorClass === 'permanent', JSON.stringify(said));
    assert.match(said.message, /header `x-own`: .*line break/);
    assert.doesNotMatch(said.message, /lines/);
    assert.equal(target.requests.length, 0);
  });
});
