import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseText } from '../../src/policy/source.js';

// Numbers of policies are what their author wrote, or an error that says to quote.

const located: readonly (readonly [string, string])[] = [
  ['a: 00123456', '1:4 /a'],
  ['a: 0777', '1:4 /a'],
  ['a: -012', '1:4 /a'],
  ['a:\n  - x\n  - 01.5', '3:5 /a/1'],
  ['{"a": 12345678901234567890}', '1:7 /a'],
  ['a: 9007199254740993', '1:4 /a'],
  ['a: 0.12345678901234567891', '1:4 /a'],
  ['a: 1e400', '1:4 /a'],
  ['a: 1e-400', '1:4 /a'],
  ['a: 0x20000000000001', '1:4 /a'],
];
for (const [text, place] of located)
  test(`\`${text}\` is an error that says to quote`, () => {
    const parsed = parseText(text, undefined, text.startsWith('{') ? 'json' : 'yaml');
    assert.ok(parsed.status === 'invalid');
    const [problem] = parsed.problems;
    assert.equal(`${problem?.line}:${problem?.column} ${problem?.path}`, place);
    assert.match(problem?.message ?? '', /write it as text, `"/);
  });

const taken: readonly (readonly [string, unknown])[] = [
  ['a: "00123456"', '00123456'],
  ["a: '0777'", '0777'],
  ['a: 0', 0],
  ['a: 0.1', 0.1],
  ['a: 1.10', 1.1],
  ['a: 0.30000000000000004', 0.30000000000000004],
  ['a: 1e3', 1000],
  ['a: 0x1F', 31],
  ['a: 9007199254740991', 9007199254740991],
];
for (const [text, value] of taken)
  test(`\`${text}\` is what it says`, () => {
    const parsed = parseText(text);
    assert.ok(parsed.status === 'parsed');
    assert.deepEqual(parsed.source.value, { a: value });
  });
