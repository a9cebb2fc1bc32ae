import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFlowText, type Catalog } from '../../src/policy/index.js';
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

test('YAML that was sent as JSON is told how to send it, and only that', () => {
  const environments = [
    { name: 'dev', requireTiers: false, refuseWarnings: false, gateTimeoutMs: 3_600_000 },
  ];
  const catalog: Catalog = {
    policySet: { v: 1, baseDirectory: '/', roles: [], queues: [], environments, connections: [] },
    tools: [],
  };
  const told = (text: string, file?: string): string => {
    const given = file === undefined ? {} : { file };
    const checked = checkFlowText(text, { catalog, media: 'json', ...given });
    return checked.status === 'invalid' ? (checked.errors[0]?.message ?? '') : '';
  };
  const hint = /; if it is YAML, send it as `application\/yaml`$/;
  assert.match(told('# why\nworkflows: {}\n'), hint);
  for (const other of [
    told('# why\nworkflows: {}\n', 'a.json'),
    told('{"workflows": {}}'),
    told('{"a": 01}'),
    told('{'),
  ])
    assert.ok(other !== '' && !hint.test(other), other);
});
