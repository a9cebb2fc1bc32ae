import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/model/values/json.js';
import { fillIn, type Filling } from '../../src/schema/defaults/defaults.js';
import { misreadingIn } from '../../src/schema/dialects.js';
import { compileSchema, tooMuchTogether } from '../../src/schema/index.js';
import { keywords, workKeyword } from '../../src/schema/ajv/keywords.js';
import { compilePattern } from '../../src/schema/patterns/pattern.js';
import { inCampaigns, runsOf } from '../../testing/samples.js';

// Whatever a schema or a value is made of, compiling and validating end soon. That is so by construction, and nothing here is
// timed: where a bound is missing, a test does not end.

const property = (schema: JsonObject): JsonObject => ({ type: 'object', properties: { a: schema } });

function check(schema: JsonObject, a: Json): string {
  const compiled = compileSchema(property(schema));
  assert.ok(compiled.status === 'ok', JSON.stringify(compiled));
  const checked = compiled.validate({ a });
  return checked.status === 'valid' ? 'valid' : (checked.errors[0]?.message ?? '');
}

function refusal(schema: JsonObject): string {
  const compiled = compileSchema(property(schema));
  assert.ok(compiled.status === 'invalid', 'the schema compiles');
  return compiled.message;
}

const tooMuch = /too much work/;
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** Counts how often its parts are asked what is filled in below them. */
function counted(filling: Filling): { readonly filling: Filling; readonly asked: () => number } {
  type Part = Filling['parts'][number];
  let asked = 0;
  const known = new Map<Part, Part>();
  const all = (parts: readonly Part[]): readonly Part[] => {
    asked += 1;
    return parts.map(counting);
  };
  const counting = (part: Part): Part => {
    const made = known.get(part) ?? {
      ...part,
      ofName: (name) => all(part.ofName(name)),
      ofItem: (index) => all(part.ofItem(index)),
    };
    known.set(part, made);
    return made;
  };
  return { filling: { ...filling, parts: filling.parts.map(counting) }, asked: () => asked };
}

/** For how many subschemas that count their work is code made? */
function timesCounted(schema: JsonObject): number {
  const [work] = keywords;
  assert.ok(work?.keyword === workKeyword && work.compile !== undefined);
  const { compile } = work;
  let count = 0;
  work.compile = (...given) => {
    count += 1;
    return compile(...given);
  };
  try {
    assert.equal(compileSchema(schema).status, 'ok');
  } finally {
    work.compile = compile;
  }
  return count;
}

