// Errors that are none of the protocol, as servers write them, and lines of a server's log that only look like an error.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { closeExecutors, runCall } from '../../../src/executors/index.js';
import type { ExecutorResult } from '../../../src/executors/types.js';
import { contextWith, mcpServer } from '../world.js';

after(closeExecutors);

const call = { kind: 'mcp', connection: 'c', tool: 't', arguments: {} } as const;
const methods = ['initialize', 'tools/list', 'tools/call'] as const;
type Method = (typeof methods)[number];

const script = `
const answers = {
  initialize: { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } },
  'tools/list': { tools: [{ name: 't', inputSchema: { type: 'object' } }] },
  'tools/call': { content: [], structuredContent: { ok: 1 } },
};
const { METHOD, BEFORE, INSTEAD } = process.env;
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method } = JSON.parse(line);
  if (id === undefined) return;
  if (method === METHOD && BEFORE !== '') console.log(BEFORE.replace('"ID"', id));
  const right = JSON.stringify({ jsonrpc: '2.0', id, result: answers[method] });
  console.log(method === METHOD && INSTEAD !== '' ? INSTEAD.replace('"ID"', id) : right);
});`;

/** What comes of a call with a key to a server that writes `before` in front of one of its answers, or another text instead of it. */
function callServer(method: Method, { before = '', instead = '' }): Promise<ExecutorResult> {
  const env = { METHOD: method, BEFORE: before, INSTEAD: instead };
  return runCall(call, contextWith(mcpServer(script, env), { idempotencyKey: 'k' }));
}

describe('a line of a log on standard output is no answer', { timeout: 60_000 }, () => {
  const lines = [
    '{"level":"warn","error":"dial tcp 10.0.0.1:6379: connect: connection refused","message":"cache unavailable"}',
    '{"level":"error","ts":1.1,"caller":"cache/redis.go:12","msg":"cache miss","error":"EOF"}',
    '{"error":null,"level":"info","msg":"done"}',
    '{"error":false,"latency_ms":12}',
    '{"level":40,"msg":"retry","error":{"message":"ECONNRESET","code":"ECONNRESET"}}',
    '{"level":40,"msg":"retry","error":{"message":"too many","code":429}}',
    '{"level":30,"id":"ID","msg":"handling"}',
    '{"level":50,"id":"ID","msg":"slow","error":"EOF"}',
    '{"level":"warn","id":"ID","msg":"retrying","error":{"code":429,"message":"too many requests"}}',
    '{"level":"debug","time":1,"id":"ID","msg":"handled","result":"ok"}',
    '{"level":"debug","id":"ID","msg":"handled","result":{"ok":1}}',
    '{"ts":1,"id":"ID","event":"tool.done","result":{"content":[]},"error":false}',
    '{"level":"info","jsonrpc":"2.0","id":"ID","msg":"request"}',
    '{"time":"t","level":"INFO","msg":"call done","jsonrpc":"2.0","id":"ID","isError":false}',
    '{"level":"info","jsonrpc":"2.0","id":"ID","content":"application/json","msg":"in"}',
    '{"level":30,"jsonrpc":"2.0","id":"ID","result":"[Object]","msg":"response"}',
    '{"level":"warn","jsonrpc":"2.0","id":"ID","msg":"retrying","error":{"code":-32000,"message":"timeout"}}',
    '{"level":40,"jsonrpc":"2.0","id":"ID","msg":"retrying","error":{"type":"Error","message":"ECONNRESET"}}',
  ];
  for (const method of methods)
    test(`before the answer to ${method}`, async () => {
      for (const before of lines) {
        const result = await callServer(method, { before });
        assert.equal(result.status, 'succeeded', `${before}: ${JSON.stringify(result)}`);
      }
    });
});

describe('an error that is none of the protocol is told with what it says', { timeout: 60_000 }, () => {
  const broken = '{"code":"X","message":"licence over"}';
  const withId = `{"jsonrpc":"2.0","id":"ID","error":${broken}}`;
  const noWhole = 'it is an error whose code is no whole number below 2^53: X: licence over';
  for (const [where, method, instead, errorClass, says] of [
    [
      'to `initialize`',
      'initialize',
      withId,
      'permanent',
      `refused \`initialize\`: ${noWhole}; nothing was sent`,
    ],
    ['to `tools/list`', 'tools/list', withId, 'transient', 'an error that is none of the protocol'],
    ['to the call', 'tools/call', withId, 'permanent', `answered no tool result: ${noWhole}`],
    [
      'without an id',
      'tools/call',
      `{"jsonrpc":"2.0","error":${broken}}`,
      'permanent',
      `an error without an id, which may be about another message: ${noWhole}`,
    ],
    [
      'without `jsonrpc`, with a field more',
      'tools/call',
      '{"id":"ID","error":{"code":-32602,"message":"no such account"},"timestamp":"t"}',
      'permanent',
      'was refused by its server: MCP error -32602: no such account',
    ],
    [
      'and no result, under the id of the call',
      'tools/call',
      '{"jsonrpc":"2.0","id":"ID","isError":true,"content":[{"type":"text","text":"top level"}]}',
      'permanent',
      'it has neither a `result` nor an `error`: {"isError":true,"content":[{"type":"text","text":"top level"}]}',
    ],
    [
      'beside a result',
      'tools/call',
      '{"jsonrpc":"2.0","id":"ID","result":{},"error":{"code":-32602,"message":"no such account"}}',
      'permanent',
      'it has both a `result` and an `error`: no such account',
    ],
  ] as const)
    test(where, async () => {
      const result = await callServer(method, { instead });
      assert.ok(result.status === 'failed', JSON.stringify(result));
      assert.equal(result.errorClass, errorClass, result.message);
      assert.ok(result.message.includes(says), result.message);
      assert.match(result.message, /licence over|no such account|top level/);
    });
});
