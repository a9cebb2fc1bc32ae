// What a server says in the `data` of an error: there may stand the only cause, or an address that somebody must open.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { closeExecutors, runCall } from '../../../src/executors/index.js';
import type { McpConnection } from '../../../src/executors/mcp/types.js';
import type { RunContext } from '../../../src/executors/types.js';
import { contextWith, token } from '../world.js';

after(closeExecutors);

const call = { kind: 'mcp', connection: 'c', tool: 't', arguments: {} } as const;
const opening = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } };
type Method = 'initialize' | 'tools/list' | 'tools/call';

/** An error as a server writes it; `data` is JSON, undefined: there is none. */
const errorOf = (message: string, data?: string, code = -32603): string =>
  `{"code":${code},"message":${JSON.stringify(message)}${data === undefined ? '' : `,"data":${data}`}}`;

async function said(transport: McpConnection['transport'], method: Method): Promise<string> {
  const more: Partial<RunContext> = method === 'tools/list' ? { idempotencyKey: 'k' } : {};
  const result = await runCall(call, contextWith({ kind: 'mcp', transport }, more));
  assert.ok(result.status === 'failed', JSON.stringify(result));
  if (method === 'tools/call') assert.equal(result.errorClass, 'permanent', result.message);
  return result.message;
}

function overStdio(error: string, method: Method = 'tools/call'): Promise<string> {
  const script = `
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method } = JSON.parse(line);
    if (id === undefined) return;
    const says = method === process.env.METHOD ? '"error":' + process.env.SAYS : '"result":' + ${JSON.stringify(JSON.stringify(opening))};
    console.log('{"jsonrpc":"2.0","id":' + id + ',' + says + '}');
  });`;
  const env = { METHOD: method, SAYS: error, TOKEN: 'env://TEST_TOKEN' };
  const args = ['-e', script];
  return said({ kind: 'stdio', command: process.execPath, args, env, workingDirectory: null }, method);
}

/** `how`: as JSON, in a stream of events, without an id, or beside a status that is no success. */
async function overHttp(
  error: string,
  method: Method = 'tools/call',
  how: 'json' | 'events' | 'without id' | 422 = 'json',
): Promise<string> {
  const server = createServer((request, response) => {
    if (request.method !== 'POST') return void response.writeHead(405).end();
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const asked = JSON.parse(body) as { method: string; id?: number };
      if (asked.id === undefined) return response.writeHead(202).end();
      const isIt = asked.method === method;
      const says = isIt ? `"error":${error}` : `"result":${JSON.stringify(opening)}`;
      const text = `{"jsonrpc":"2.0","id":${isIt && how === 'without id' ? 'null' : asked.id},${says}}`;
      const isEvents = isIt && how === 'events';
      const type = isEvents ? 'text/event-stream' : 'application/json';
      response.writeHead(isIt && how === 422 ? how : 200, { 'content-type': type });
      return response.end(isEvents ? `data: ${text}\n\n` : text);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  try {
    const headers = { Authorization: 'env://TEST_TOKEN' };
    return await said({ kind: 'http', url, allowPrivate: true, headers }, method);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const ways: readonly (readonly [string, (error: string) => Promise<string>])[] = [
  ['over standard streams', (error) => overStdio(error)],
  ['over HTTP, as JSON', (error) => overHttp(error)],
  ['over HTTP, in a stream of events', (error) => overHttp(error, 'tools/call', 'events')],
  ['over HTTP, without an id', (error) => overHttp(error, 'tools/call', 'without id')],
  ['over HTTP, by a status', (error) => overHttp(error, 'tools/call', 422)],
];

describe('what a server says in the `data` of an error', { timeout: 120_000 }, () => {
  for (const [how, refused] of ways) {
    test(`is told: the address that must be opened, ${how}`, async () => {
      const data =
        '{"elicitations":[{"mode":"url","elicitationId":"e1","url":"https://mcp.example/connect?e=1","message":"Authorization is required to access your files."}]}';
      const message = await refused(errorOf('This request requires more information.', data, -32042));
      assert.ok(message.endsWith(`This request requires more information.: ${data}`), message);
    });

    test(`is told as it was written: ${how}`, async () => {
      for (const [data, told] of [
        ['"no such invoice"', 'Internal error: no such invoice'],
        ['{ "invoice": 12345678901234567890 }', 'Internal error: {"invoice":"12345678901234567890"}'],
        ['12345678901234567890', 'Internal error: 12345678901234567890'],
        ['1e999', 'Internal error: 1e999'],
        ['false', 'Internal error: false'],
        ['0', 'Internal error: 0'],
      ] as const) {
        const message = await refused(errorOf('Internal error', data));
        assert.ok(message.endsWith(told), `${data}: ${message}`);
      }
    });

    test(`is nothing where it says nothing more: ${how}`, async () => {
      for (const data of [undefined, 'null', '""', '{}', '[]', '"Internal error"']) {
        const message = await refused(errorOf('Internal error', data));
        assert.ok(
          message.endsWith(': Internal error') || message.endsWith(' -32603: Internal error'),
          message,
        );
      }
    });

    test(`is masked, and cut, and a long message leaves it its room: ${how}`, async () => {
      const data = JSON.stringify({ with: token, more: 'x'.repeat(5_000) });
      const message = await refused(errorOf('Internal error', data));
      assert.match(message, /Internal error: \{"with":"\[redacted\]","more":"xxx/);
      assert.ok(message.length < 1_200 && !message.includes(token), message);
      for (const length of [600, 8_000]) {
        const both = await refused(errorOf('m'.repeat(length), data));
        assert.match(both, /mmm\.\.\.: \{"with":"\[redacted\]","more":"xxx[x]+\.\.\.$/);
        assert.ok(both.length < 1_200 && both.split('x').length > 400, both);
      }
      const half = token.length / 2;
      const spread = await refused(errorOf(token.slice(0, half), JSON.stringify(token.slice(half))));
      assert.match(spread, /\[redacted\]/);
      assert.ok(!spread.includes(token.slice(0, half)) && !spread.includes(token.slice(half)), spread);
      const far = await refused(
        errorOf(`${'m'.repeat(8_000)}${token.slice(0, half)}`, `"${token.slice(half)}"`),
      );
      assert.ok(!far.includes(token.slice(half)), far);
    });
  }

  test('is told that it cannot be read where it is nested too deeply', async () => {
    const deep = `${'['.repeat(500)}1${']'.repeat(500)}`;
    assert.match(
      await overStdio(errorOf('no', deep)),
      /: no: its `data` cannot be read: it is nested deeper/,
    );
  });

  for (const method of ['initialize', 'tools/list'] as const)
    test(`is told of a refusal before the call: \`${method}\``, async () => {
      const error = errorOf('Internal error', '{"licence":"has run out"}');
      for (const refused of [overStdio, overHttp]) {
        const message = await refused(error, method);
        assert.ok(message.endsWith('Internal error: {"licence":"has run out"}; nothing was sent'), message);
      }
    });
});