describe('patterns', () => {
  it('take linear time where a backtracking engine takes for ever', () => {
    for (const pattern of ['^(a+)+$', '(x+x+)+y', '^(\\w|a)*!$', '(.*)*[0-9]$'])
      assert.match(check({ type: 'string', pattern }, `${'a'.repeat(50_000)}?`), /must match/);
    const names = { type: 'object', patternProperties: { '^(a+)+$': { type: 'number' } } };
    assert.equal(check(names, { [`${'a'.repeat(50_000)}!`]: 'x' }), 'valid');
  });

  it('accept exactly what ECMA-262 says, wherever they are accepted at all', () => {
    const atoms = [
      'a',
      'b',
      '.',
      '\\d',
      '\\w',
      '\\s',
      '\\S',
      '\\W',
      '[a-c]',
      '[^a]',
      '[\\s\\S]',
      '[\\d-]',
      '[]',
      '[^]',
      '\\b',
      '\\n',
      '\\u{1F600}',
      '\\uD83D\\uDE00',
      '\\p{Lu}',
      '\\P{L}',
      '[\\b]',
      '\\cJ',
      '\\.',
      '\\/',
      '[--a]',
      '^',
      '$',
    ];
    const atom = fc.constantFrom(...atoms);
    const times = fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,3}', '*?');
    const term = fc.oneof(
      fc.tuple(atom, times).map(([name, many]) => (/^(\\b|\^|\$)$/.test(name) ? name : name + many)),
      fc.tuple(atom, atom, times).map(([name, other, many]) => `(?:${name}|${other})${many}`),
    );
    const pattern = fc.array(term, { minLength: 1, maxLength: 5 }).map((terms) => terms.join(''));
    const signs = [
      'a',
      'b',
      'c',
      'A',
      '1',
      ' ',
      '\n',
      '\r',
      '\u2028',
      '\ufeff',
      'é',
      '😀',
      '.',
      '/',
      '-',
      '\b',
    ];
    const text = fc.array(fc.constantFrom(...signs), { maxLength: 6 }).map((all) => all.join(''));
    fc.assert(
      fc.property(pattern, text, (written, value) => {
        const compiled = compilePattern(written);
        assert.ok(compiled.status === 'ok', JSON.stringify(compiled));
        assert.equal(compiled.pattern.test(value), new RegExp(written, 'u').test(value));
      }),
      { numRuns: runsOf(3_000) },
    );
  });

  const refused: Readonly<Record<string, RegExp>> = {
    '^(?=.*\\d)': /ahead or behind.*`allOf`/,
    '(?<!a)b': /ahead or behind/,
    '(a)\\1': /back to a group/,
    '(?<x>a)\\k<x>': /back to a group/,
    '\\p{Emoji}': /property `Emoji`/,
    'a{0,5000}': /`maxLength`/,
    '(?:a{900}){900}': /`maxLength`/,
    '\\ud83d': /surrogate/,
    '(': /no regular expression/,
  };
  const many = (count: number, pattern: (index: number) => string): JsonObject => ({
    type: 'object',
    properties: Object.fromEntries(
      times(count, (index) => ({ type: 'string', pattern: pattern(index) })).map((property, index) => [
        `p${index}`,
        property,
      ]),
    ),
  });
  const costly: Readonly<Record<string, (index: number) => string>> = {
    'counted classes': (index) => `^[a-z]{1,480}[a-y]{0,480}k${index}$`,
    'properties of Unicode': (index) => `${'[\\p{L}\\p{N}\\p{S}\\p{P}]'.repeat(60)}k${index}`,
    'long lists of words': (index) => `^(?:${'abcdefgh|'.repeat(300)}${index})$`,
  };
  for (const [what, pattern] of Object.entries(costly))
    it(`are refused where there are so many that whoever first uses them would wait: ${what}`, () => {
      const message =
        /up to that of `\/properties\/a\/properties\/p\d+`, take too long to compile: .*`maxLength`/;
      assert.match(refusal(many(60, pattern)), message);
      const byName = times(60, (index) => [pattern(index), {}] as const);
      assert.match(
        refusal({ type: 'object', patternProperties: Object.fromEntries(byName) }),
        /take too long/,
      );
      const same = many(60, () => pattern(0));
      assert.equal(check(same, {}), 'valid', 'one pattern is compiled once, wherever it stands');
    });

  it('are taken where there are many plain ones', () => {
    assert.equal(
      check(
        many(200, (index) => `^[A-Z]{2}-[0-9]{1,12}-(?:open|closed|k${index})$`),
        {},
      ),
      'valid',
    );
  });

  it('of two schemas of one value cost no more together than those of one may', inCampaigns, () => {
    const costing = (from: number, count: number) =>
      many(count, (index) => `^(?:${'abcdefgh|'.repeat(300)}${from + index})$`);
    const most = times(60, (count) => count + 1).findLast(
      (count) => compileSchema(costing(1_000, count)).status === 'ok',
    );
    assert.ok(most !== undefined && most > 2, String(most));
    const few = Math.floor(most / 2) - 1;
    assert.equal(tooMuchTogether(costing(1_000, few), costing(2_000, few)), null);
    assert.match(tooMuchTogether(costing(1_000, most), costing(2_000, few + 1)) ?? '', /too long to compile/);
  });

  for (const [pattern, message] of Object.entries(refused))
    it(`say what to write instead of \`${pattern}\``, () => {
      assert.match(refusal({ type: 'string', pattern }), message);
      assert.match(refusal({ type: 'object', patternProperties: { [pattern]: {} } }), message);
    });
});

