import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkFlowText, type Catalog } from '../../src/policy/index.js';
import { parseText } from '../../src/policy/text/source.js';
import { withStates } from './documents.js';

// What stands in a YAML text and is not seen: another space than a space, and tabs.

const environments = [{ name: 'dev', requireTiers: false, refuseWarnings: false, gateTimeoutMs: 3_600_000 }];
const catalog: Catalog = {
  policySet: { v: 1, baseDirectory: '/', roles: [], queues: [], environments, connections: [] },
  tools: [],
};

interface Told {
  readonly place: string;
  readonly message: string;
}

function troubleOf(text: string): Told | null {
  const parsed = parseText(text);
  if (parsed.status === 'parsed') return null;
  const [problem] = parsed.problems;
  return { place: `${problem?.line}:${problem?.column}`, message: problem?.message ?? '' };
}

function valueOf(text: string): unknown {
  const parsed = parseText(text);
  return parsed.status === 'parsed' ? parsed.source.value : parsed.problems;
}

const spaced = [
  'a:  b # why',
  'list:',
  '  - x',
  '  -  y',
  'flow: { k: v, w: [ 1, 2 ] }',
  '"q": "r" # why',
  'deep:',
  '  deeper: 5 ',
  'text: | # why',
  '  of a block',
].join('\n');

for (const [name, space] of [
  ['U+00A0', '\u00a0'],
  ['U+3000', '\u3000'],
] as const)
  test(`${name} in the place of any space that means something is told where it stands`, () => {
    const block = spaced.indexOf('  of');
    for (const [at, char] of [...spaced].entries()) {
      // Within a comment and within the block a space is a character like others.
      if (char !== ' ' || spaced[at - 1] === '#' || at > block) continue;
      const lines = spaced.slice(0, at).split('\n');
      const text = spaced.slice(0, at) + space + spaced.slice(at + 1);
      assert.deepEqual(
        troubleOf(text),
        {
          place: `${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`,
          message: `this line holds ${name}, which looks like a space and is another: write a space, or put the text in quotes if it is meant`,
        },
        text,
      );
    }
  });

test('such a character within a text, in quotes or in a comment is what it is', () => {
  const text = 'price: 10\u00a0€ a day #\u00a0why\nquoted: "\u00a0x:\u00a0y "\nblock: |\n  x:\u00a0y\u00a0\n';
  assert.deepEqual(valueOf(text), {
    price: '10\u00a0€ a day',
    quoted: '\u00a0x:\u00a0y ',
    block: 'x:\u00a0y\u00a0\n',
  });
});

test('a flow that was published with such a character goes on', () => {
  const text = withStates('a: { terminal: true, description: what it does\u00a0 }');
  const now = checkFlowText(text, { catalog });
  assert.ok(now.status === 'invalid');
  assert.match(now.errors[0]?.message ?? '', /^this line holds U\+00A0/);
  const before = checkFlowText(text, { catalog, isPublished: true });
  assert.equal(before.status, 'valid', JSON.stringify(before));
});

const returnMessage =
  'this line holds U+000D (a carriage return) without a line feed behind it, which some readers take for the end of a line and others do not: end lines with a line feed (`\\n` or `\\r\\n`)';

for (const [text, place] of [
  // Editors show a second line; this parser takes it for a part of the comment.
  ['a: 1 # why\rgate: { roles: [controller] }\nb: 2\n', '1:11'],
  ['a: 1\r\r\nb: 2\n', '1:5'],
  ['a: 1\rb: 2\r', '1:5'],
  ['a:\n  text: "one\rtwo"\n', '2:13'],
  ['a: |\n  one\rtwo\n', '2:6'],
  ['{ "a": 1,\r"b": 2 }', '1:10'],
] as const)
  test(`a carriage return that ends no line is told where it stands: ${JSON.stringify(text)}`, () => {
    assert.deepEqual(troubleOf(text), { place, message: returnMessage });
  });

for (const [name, character] of [
  ['U+0085', '\u0085'],
  ['U+2028', '\u2028'],
  ['U+2029', '\u2029'],
] as const)
  test(`${name} in a comment is told, since others read a line behind it, and in a text it is what it is`, () => {
    assert.deepEqual(troubleOf(`a: 1 # why${character}  gate: {}\n`), {
      place: '1:11',
      message: `this comment holds ${name}, which other readers of YAML take for the end of a line: take it out`,
    });
    assert.equal(troubleOf(`a: "x${character}y" # why\n`), null);
  });

for (const [code, character] of [
  ['0000', '\0'],
  ['0008', '\b'],
  ['000B', '\v'],
  ['000C', '\f'],
  ['001B', '\x1b'],
  ['007F', '\x7f'],
] as const)
  test(`U+${code} is told wherever it stands, and may be written as an escape`, () => {
    const message = `this line holds U+${code}, which is no character of YAML, and which not every reader shows: take it out, or write it as \`\\x${code.slice(2)}\` in double quotes`;
    assert.deepEqual(troubleOf(`a: 1 # why${character}  gate: {}\n`), { place: '1:11', message });
    assert.deepEqual(troubleOf(`a: x${character}y\n`), { place: '1:5', message });
    assert.equal(
      troubleOf(`a: "x\\x${code.slice(2)}y"\n`)?.message.includes('no character of YAML') ?? false,
      false,
    );
  });

for (const [code, character] of [
  ['0090', '\u0090'],
  ['202E', '\u202e'],
  ['2066', '\u2066'],
] as const)
  test(`U+${code} in a comment is told, since it hides or moves what stands there, and in a text it is what it is`, () => {
    assert.deepEqual(troubleOf(`a: 1 # why${character}  gate: {}\n`), {
      place: '1:11',
      message: `this comment holds U+${code}, by which some readers show it in another order, or not at all: take it out`,
    });
    assert.equal(troubleOf(`a: "x${character}y" # why\n`), null);
  });

test('a gate behind a comment and a carriage return is not passed over, and a flow that was published so goes on', () => {
  const text = withStates('a: { terminal: true } # why\r    description: two lines');
  const now = checkFlowText(text, { catalog });
  assert.ok(now.status === 'invalid');
  assert.deepEqual(now.errors[0]?.message, returnMessage);
  assert.equal(checkFlowText(text, { catalog, isPublished: true }).status, 'valid');
  assert.equal(checkFlowText(text.replace('\r', '\r\n'), { catalog }).status, 'valid');
});

for (const text of [
  'a: |\n\tx\n',
  'a: >-\n\tx\n\ty\nb: 1\n',
  'a: |2\n\tx\n',
  '- |\n\tx\n',
  'a: "x\n\ty"\n',
  'a:\n  - b: 1\n  \tc: 1\n',
] as const)
  test(`tabs that YAML stops at are named, and with spaces it loads: ${JSON.stringify(text)}`, () => {
    const line = text.split('\n').findIndex((each) => each.includes('\t')) + 1;
    assert.deepEqual(troubleOf(text), {
      place: `${line}:1`,
      message: 'tabs are not allowed as indentation: indent with spaces',
    });
    assert.equal(troubleOf(text.replace('  \t', '    ').replaceAll('\t', '  ')), null);
  });

test('a tab beside a mistake that it did not make is not blamed', () => {
  for (const text of ['a: {\n  b: 1,\n  \tc: d: e }\n', 'a: |\n  \tx\nb\n'])
    assert.doesNotMatch(troubleOf(text)?.message ?? '', /tabs/);
});
