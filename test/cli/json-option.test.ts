import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readJsonOption } from '../../src/cli/json-option.js';

function toldOf(text: string): string {
  try {
    return readJsonOption('input', text);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

test('an option that is not JSON is told why, and where', () => {
  for (const [text, why, place] of [
    ['{"amount": 007}', 'the number `007` begins with 0', '(line 1, at `007}`)'],
    ['{"a": 1}}', 'not JSON: the value has ended before this', '(line 1, at `}`)'],
    ['{"a": 1,\n}', 'not JSON: expected double-quoted property name', '(line 2, at `}`)'],
    ['{"a": 1} // why', 'not JSON: a comment stands here', '(line 1, at `// why`)'],
    ['{"a": NaN}', 'not JSON: unexpected `NaN`', '(line 1, at `NaN}`)'],
    ['{', 'not JSON: expected property name', '(line 1, at its end)'],
  ] as const) {
    const told = toldOf(text);
    assert.ok(told.startsWith(`--input: ${why}`) && told.includes(place), told);
  }
});

test('double quotes are asked for only where a word stands bare or in other quotes', () => {
  const quotes = /names and texts stand in double quotes/;
  for (const text of ['{a: 1}', "{'a': 1}", '{“a”: 1}', '{"a": 3d}', '{"a": b}'])
    assert.match(toldOf(text), quotes, text);
  for (const text of ['{"a": 007}', '{"a": 1}}', '{"a": 1,}', '{"a": 1} // b', '{', '', '{"a": 1 "b": 2}'])
    assert.doesNotMatch(toldOf(text), quotes, text);
});