describe('a validation', () => {
  it('that shares a value with another has half of the work for it', () => {
    const compiled = compileSchema(property({ type: 'array', items: { type: 'number', minimum: 0 } }));
    const other = compileSchema({ type: 'object' });
    assert.ok(compiled.status === 'ok' && other.status === 'ok');
    const a = times(1_600_000, (index) => index);
    const long = [400_000, 800_000, 1_600_000].find(
      (count) => compiled.validate({ a: a.slice(0, count) }, other).status === 'invalid',
    );
    assert.ok(long !== undefined);
    assert.equal(compiled.validate({ a: a.slice(0, long) }).status, 'valid', 'alone it has all of it');
    const shared = compiled.validate({ a: a.slice(0, long) }, other);
    assert.ok(shared.status === 'invalid');
    assert.match(shared.errors[0]?.message ?? '', tooMuch);
    assert.equal(shared.refusing, 'schema');
    assert.equal(other.validate({ a: a.slice(0, long) }, compiled).status, 'invalid', 'on whichever side');
    const filling = compileSchema({ type: 'object', properties: { b: { default: 1 } } });
    assert.ok(filling.status === 'ok');
    const half = compiled.validate({ a: a.slice(0, long / 2) }, filling);
    assert.equal(half.status, 'valid', 'also where the other one has defaults');
    assert.equal(compiled.validate({ a: a.slice(0, 100_000) }, other).status, 'valid');
  });

  it('of what a megabyte can hold is done', () => {
    const numbers = { type: 'array', items: { type: 'number', minimum: 0 } };
    assert.equal(
      check(
        numbers,
        times(400_000, (index) => index),
      ),
      'valid',
    );
    const objects = { type: 'array', uniqueItems: true, items: { type: 'object' } };
    assert.equal(
      check(
        objects,
        times(16_000, (id) => ({ id, name: 'somebody or other' })),
      ),
      'valid',
    );
    assert.match(check(objects, [...times(16_000, (id) => ({ id })), { id: 7 }]), /duplicate/);
    const names = { enum: times(15_000, (index) => `v${index}`) };
    assert.equal(
      check(
        { type: 'array', items: names },
        times(80_000, (index) => `v${index % 15_000}`),
      ),
      'valid',
    );
  });

  it('that would take more work than is allowed is refused, and the work does not depend on the machine', () => {
    let deep: Json = {};
    for (let index = 0; index < 60; index += 1) deep = { x: deep };
    const tree = compileSchema({
      $defs: {
        tree: { type: 'object', properties: { x: { allOf: times(2, () => ({ $ref: '#/$defs/tree' })) } } },
      },
      type: 'object',
      properties: { a: { $ref: '#/$defs/tree' } },
    });
    assert.ok(tree.status === 'ok');
    const checked = tree.validate({ a: deep });
    assert.ok(checked.status === 'invalid');
    assert.match(checked.errors[0]?.message ?? '', tooMuch);
    const long = 'x'.repeat(900_000);
    assert.match(check({ type: 'string', allOf: times(250, (minLength) => ({ minLength })) }, long), tooMuch);
    assert.match(check({ type: 'string', pattern: '[01]*1[01]{900}$' }, '01'.repeat(400_000)), tooMuch);
    const either = { anyOf: times(100, (index) => ({ enum: [times(100, () => index)] })) };
    const lists = times(300, () => times(100, () => 99));
    assert.match(check({ type: 'array', items: either }, lists), tooMuch);
    const required = { type: 'object', required: times(9_000, (index) => `v${index}`), properties: {} };
    const many = { type: 'array', items: { anyOf: [required, { type: 'object' }] } };
    assert.match(
      check(
        many,
        times(20_000, () => ({})),
      ),
      tooMuch,
    );
    const names = { type: 'object', patternProperties: { '^a': {}, '^b': {}, '^c': {}, '^d': {} } };
    const wide = Object.fromEntries(times(60_000, (index) => `k${index}`).map((name) => [name, 1]));
    assert.match(check({ allOf: times(40, () => names) }, wide), tooMuch);
  });

  it('fills in no more than it may work for', () => {
    const item = (value: Json): JsonObject => ({ type: 'object', properties: { q: { default: value } } });
    const empty = times(100_000, () => ({}));
    assert.equal(check({ type: 'array', items: item('EUR') }, empty.slice(0, 20_000)), 'valid');
    assert.match(check({ type: 'array', items: item('EUR') }, empty), tooMuch);
    assert.match(check({ type: 'array', items: item('x'.repeat(20_000)) }, empty), tooMuch);
    const $defs = { a: { type: 'object', default: {}, properties: { x: { $ref: '#/$defs/a' } } } };
    const endless = (properties: JsonObject): JsonObject => ({ type: 'object', $defs, properties });
    const compiled = compileSchema(endless({ x: { $ref: '#/$defs/a' } }));
    assert.match(
      compiled.status === 'invalid' ? compiled.message : '',
      /without an end: take a `default` out/,
    );
    const text = { type: 'string', default: 'x'.repeat(20_000) };
    const twenty = Object.fromEntries(times(20, (index) => [`p${index}`, { $ref: '#/$defs/t' }] as const));
    const long = compileSchema({ type: 'object', $defs: { t: text }, properties: twenty });
    assert.match(long.status === 'invalid' ? long.message : '', /fill in too much.*take a `default` out/);
    const below = compileSchema(endless({ l: { type: 'array', items: { $ref: '#/$defs/a' } } }));
    assert.ok(below.status === 'ok');
    assert.equal(below.validate({ l: [] }).status, 'valid');
    assert.match(JSON.stringify(below.validate({ l: [{}] })), tooMuch);
  });

  it('fills three million characters at most into what is not kept, whatever they hold', () => {
    for (const said of [times(19_000, () => []), times(19_000, () => ({})), 'x'.repeat(57_000)]) {
      const items = { type: 'object', properties: { q: { default: said as Json } } };
      const compiled = compileSchema(property({ type: 'array', items }));
      assert.ok(compiled.status === 'ok');
      const filled = (count: number): string =>
        JSON.stringify(compiled.validate({ a: times(count, () => ({})) }, undefined, false));
      assert.match(filled(200), tooMuch);
      const { length } = filled(40);
      assert.ok(length > 2_000_000 && length < 3_000_000);
    }
  });

  it('fills in a quarter of a mebibyte at most, however its definitions multiply it', () => {
    const doubling = (levels: number): JsonObject => {
      const next = (level: number): JsonObject => ({ $ref: `#/$defs/a${level + 1}`, default: {} });
      const both = (level: number): JsonObject => ({
        type: 'object',
        properties: { l: next(level), r: next(level) },
      });
      const $defs = times<readonly [string, JsonObject]>(levels, (level) => [`a${level}`, both(level)]);
      return {
        type: 'object',
        $defs: { ...Object.fromEntries($defs), [`a${levels}`]: { type: 'object' } },
        properties: { a: { $ref: '#/$defs/a0' } },
      };
    };
    // Each level has twice as many names as the one above, of seven characters each.
    for (const levels of [4, 14, 15, 16, 30]) {
      const compiled = compileSchema(doubling(levels));
      assert.ok(compiled.status === 'ok', JSON.stringify(compiled));
      const checked = compiled.validate({ a: {} });
      assert.equal(checked.status, levels <= 14 ? 'valid' : 'invalid', `${levels} levels`);
      if (checked.status === 'invalid') assert.match(checked.errors[0]?.message ?? '', tooMuch);
      else assert.ok(JSON.stringify(checked.value).length <= 262_144 + 10);
    }
  });

  it('works out what is filled in once for all objects for which it is the same', () => {
    const x = { type: 'object', properties: { z: { type: 'integer', default: 1 } } };
    const ref = { $ref: '#/$defs/x' };
    const names = times(150, (index) => `p${index}`);
    const wide = {
      type: 'object',
      allOf: [
        ...times(10, () => ref),
        { type: 'object', properties: Object.fromEntries(names.map((name) => [name, ref])) },
        { type: 'object', properties: { n: { $ref: '#/$defs/wide' } } },
      ],
    };
    const $defs = { x, wide };
    const toWide = { $ref: '#/$defs/wide' };
    const byName = (make: (index: number) => Json, count: number): JsonObject =>
      Object.fromEntries(times(count, (index) => index).map((index) => [`p${index}`, make(index)]));
    const object = (): Json => ({ p1: {}, n: { n: { p1: {} } } });
    const cases: readonly (readonly [JsonObject, JsonObject])[] = [
      [{ type: 'object', additionalProperties: toWide }, byName(object, 1_000)],
      [{ type: 'object', properties: { a: { type: 'array', items: toWide } } }, { a: times(1_000, object) }],
      [
        { type: 'object', properties: Object.fromEntries(names.map((name) => [name, toWide])) },
        byName(object, 100),
      ],
    ];
    for (const [schema, value] of cases) {
      const compiled = compileSchema({ ...schema, $defs });
      assert.ok(compiled.status === 'ok', JSON.stringify(compiled));
      const { filling, asked } = counted(compiled.filling);
      assert.deepEqual(fillIn([filling], value), fillIn([compiled.filling], value));
      assert.ok(asked() <= 300, `${asked()} answers of a part`);
      assert.equal(compiled.validate(value).status, 'valid');
    }
  });

  it('takes no format that could be slow on what is too long for it', () => {
    const long: Readonly<Record<string, string>> = {
      url: `http://${':'.repeat(100_000)}`,
      email: `a@${'a-'.repeat(50_000)}`,
      uri: `a:${'%20'.repeat(50_000)}`,
      hostname: 'a.'.repeat(50_000),
      'date-time': `2026-01-01T00:00:00.${'0'.repeat(100_000)}Z`,
    };
    for (const [format, text] of Object.entries(long))
      assert.match(check({ type: 'string', format }, text), /must match format/, format);
    assert.equal(check({ type: 'string', format: 'uri' }, 'https://x.example/a?b=c#d'), 'valid');
    assert.equal(check({ type: 'string', format: 'byte' }, 'QUJD'.repeat(200_000)), 'valid');
    assert.match(check({ type: 'string', format: 'byte' }, 'QUJD\n!?'), /must match format/);
  });
});

