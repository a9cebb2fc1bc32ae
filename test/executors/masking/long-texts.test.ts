// Texts of a target that take long to look through only where that is done more than once: each is read within the limit
// of its test, and a reader that goes back over them takes hours.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseExactly } from '../../../src/executors/answer/exact-json.js';
import { root } from '../../../src/executors/answer/places.js';
import { makeMask } from '../../../src/executors/masking/mask.js';
import { makeEventReader, toReadableMessage } from '../../../src/executors/mcp/message.js';
import { readToolResult } from '../../../src/executors/mcp/tool-result.js';
import { isExactNumber } from '../../../src/model/values/json.js';

const size = 1_048_576;
const timeout = 30_000;
const digits = '1'.repeat(size);
const eventsRead = (): ((text: string) => string) => {
  const read = makeEventReader();
  return (text) => [...read(text)].join('');
};
const quotes = '\\"'.repeat(size / 2);

describe('a mebibyte', { timeout }, () => {
  const broken: readonly (readonly [string, string])[] = [
    ['digits and a letter', `${digits}x`],
    ['digits that nothing ends', `{"a": ${digits}`],
    ['digits and points', `[${'1.'.repeat(size / 2)}]`],
    ['a number and spaces', `1${' '.repeat(size)}x`],
    ['quotes outside of a text', quotes],
    ['quotes in a text that nothing ends', `"${quotes}`],
    ['texts that nothing ends', '"\\'.repeat(size / 2)],
  ];
  for (const [name, text] of broken)
    test(`of ${name} is not JSON`, () => {
      assert.equal(parseExactly(text).status, 'malformed');
      assert.equal(toReadableMessage(text).status, 'no_message');
      const content = [{ type: 'text', text }];
      const read = readToolResult({ content }, makeMask([]));
      assert.ok(read.status === 'read');
      assert.deepEqual(read.output, { content });
    });

  test('of what is JSON is read', () => {
    assert.deepEqual(parseExactly(`"${quotes}"`), {
      status: 'parsed',
      value: '"'.repeat(size / 2),
      exact: [],
    });
    assert.deepEqual(parseExactly(`{"n":${digits}}`), {
      status: 'parsed',
      value: { n: digits },
      exact: [{ within: root, step: 'n' }],
    });
  });

  test('that is a number for the most part is none', () => {
    assert.equal(isExactNumber(`${digits}x`), true);
    assert.equal(isExactNumber(digits), false);
  });

  test('of an event that comes in pieces of one character is read once', () => {
    const read = eventsRead();
    const text = `data: {"a": "${'x'.repeat(size)}",\ndata: "n": 1}\n\n`;
    let said = '';
    for (const character of text) said += read(character);
    assert.equal(said, text.replaceAll('data: ', 'data:  '));
  });

  test('of broken events is passed on as it is, and nothing but the ends of events is nothing', () => {
    for (const text of [`data: ${digits}x\n\n`, `data: ${quotes}\n\n`])
      assert.equal(eventsRead()(text), text);
    assert.equal(eventsRead()('\n'.repeat(size)), '');
  });
});

describe('a stream of events', () => {
  const message = 'id: 1\ndata: {"n":\ndata: 12345678901234567890}\n: ping\n\n';
  const marked = /^id: 1\n: ping\ndata: {2}\{"n":\ndata: {2}"exact:[^"]+:12345678901234567890"\}\n\n$/;

  for (const [name, end] of [
    ['line feeds', '\n'],
    ['returns', '\r'],
    ['both', '\r\n'],
  ] as const)
    test(`is read with ${name}, whole and in pieces`, () => {
      const text = message.replaceAll('\n', end);
      assert.match(eventsRead()(text), marked);
      const read = eventsRead();
      assert.match([...text].map((character) => read(character)).join(''), marked);
    });

  test('has no event that was not ended', () => {
    assert.equal(eventsRead()('data: {"n": 1}\n'), '');
  });

  test('keeps what is no message', () => {
    const text = 'id: 7\ndata:\n\n: ping\n\ndata: words\n\n';
    assert.equal(eventsRead()(text), text);
  });
});
