import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkFlowText, type Catalog } from '../../src/policy/index.js';
import { parseText } from '../../src/policy/text/source.js';
import { runsOf } from '../../testing/samples.js';

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
  ['\ufeff{\n"a": 😀}', '2:6 not JSON: unexpected `😀`'],
  ['{"a": [1,\n2}\n}', "2:2 not JSON: expected ',' or ']' after array element"],
  ['{"a": 1,\n"b": 2', "2:7 not JSON: expected ',' or '}' after property value"],
  ['{"a":\n', '2:1 not JSON: unexpected end of JSON input'],
  [
    '{\n"a":\u00a01}',
    '2:5 not JSON: this line holds U+00A0, which looks like a space and is another: write a space',
  ],
];
for (const [text, told] of refused)
  test(`${JSON.stringify(text)} is told at the word that JSON does not have`, () => {
    assert.equal(troubleOf(text), told);
  });

const whole = '{\n  "a": [1, true, {}],\n  "b: # //": -2.5,\n  "c": null\n}\n';
test('a comment is said to be one, wherever it stands between the parts of a JSON text', () => {
  const places = [...`${whole} `].flatMap((_, at) => (isBetween(whole, at) ? [at] : []));
  assert.ok(places.length > 20);
  for (const comment of ['// the flow: name\n', '/* {"x": 1} */', '# why\n'])
    for (const at of places) {
      const text = whole.slice(0, at) + comment + whole.slice(at);
      const lines = whole.slice(0, at).split('\n');
      const place = `${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
      assert.equal(
        troubleOf(text),
        `${place} not JSON: a comment stands here, and JSON has none: take it out`,
        text,
      );
    }
});

/** Whether the place is outside of texts and numbers: a space there changes nothing. */
function isBetween(json: string, at: number): boolean {
  try {
    assert.deepEqual(JSON.parse(`${json.slice(0, at)} ${json.slice(at)}`), JSON.parse(json));
    return true;
  } catch {
    return false;
  }
}

test('what follows a JSON text is told where it begins, and taken out it loads', () => {
  for (const rest of ['{"b": 2}', '}', ']', '"x"', ', 1', '"b": 2}']) {
    const told = troubleOf(`{"a": 1}\n${rest}`);
    assert.match(told, /^2:1 not JSON: the value has ended before this: take out what follows it, or /);
  }
  assert.equal(parseText('{"a": 1}\n', 'a.json', 'json').status, 'parsed');
});

test('what a merge left in a JSON text is told as that', () => {
  const told = troubleOf('{\n<<<<<<< ours\n"a": 1\n=======\n"a": 2\n>>>>>>> theirs\n}\n');
  assert.match(told, /^2:1 a merge left a conflict here: /);
});

test('whatever is not JSON is told as JSON, at a line of the text', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    "'",
    '//',
    '#',
    '- ',
    '\n',
    '\t',
    '&a',
    '!x',
    '|',
    '0',
  );
  fc.assert(
    fc.property(fc.json({ maxDepth: 3 }), fc.nat(), pieces, (json, at, piece) => {
      const cut = at % (json.length + 1);
      const text = json.slice(0, cut) + piece + json.slice(cut);
      const parsed = parseText(text, 'a.json', 'json');
      if (isJson(text)) return;
      assert.ok(parsed.status === 'invalid');
      const [problem] = parsed.problems;
      assert.match(problem?.message ?? '', /^not JSON: |^the number `/);
      assert.ok(problem !== undefined && problem.line <= text.split('\n').length);
    }),
    { numRuns: runsOf(2_000) },
  );
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

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