describe('a schema', () => {
  it('may have any name of its own', () => {
    const $defs = { o: { type: 'object', default: {}, required: ['x'] } };
    const properties = { o: { $ref: '#/$defs/o' } };
    for (const $id of ['whole', 'schema', 'https://example.org/whole'])
      assert.equal(compileSchema({ $id, type: 'object', properties, $defs }).status, 'ok', $id);
  });

  it('that multiplies its own references does not compile', () => {
    const twice = (index: number): Json =>
      index === 40 ? { type: 'object' } : { allOf: times(2, () => ({ $ref: `#/$defs/d${index + 1}` })) };
    const $defs = Object.fromEntries(
      times(41, (index) => index).map((index) => [`d${String(index)}`, twice(Number(index))]),
    );
    const compiled = compileSchema({ $defs, $ref: '#/$defs/d0' });
    assert.ok(compiled.status === 'invalid');
    assert.match(compiled.message, /multiply/);
  });

  it('that is too large to compile in time does not load', () => {
    const many = Object.fromEntries(
      times(400, (index) => `p${index}`).map((name) => [name, { type: 'string' }]),
    );
    assert.match(refusal({ type: 'object', properties: many }), /more than 300 subschemas/);
    assert.match(refusal({ anyOf: times(400, () => false) }), /more than 300 subschemas/);
    assert.match(refusal({ enum: times(30_000, (index) => index) }), /more than 20000 values/);
    assert.match(refusal({ enum: times(5_000, () => 'x'.repeat(100)) }), /longer than/);
    let deep: Json = { type: 'string' };
    for (let index = 0; index < 70; index += 1) deep = { not: deep };
    assert.match(refusal(deep), /nested deeper/);
  });

  it('makes little code for the names that it requires, however many, and tells which are missing', () => {
    const names = (count: number): string[] => times(count, (index) => `n${index}`);
    const asked = times(12, (index) => [`p${index}`, names(500)] as const);
    const cases: readonly JsonObject[] = [
      { dependentRequired: Object.fromEntries(asked) },
      { dependencies: Object.fromEntries(asked) },
      { dependentRequired: { p0: names(300) }, dependencies: { p0: names(6_000) } },
      { dependentRequired: Object.fromEntries(times(6_000, (index) => [`p${index}`, ['n0', 'n1']])) },
      { required: names(150) },
    ];
    for (const schema of cases) {
      const compiled = compileSchema({ type: 'object', ...schema });
      assert.ok(compiled.status === 'ok', JSON.stringify(compiled));
      for (const made of [compiled.check, compiled.explain()]) assert.ok(String(made).length < 5_000);
      const checked = compiled.validate({ p0: 1, n0: 1 });
      assert.ok(checked.status === 'invalid' && checked.errors.length > 0);
      assert.deepEqual(
        [checked.errors[0]?.pointer, schema['required'] === undefined],
        ['/n1', checked.errors[0]?.message === 'must have property n1 when property p0 is present'],
      );
      assert.equal(
        compiled.validate(Object.fromEntries(['p0', ...names(6_000)].map((name) => [name, 1]))).status,
        'valid',
      );
    }
  });

  it('makes code once for the booleans that a reference leads to', () => {
    const none = Object.fromEntries(times(200, (index) => [`n${index}`, false] as const));
    const properties = Object.fromEntries(times(90, (index) => [`c${index}`, { $ref: '#/$defs/d' }]));
    const compiled = compileSchema({
      type: 'object',
      $defs: { d: { type: 'object', properties: none } },
      properties,
    });
    assert.ok(compiled.status === 'ok', JSON.stringify(compiled));
    assert.equal(String(compiled.check).includes('boolean schema is false'), false);
    const closed = { type: 'object', additionalProperties: false };
    const each = Object.fromEntries(times(200, (index) => [`c${index}`, closed]));
    assert.equal(compileSchema({ type: 'object', properties: each }).status, 'ok');
  });

  it('makes code for each subschema a few times, however many references lead to it and however deep they stand in one another', () => {
    const named = (count: number): JsonObject => ({
      type: 'object',
      properties: Object.fromEntries(
        times(count, (index) => [`x${index}`, { type: 'string', minLength: 1 }]),
      ),
    });
    const referring = Object.fromEntries(times(140, (index) => [`c${index}`, { $ref: '#/$defs/d' }]));
    const often: JsonObject = { type: 'object', $defs: { d: named(140) }, properties: referring };
    const chain = (): JsonObject =>
      times(60, () => 0).reduce<JsonObject>(
        (inner) => ({ type: 'object', $ref: '#/$defs/d', properties: { p: inner } }),
        { $ref: '#/$defs/d' },
      );
    const d = { ...named(6), default: {}, required: ['x'] };
    const deep: JsonObject = { type: 'object', $defs: { d }, properties: { one: chain(), two: chain() } };
    for (const schema of [often, deep]) assert.ok(timesCounted(schema) < 1_000);
    // The default of the inner schemas fits only without the defaults inside it.
    const compiled = compileSchema(deep);
    assert.ok(compiled.status === 'ok');
    assert.equal(compiled.unfilled.length, 122);
  });

  it('makes no more code for a default that does not fit, however many references alike lead to it', () => {
    const d = { type: 'object', required: ['x'], properties: { x: { type: 'string' } } };
    const referring = (count: number, definition: JsonObject, more: JsonObject): JsonObject => ({
      type: 'object',
      $defs: { d: definition },
      properties: Object.fromEntries(times(count, (index) => [`c${index}`, { $ref: '#/$defs/d', ...more }])),
    });
    const inner = { type: 'object', properties: { x: { type: 'string', minLength: 2 } } };
    for (const more of [{}, inner]) {
      const forDefault = (count: number): number =>
        timesCounted(referring(count, { ...d, default: {} }, more)) - timesCounted(referring(count, d, more));
      assert.equal(forDefault(140), forDefault(110));
      const compiled = compileSchema(referring(140, { ...d, default: {} }, more));
      assert.ok(compiled.status === 'ok');
      assert.equal(compiled.unfilled.length, 140);
    }
  });

  it('whose references lead from one part of it into the other does not compile where that makes too much of it', () => {
    const step = '/properties/p';
    const inner = times(60, () => 0).reduce<JsonObject>(
      (value) => ({ type: 'object', properties: { p: value } }),
      {},
    );
    const into = times(60, (index) => [
      `r${index}`,
      { $ref: `#/properties/a/properties/in${step.repeat(index)}` },
    ]);
    const most = refusal({ type: 'object', properties: { in: inner, ...Object.fromEntries(into) } });
    assert.match(most, /lead into one another, which makes more than 600 subschemas of it: .*`\$defs`/);
  });

  it('asks of a default behind a reference what it asks of a value there', () => {
    const node = { type: 'object', default: {}, required: ['x'], properties: { x: { type: 'string' } } };
    const compiled = compileSchema({
      type: 'object',
      $defs: {
        fits: {
          $anchor: 'f',
          type: 'object',
          default: { x: 'a' },
          properties: { x: { $ref: '#/$defs/a~1%25b' } },
        },
        'a/%b': { type: 'string', maxLength: 1 },
      },
      properties: {
        outer: {
          type: 'object',
          allOf: [{ default: {} }],
          properties: {
            none: { allOf: [node] },
            one: { $ref: '#f' },
            two: { type: 'object', $ref: '#f', properties: { x: { type: 'string', minLength: 2 } } },
          },
        },
        again: { $ref: '#/properties/outer/properties/two' },
      },
    });
    assert.ok(compiled.status === 'ok', JSON.stringify(compiled));
    assert.deepEqual(
      compiled.unfilled.map(({ message }) => / at (\S+):/.exec(message)?.[1]),
      ['`/properties/outer/properties/none`', '`/properties/outer/properties/two`', '`/properties/again`'],
    );
  });

  it('reaches no subschema whose work is not counted', () => {
    const slow = { type: 'array', items: {} };
    assert.match(refusal({ $ref: '#/properties/a/default', default: slow }), /resolve/);
    assert.match(refusal({ $ref: '#/properties/a/examples/0', examples: [slow] }), /resolve/);
    assert.match(refusal({ $ref: '#/properties/a/const', const: slow }), /resolve/);
    assert.match(refusal({ $ref: 'https://json-schema.org/draft/2020-12/schema' }), /out of this schema/);
    assert.match(refusal({ $id: 'https://x.example/inner', type: 'string' }), /of its own/);
    assert.match(refusal({ 'x-work': { units: -1e9 } }), /unknown keyword/);
  });
});

