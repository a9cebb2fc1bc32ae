import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseText } from '../../src/policy/text/source.js';

// Text that YAML takes and JSON does not: told where it is wrong, on one line.

function troubleOf(text: string): string {
  const parsed = parseText(text, 'a.json', 'json');
  const [problem] = parsed.status === 'invalid' ? parsed.problems : [];
  return `${problem?.line}:${problem?.column} ${problem?.message}`;
}

const refused: readonly (readonly [text: string, told: string])[] = [
  ['\n\n\n{\n"workflows": xyz,\n"b": 1,\n"c": 2\n}\n', '5:14 not JSON: unexpected `xyz`'],
  ['{"a": "True, nil",\n"b": True}', '2:6 not JSON: unexpected `True`'],
  ['[\nnil\n]', '2:1 not JSON: unexpected `nil`'],
  ['[1, 2,\n]', '2:1 not JSON: unexpected `]`'],
  ['{"a":\n,"b": 1}', '2:1 not JSON: unexpected `,`'],
  ['[[], [ ],\n"x", {}, -0.5e3, \'y\']', "2:18 not JSON: unexpected `'`"],
  ['undefined', '1:1 not JSON: unexpected `undefined`'],
  ['\n# why\n{}', '2:1 not JSON: unexpected `#`'],
  ['\ufeff{\n"a": 😀}', '2:6 not JSON: unexpected `😀`'],
];
for (const [text, told] of refused)
  test(`${JSON.stringify(text)} is told at the word that JSON does not have`, () => {
    assert.equal(troubleOf(text), told);
  });

test('what JSON lacks is told at its place, also behind a byte order mark', () => {
  assert.match(troubleOf('\ufeff{\n"a": 1,\n}'), /^3:1 not JSON: expected double-quoted property name/);
});
