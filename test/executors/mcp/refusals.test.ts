// What a server over HTTP says beside a status that is no success, and what is told of a failure before the call.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { closeExecutors, runCall } from '../../../src/executors/index.js';
import type { McpConnection } from '../../../src/executors/mcp/types.js';
import type { ExecutorResult, RunContext } from '../../../src/executors/types.js';
import { contextWith, token } from '../world.js';

after(closeExecutors);

const call = { kind: 'mcp', connection: 'c', tool: 't', arguments: {} } as const;
const json = 'application/json';
/** Longer than what stands between two words. */
const session = `eyJ.${'a1'.repeat(30)}:b`;
const opening = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } };
type Method = 'initialize' | 'notifications/initialized' | 'tools/call';
interface Refusal {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
}
type Failed = Extract<ExecutorResult, { status: 'failed' }>;

/** Makes a call to a server that refuses one method, the first `times` that it comes. `came`: the methods of its requests. */
async function refusing(
  method: Method,
  { status, type, body }: Refusal,
  { times = Infinity, headers = {} }: { times?: number; headers?: Record<string, string> } = {},
): Promise<{ said: ExecutorResult; came: string[] }> {
  const came: string[] = [];
  const server = createServer((request, response) => {
    if (request.method !== 'POST') return void response.writeHead(405).end();
    let read = '';
    request.on('data', (chunk: Buffer) => (read += chunk.toString()));
    request.on('end', () => {
      const asked = JSON.parse(read) as { method: string; id?: number };
      came.push(asked.method);
      if (asked.method === method && came.filter((name) => name === method).length <= times)
        return response
          .writeHead(status, type === undefined ? {} : { 'content-type': type })
          .end(
            body
              .replaceAll('"ID"', String(asked.id))
              .replace('"GSON"', Number(asked.id).toExponential().toUpperCase()),
          );
      if (asked.id === undefined) return response.writeHead(202).end();
      const result = asked.method === 'initialize' ? opening : { content: [], structuredContent: {} };
      const answer = JSON.stringify({ jsonrpc: '2.0', id: asked.id, result });
      return response.writeHead(200, { 'content-type': json, 'mcp-session-id': session }).end(answer);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  try {
    const transport = { kind: 'http', url, allowPrivate: true, headers } as const;
    return { said: await runCall(call, contextWith({ kind: 'mcp', transport })), came };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function failed(said: ExecutorResult): Failed {
  assert.ok(said.status === 'failed', JSON.stringify(said));
  return said;
}

describe('the words of a refusal by status', { timeout: 60_000 }, () => {
  const oauth = '{"error":"invalid_token","error_description":"The access token expired"}';
  const told: readonly (readonly [string, Refusal, string])[] = [
    [
      'plain text',
      { status: 421, type: 'text/plain; charset=utf-8', body: 'Invalid Host header\n' },
      'Invalid Host header',
    ],
    ['plain text without a type', { status: 421, body: 'Invalid Host header' }, 'Invalid Host header'],
    ['another JSON', { status: 401, type: json, body: oauth }, oauth],
    [
      'an error of the protocol',
      { status: 422, type: json, body: '{"error":{"message":"no amount"}}' },
      'no amount',
    ],
  ];
  for (const [how, refusal, words] of told)
    for (const method of ['initialize', 'tools/call'] as const)
      test(`are told: ${how}, to \`${method}\``, async () => {
        const { said } = await refusing(method, refusal);
        const end = method === 'initialize' ? '; nothing was sent' : '';
        assert.ok(
          failed(said).message.endsWith(`it answered ${refusal.status}: ${words}${end}`),
          failed(said).message,
        );
      });

  test('are shortened and masked', async () => {
    const body = `not this: ${token}, ${'x'.repeat(5_000)}`;
    const headers = { Authorization: 'env://TEST_TOKEN' };
    const { said } = await refusing('tools/call', { status: 403, type: 'text/plain', body }, { headers });
    const { message } = failed(said);
    assert.match(message, /it answered 403: not this: \[redacted\], xxx/);
    assert.ok(message.length < 700 && !message.includes(token), message);
  });

  for (const [how, refusal] of [
    ['a page', { status: 502, type: 'text/html', body: '<html>Bad Gateway' }],
    ['a page without a type', { status: 422, body: '<html>no' }],
    ['JSON that says nothing', { status: 422, type: json, body: '{}' }],
    ['nothing', { status: 422, body: '' }],
    ['bytes', { status: 422, type: 'application/octet-stream', body: 'abc' }],
  ] as const)
    test(`are none where there are none: ${how}`, async () => {
      const { said } = await refusing('tools/call', refusal);
      assert.match(failed(said).message, new RegExp(`it answered ${refusal.status}($|; whether)`));
    });
});

describe('a session that is lost', { timeout: 60_000 }, () => {
  for (const [type, body] of [
    ['text/plain', 'Invalid or missing session ID'],
    ['text/plain', 'Bad Request: Mcp-Session-Id header is required'],
    [json, '{"error":"Session not found"}'],
    [json, '{"code":"session_not_found"}'],
  ] as const)
    test(`is begun anew where 400 says so in its own words: ${body}`, async () => {
      const { said, came } = await refusing('tools/call', { status: 400, type, body }, { times: 1 });
      assert.equal(said.status, 'succeeded', JSON.stringify(said));
      assert.equal(came.filter((method) => method === 'tools/call').length, 2);
    });

  for (const body of ['The court is not in session', '{"session":"s1","error":"amount is missing"}'])
    test(`is not begun anew where 400 is about something else, and the call is made once: ${body}`, async () => {
      const { said, came } = await refusing('tools/call', { status: 400, type: 'text/plain', body });
      assert.equal(failed(said).errorClass, 'permanent');
      assert.equal(came.filter((method) => method === 'tools/call').length, 1);
    });

  const paid = 'invoice 7 was paid, its receipt not found';
  const error = `"error":{"code":-32000,"message":"${paid}"}`;
  const result = `"result":{"content":[{"type":"text","text":"${paid}"}]}`;
  const own = (answer: string): string => `{"jsonrpc":"2.0","id":"ID",${answer}}`;
  const long = 'x'.repeat(70_000);
  for (const [how, status, body, errorClass] of [
    ['an error', 404, own(error), 'permanent'],
    ['a result', 404, own(result), 'unknown_outcome'],
    ['a failure of the tool', 404, own(`"result":{"isError":true,"content":["${paid}"]}`), 'permanent'],
    ['an error about another session', 400, own(error.replace('-32000', '-1')), 'permanent'],
    [
      'a result that names a session',
      400,
      own(result.replace(paid, `session expired, ${paid}`)),
      'unknown_outcome',
    ],
    ['a list of an error', 404, `[${own(error)}]`, 'permanent'],
    ['a list of a result', 404, `[${own(result)}]`, 'unknown_outcome'],
    ['events', 404, `event: message\ndata: ${own(result)}\n\n`, 'unknown_outcome'],
    ['neither', 404, own(`"isError":true,"content":["${paid}"]`), 'permanent'],
    ['an error in a wrapper', 404, `{"detail":${own(error)}}`, 'permanent'],
    [
      'a text in a wrapper',
      404,
      JSON.stringify({ detail: own(result) }).replace('\\"ID\\"', '"ID"'),
      'unknown_outcome',
    ],
    [
      'a result with rows of which one has failed',
      422,
      own(result.replace('}]', '},{"isError":true}]')),
      'unknown_outcome',
    ],
    [
      'a list of it and of another',
      400,
      `[${own(result)},{"id":1,"result":{"isError":true}}]`,
      'unknown_outcome',
    ],
    [
      'an error that names a session besides',
      404,
      own(error.replace(paid, `${paid}: no e-mail was sent in this session`)),
      'permanent',
    ],
    [
      'an error whose data names a session',
      404,
      own(error.replace('"}', '","data":"no e-mail was sent in this session"}')),
      'permanent',
    ],
    [
      'a result with a line that has failed',
      404,
      own(`"result":{"content":[],"structuredContent":{"paid":"${paid}","line":{"isError":true}}}`),
      'unknown_outcome',
    ],
    ...[
      ...[
        `Session ended: ${paid}`,
        `Session 12 booked but calendar not found, ${paid}`,
        `No session notes were saved: ${paid}`,
      ],
      ...[
        `${paid}","data":{"state":"session closed"},"x":"`,
        `session closed","data":{"detail":"${paid}"},"x":"`,
      ],
    ].map(
      (message) =>
        [
          `an error that begins so: ${message}`,
          404,
          own(`"error":{"code":-32000,"message":"${message}"}`),
          'permanent',
        ] as const,
    ),
    [
      'events with CRLF',
      404,
      `event: message\r\ndata: {"jsonrpc":"2.0","id":"GSON",\r\ndata: ${result}}\r\n\r\n`,
      'unknown_outcome',
    ],
    ['an error beside a null', 400, own(`${error},"result":null`), 'permanent'],
    [
      'an error whose data has a result',
      403,
      own(error.replace('"}', '","data":{"result":{"allow":false}}}')),
      'auth',
    ],
    [
      'a failure of the tool about a session',
      404,
      own(`"result":{"isError":true,"content":["no session, ${paid}"]}`),
      'permanent',
    ],
    [
      'a result under its id as Gson writes it',
      404,
      own(result).replace('"ID"', '"GSON"'),
      'unknown_outcome',
    ],
    ['lines of JSON', 404, `${own(error)}\n${own(result)}`, 'unknown_outcome'],
    ['words with its id', 404, `<p>ID: ${paid}</p>`.replace('ID', '"ID"'), 'unknown_outcome'],
    ['an error that is too long to read', 404, own(`${error},"data":"${long}"`), 'unknown_outcome'],
  ] as const)
    test(`is none where ${status} answers the call, which is made once: ${how}`, async () => {
      const { said, came } = await refusing('tools/call', { status, type: json, body });
      assert.equal(came.filter((method) => method === 'tools/call').length, 1);
      assert.equal(failed(said).errorClass, errorClass, failed(said).message);
      if (
        !body.includes(long) &&
        !['events', 'events with CRLF', 'lines of JSON', 'words with its id'].includes(how)
      )
        assert.match(failed(said).message, /answered 4\d\d: .*invoice 7 was paid/s);
    });

  test('is none where a 429 has a failure of the tool, which says when to try again', async () => {
    const body = own(`"result":{"isError":true,"content":[{"type":"text","text":"slow down"}]}`);
    const { said } = await refusing('tools/call', { status: 429, type: json, body });
    assert.equal(failed(said).errorClass, 'rate_limited', failed(said).message);
  });

  for (const said of [
    ...[
      'Session not found',
      'Session closed',
      'Could not find session 3f',
      'Session has ended',
      'No session',
    ],
    ...['Session timed out, please initialize again', 'Session is not active', 'Stale session ID'],
    ...[
      'Not Found","data":"Session not found',
      'Not Found","data":{"reason":"session_expired"},"x":"',
      'No active session for this request',
    ],
    ...[
      `Session ID: ${session} not found`,
      `Session ${session} doesn't exist`,
      'Session has been deleted',
      'Session was evicted',
    ],
    ...[
      'Session lost, please reconnect',
      'Mcp-Session-Id header is required',
      'Unknown Mcp-Session-Id',
      'Session is no longer valid',
      'Session not initialized',
    ],
    ...['Session not found","data":null},"result":null,"x":{"y":"', 'Bad Request: Server not initialized'],
  ])
    for (const status of [404, 400])
      test(`is begun anew where ${status} says so under the id of the call: ${said}`, async () => {
        const body = own(`"error":{"code":-32001,"message":"${said}"}`);
        const refused = await refusing('tools/call', { status, type: json, body }, { times: 1 });
        assert.equal(refused.said.status, 'succeeded', JSON.stringify(refused.said));
      });

  for (const type of [json, 'text/plain'])
    test(`before the call, in both sessions: nothing was sent, and the words are told (${type})`, async () => {
      const body = '{"detail":"Not Found"}';
      const { said, came } = await refusing('notifications/initialized', { status: 404, type, body });
      assert.ok(!came.includes('tools/call'));
      assert.equal(failed(said).errorClass, 'connection');
      assert.match(
        failed(said).message,
        /answered 404 in two sessions that it had opened itself, before the call: \{"detail":"Not Found"\}; nothing was sent$/,
      );
    });
});

describe('an error and a result for the same call', { timeout: 60_000 }, () => {
  const both = [
    '{"jsonrpc":"2.0","id":"ID","error":{"code":-2,"message":"other"}}',
    '{"jsonrpc":"2.0","id":"ID","result":{"content":[],"structuredContent":{"ok":1}}}',
  ];
  for (const messages of [both, both.toReversed()])
    test(`say together not what was done: ${messages.join()}`, async () => {
      const body = `[${messages.join()}]`;
      const { said, came } = await refusing('tools/call', { status: 200, type: json, body });
      assert.equal(came.filter((method) => method === 'tools/call').length, 1);
      assert.equal(failed(said).errorClass, 'unknown_outcome');
      assert.match(
        failed(said).message,
        /there are both a `result` and an `error` for it: other; its effect may have happened/,
      );
    });
});

describe('a failure before the call', { timeout: 60_000 }, () => {
  const stdio = {
    kind: 'stdio',
    command: process.execPath,
    args: [],
    env: {},
    workingDirectory: null,
  } as const;
  const http = { kind: 'http', url: 'http://127.0.0.1:1/', allowPrivate: true, headers: {} } as const;
  const silent = { ...stdio, args: ['-e', 'process.stdin.resume()'] };
  const cases: readonly (readonly [string, McpConnection['transport'], RegExp])[] = [
    ['a folder that is not there', { ...stdio, workingDirectory: 'not/there' }, /does not exist/],
    ['a program that is not there', { ...stdio, command: '/not/there' }, /could not be started/],
    ['a program that ends', { ...stdio, args: ['-e', ''] }, /did not start to answer/],
    [
      'a server that does not answer `initialize`: with the time that it had',
      silent,
      /its server, asked to `initialize`, did not answer within 1500 ms/,
    ],
    ['a url that cannot be used', { ...http, url: 'ftp://127.0.0.1/' }, /cannot be used/],
    ['a header that cannot be sent', { ...http, headers: { 'x-a': 'a\nb' } }, /cannot be sent/],
    ['nobody who listens', http, /127\.0\.0\.1|ECONNREFUSED/],
  ];
  for (const [how, transport, says] of cases)
    test(`says that nothing was sent: ${how}`, async () => {
      const more: Partial<RunContext> = { timeoutMs: transport === silent ? 1_500 : 20_000 };
      const { message } = failed(await runCall(call, contextWith({ kind: 'mcp', transport }, more)));
      assert.match(message, says);
      assert.match(message, /; nothing was sent$/);
    });

  test('does not keep a worker that stops waiting for a server that does not answer `initialize`', async () => {
    const stop = new AbortController();
    const making = runCall(
      call,
      contextWith({ kind: 'mcp', transport: silent }, { timeoutMs: 120_000, signal: stop.signal }),
    ).catch(() => 'aborted');
    setTimeout(() => stop.abort(), 500);
    assert.equal(await making, 'aborted');
    const began = Date.now();
    await closeExecutors();
    assert.ok(Date.now() - began < 15_000);
  });
});