describe('dialects', () => {
  const draft7 = 'http://json-schema.org/draft-07/schema#';

  it('draft-07 is taken for what means the same in 2020-12', () => {
    const schema = {
      $schema: draft7,
      definitions: { name: { type: 'string', minLength: 1 } },
      type: 'object',
      properties: { name: { $ref: '#/definitions/name' } },
    };
    const compiled = compileSchema(schema);
    assert.ok(compiled.status === 'ok', JSON.stringify(compiled));
    assert.equal(compiled.validate({ name: '' }).status, 'invalid');
    assert.equal(compiled.validate({ name: 'n' }).status, 'valid');
  });

  it('of draft-07 nothing is taken that it passes over and 2020-12 asks for', () => {
    const definitions = { name: { type: 'string' } };
    const of = (name: Json, more: JsonObject = {}): string =>
      misreadingIn({
        ...{ $schema: draft7, definitions, type: 'object', properties: { name } },
        ...more,
      }) ?? '';
    const $ref = '#/definitions/name';
    assert.match(
      of({ $ref, maxLength: 3 }),
      /`\/properties\/name` has `maxLength` beside a `\$ref`.*`allOf`/,
    );
    assert.match(of({ not: { $ref, type: 'number' } }), /has `type` beside a `\$ref`/);
    assert.match(
      of({}, { unevaluatedProperties: false }),
      /the schema has `unevaluatedProperties`, which draft-07/,
    );
    assert.match(of({ prefixItems: [{}] }), /has `prefixItems`, which draft-07 passes over/);
    assert.match(of({ $dynamicRef: '#a' }), /has `\$dynamicRef`, which draft-07 passes over/);
    for (const name of [
      { allOf: [{ $ref }], type: 'string', maxLength: 3 },
      { $ref, description: 'whose', default: 'a' },
    ])
      assert.equal(of(name), '');
    const properties = { name: { $ref, type: 'string', maxLength: 3 } };
    assert.equal(misreadingIn({ definitions, type: 'object', properties }), null);
    // Runs under way go on with the schemas with which they began.
    assert.equal(compileSchema({ $schema: draft7, definitions, type: 'object', properties }).status, 'ok');
  });

  it('a list of which the first items are described may end with them, be shorter, or go on', () => {
    const tuple = { type: 'array', prefixItems: [{ type: 'number' }], items: { type: 'string' } };
    for (const [value, status] of [
      [[], 'valid'],
      [[1], 'valid'],
      [[1, 'a', 'b'], 'valid'],
      [['a'], 'must be number'],
      [[1, 2], 'must be string'],
    ] as const)
      assert.equal(check(tuple, value), status, JSON.stringify(value));
  });

  it('a reference with a `%` that begins no escape is told, with how to write it', () => {
    const properties = { '100%': { type: 'string' }, b: { $ref: '#/properties/100%' } };
    assert.match(
      refusal({ allOf: [{ type: 'object', properties }] }) + refusal({ $ref: '#/$defs/a%', $defs: {} }),
      /`#\/\$defs\/a%` has a `%` that begins no escape of UTF-8: write it as `%25`/,
    );
    const definitions = { größe: { type: 'string' } };
    for (const $ref of ['#/definitions/gr%F6%DFe', '#gr%F6%DFe', '#/definitions/%ED%A0%80'])
      assert.match(
        refusal({ properties: { a: { $ref } }, definitions }),
        /`#[^`]*` has a `%` that .* the character/,
      );
    for (const $ref of ['#/definitions/gr%C3%B6%C3%9Fe', '#/definitions/größe'])
      assert.equal(compileSchema({ ...property({ $ref }), definitions }).status, 'ok');
  });

  it('what is not taken is said, with what to write', () => {
    assert.match(refusal({ type: 'array', items: [{ type: 'string' }] }), /`prefixItems`/);
    assert.match(refusal({ type: 'array', items: {}, additionalItems: false }), /`prefixItems`/);
    const old = compileSchema({ $schema: 'http://json-schema.org/draft-04/schema#', type: 'object' });
    assert.ok(old.status === 'invalid');
    assert.match(old.message, /leave it out, or write `https:\/\/json-schema.org\/draft\/2020-12\/schema`/);
  });
});

describe('multipleOf', () => {
  it('is of the decimals as they are written', () => {
    for (const [value, of] of [
      [19.99, 0.01],
      [0.3, 0.1],
      [1.1, 0.1],
      [4.35, 0.05],
      [1e20, 0.01],
      [1e300, 1e-300],
      [-19.99, 0.01],
      [0, 0.01],
      [1e-7, 1e-8],
      [9_007_199_254_740_991, 1],
    ] as const)
      assert.equal(check({ type: 'number', multipleOf: of }, value), 'valid', `${value} of ${of}`);
    for (const [value, of] of [
      [19.995, 0.01],
      [0.35, 0.1],
      [1e-9, 1e-8],
      [7, 2],
      [1e300, 7e-300],
    ] as const)
      assert.match(check({ type: 'number', multipleOf: of }, value), /multiple/, `${value} of ${of}`);
  });

  it('holds for every whole number of cents, and for nothing between', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), (cents) => {
        const written = `${cents < 0 ? '-' : ''}${Math.floor(Math.abs(cents) / 100)}.${String(Math.abs(cents) % 100).padStart(2, '0')}`;
        assert.equal(check({ type: 'number', multipleOf: 0.01 }, Number(written)), 'valid');
        assert.notEqual(check({ type: 'number', multipleOf: 0.01 }, Number(`${written}5`)), 'valid');
      }),
    );
  });
});
