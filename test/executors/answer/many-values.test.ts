// What an answer may hold, besides its bytes: what is over it is refused before everybody waits for it.
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { parseExactly } from '../../../src/executors/answer/exact-json.js';
import { runCall } from '../../../src/executors/index.js';
import { makeMask } from '../../../src/executors/masking/mask.js';
import { toReadableBody, makeEventReader, toReadableMessage } from '../../../src/executors/mcp/message.js';
import { readToolResult } from '../../../src/executors/mcp/tool-result.js';
import type { ExecutorResult } from '../../../src/executors/types.js';
import { canonical } from '../../../src/model/values/canonical.js';

const list = (unit: string, count: number): string => `[${Array(count).fill(unit).join(',')}]`;
const names = (count: number): string =>
  `{${Array.from({ length: count }, (_, index) => `"n${index}":1`).join(',')}}`;

/** Each is one value, or one number, over the limit; and one that is just within it. */
const shapes: readonly (readonly [string, string, string, RegExp])[] = [
  ['numbers', list('1', 50_001), list('1', 50_000), /over 50000 values/],
  ['names', names(50_001), names(50_000), /over 50000 values/],
  ['objects', list('{}', 25_001), list('{}', 25_000), /over 50000 values/],
  [
    'lists in lists',
    list('['.repeat(100) + ']'.repeat(100), 500),
    list('['.repeat(100) + ']'.repeat(100), 490),
    /over 50000 values/,
  ],
  [
    'numbers beyond every double',
    list('1e999', 10_001),
    list('1e999', 10_000),
    /over 10000 numbers that no double holds/,
  ],
  [
    'long numbers',
    list('12345678901234567890', 10_001),
    list('12345678901234567890', 10_000),
    /over 10000 numbers/,
  ],
];

describe('an answer of JSON', () => {
  for (const [what, over, within, says] of shapes)
    test(`with too many ${what} is refused, and one with fewer is read`, () => {
      const read = parseExactly(over);
      assert.ok(read.status === 'too_large', read.status);
      assert.match(read.why, says);
      assert.equal(parseExactly(within).status, 'parsed');
    });

  test('with many commas in its strings has one value', () => {
    assert.equal(parseExactly(JSON.stringify([','.repeat(60_000)])).status, 'parsed');
  });

  test('that is none is text, whatever commas it has', () => {
    for (const text of ['a,'.repeat(60_000), `[info] ${'a,'.repeat(60_000)}]`])
      assert.equal(parseExactly(text).status, 'malformed');
  });
});

describe('a message of an MCP server with too many values', () => {
  const result = (text: string): string =>
    `{"jsonrpc":"2.0","id":1,"result":{"content":[],"structuredContent":{"a":${text}}}}`;
  for (const [what, over, , says] of shapes)
    test(`is told of, not passed on: ${what}`, () => {
      const message = toReadableMessage(result(over));
      assert.ok(message.status === 'too_large');
      assert.match(message.why, says);
      const body = toReadableBody(result(over));
      assert.ok(body.status === 'unreadable');
      assert.match(body.why, says);
      const [event] = [...makeEventReader()(`data: ${result(over)}\n\n`)].slice(-1);
      assert.ok(typeof event === 'object');
      assert.match(event.why, says);
    });

  test('and so is a text that is such JSON', () => {
    const content = [{ type: 'text', text: list('1', 50_001) }];
    assert.equal(readToolResult({ content }, makeMask([])).status, 'too_large');
  });

  test('but a line of a log is no message', () => {
    assert.equal(toReadableMessage('a,'.repeat(60_000)).status, 'no_message');
  });
});

let server: Server | null = null;
afterEach(() => server?.close());

async function answered(text: string, hasEffect: boolean): Promise<ExecutorResult> {
  server = createServer((_request, response) =>
    response.setHeader('content-type', 'application/json').end(text),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return runCall(
    {
      kind: 'rest',
      connection: 'erp',
      method: 'POST',
      path: '/',
      writtenPath: '/',
      query: [],
      headers: [],
      body: undefined,
    },
    {
      ...{
        idempotencyKey: 'k',
        timeoutMs: 30_000,
        signal: new AbortController().signal,
        hasEffect,
        baseDirectory: '/',
      },
      connection: { kind: 'rest', name: 'erp', baseUrl, headers: {}, allowPrivate: true } as never,
    },
  );
}

describe('a call whose target answers too many values', () => {
  for (const [what, over, , says] of shapes)
    test(`says so, and whether its effect happened is not known: ${what}`, async () => {
      const result = await answered(over, true);
      assert.ok(result.status === 'failed');
      assert.match(result.message, says);
      assert.equal(result.errorClass, 'unknown_outcome');
    });

  test('fails for good where it changes nothing', async () => {
    const result = await answered(list('1', 50_001), false);
    assert.ok(result.status === 'failed' && result.errorClass === 'permanent');
  });
});

test('the canonical form of what is nested copies nothing at each level', { timeout: 60_000 }, () => {
  let nested: unknown = 'x'.repeat(1_000_000);
  for (let level = 0; level < 199; level += 1) nested = level % 2 === 0 ? [1, nested] : { a: nested };
  // Where each level copies it, this takes minutes.
  for (let count = 0; count < 300; count += 1) assert.equal(canonical(nested).length > 1_000_000, true);
});
