import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/model/values/json.js';
import { compileSchema, type UsableSchema } from '../../src/schema/index.js';
import { runsOf } from '../../testing/samples.js';
import { fits } from './reference.js';

// Leaving a default out means the same as sending it, whatever else the schema says.

function usable(schema: JsonObject): UsableSchema {
  const compiled = compileSchema(schema);
  assert.ok(compiled.status === 'ok', JSON.stringify([schema, compiled]));
  return compiled;
}

/** The value that is passed on; null: it is refused. */
function taken(schema: JsonObject, value: JsonObject): JsonObject | null {
  const checked = usable(schema).validate(value);
  return checked.status === 'valid' ? checked.value : null;
}

const object = (properties: JsonObject, more: JsonObject = {}): JsonObject => ({
  type: 'object',
  properties,
  ...more,
});
const has = (...required: string[]): JsonObject => ({ type: 'object', required });
const text = (value: string): JsonObject => ({ type: 'string', default: value });

describe('a default in a branch', () => {
  const Card = object(
    {
      kind: { const: 'card' },
      address: { $ref: '#/$defs/Address' },
      currency: text('EUR'),
      limit: { type: 'number', default: 1_000_000 },
    },
    has('kind'),
  );
  const Open = object({ kind: { const: 'open' }, iban: { type: 'string' } }, has('kind'));
  const $defs = { Card, Open, Address: object({ city: { type: 'string' } }) };
  const union = [{ $ref: '#/$defs/Card' }, { $ref: '#/$defs/Open' }];
  const open = { kind: 'open', iban: 'x' };

  for (const keyword of ['oneOf', 'anyOf'])
    test(`is not filled in where another branch holds, nor where its own does: ${keyword}`, () => {
      for (const more of [{}, { unevaluatedProperties: false }]) {
        const schema: JsonObject = { type: 'object', $defs, [keyword]: union, ...more };
        assert.deepEqual(taken(schema, open), open);
        assert.deepEqual(taken(schema, { kind: 'card' }), { kind: 'card' });
      }
    });

  test('is not filled in while it is asked whether the value fits', () => {
    const card = { $ref: '#/$defs/Card' };
    const lists = object({ l: { type: 'array', contains: card } }, { $defs });
    const l = [{ kind: 'x' }, { kind: 'card' }];
    assert.deepEqual(taken(lists, { l }), { l });
    const [isCard, isNone] = [{ kind: 'card' }, { kind: 'x' }];
    for (const [branch, other] of [
      [{ not: card }, isNone],
      [{ if: card, then: {} }, isCard],
      [{ if: { not: card }, then: {}, else: card }, isCard],
      [{ dependentSchemas: { kind: card } }, isCard],
    ] as const)
      assert.deepEqual(taken(object({ kind: {} }, { $defs, ...branch }), other), other);
  });

  test('is filled in where the same schema stands outside of one', () => {
    const schema = object({ pay: { $ref: '#/$defs/Card' } }, { $defs });
    const pay = { kind: 'card', currency: 'EUR', limit: 1_000_000 };
    assert.deepEqual(taken(schema, { pay: { kind: 'card' } }), { pay });
  });

  const places = (schema: JsonObject): readonly string[] =>
    usable(schema).unfilled.map(({ path }) => path.join('/'));
  test('is told when the schema is loaded, with its place', () => {
    assert.deepEqual(places({ type: 'object', $defs, oneOf: union }), [
      '$defs/Card/properties/currency/default',
      '$defs/Card/properties/limit/default',
    ]);
    const branch = object({ a: { default: 1 } });
    assert.deepEqual(places({ type: 'object', anyOf: [branch] }), ['anyOf/0/properties/a/default']);
    assert.deepEqual(places({ type: 'object', if: has('b'), then: branch }), ['then/properties/a/default']);
    assert.deepEqual(places({ type: 'object', dependentSchemas: { a: branch } }), [
      'dependentSchemas/a/properties/a/default',
    ]);
    const [only] = usable({ type: 'object', anyOf: [branch] }).unfilled;
    assert.match(
      only?.message ?? '',
      /`\/anyOf\/0\/properties\/a` .* stands under `anyOf`.*outside of `anyOf`/,
    );
  });

  test('is told of what has no name that could be missing', () => {
    const list = { type: 'array', items: { type: 'number', default: 1 } };
    assert.deepEqual(places(object({ list }, { default: {} })), ['default', 'properties/list/items/default']);
  });

  test('is told of what stands in an object that may be left out, and with it the default', () => {
    const dryRun = { type: 'boolean', default: true };
    const options = object({ dryRun });
    const at = (schema: JsonObject): readonly string[] =>
      places(schema).map((name) => name.replace(/\/default$/, ''));
    assert.deepEqual(at(object({ options })), ['properties/options/properties/dryRun']);
    assert.deepEqual(taken(object({ options }), {}), {});
    const [told] = usable(object({ options })).unfilled;
    assert.match(
      told?.message ?? '',
      /`\/properties\/options\/properties\/dryRun` .* where `options` is left out.*require/,
    );
    // Also below several levels, through references, and where another place is right.
    const deep = object({ a: object({ b: object({ c: dryRun }, has('c')) }, has('b')) });
    assert.deepEqual(at(deep), ['properties/a/properties/b/properties/c']);
    const both = { own: { $ref: '#/$defs/O' }, other: { allOf: [{ $ref: '#/$defs/O' }] } };
    const $defs = { O: options };
    assert.deepEqual(at(object(both, { $defs, required: ['own'] })), ['$defs/O/properties/dryRun']);
    assert.deepEqual(at(object(both, { $defs, required: ['own', 'other'] })), []);
    assert.deepEqual(at(object({ list: { type: 'array', items: object({ options }) } })), [
      'properties/list/items/properties/options/properties/dryRun',
    ]);
  });

  test('is nothing to tell of in an object that is always there, or in one that a list or a map has', () => {
    const options = object({ dryRun: { type: 'boolean', default: true } });
    for (const schema of [
      object({ options }, has('options')),
      object({ options }, { allOf: [has('options')] }),
      { type: 'object', allOf: [object({ options })], required: ['options'] },
      object({ options: { ...options, default: {} } }),
      object({ options }, { allOf: [object({ options: { default: {} } })] }),
      object({ options: { allOf: [options], default: {} } }),
      object({
        a: { type: 'array', items: options },
        b: { type: 'array', prefixItems: [options], minItems: 1, items: false },
      }),
      object({
        map: { type: 'object', additionalProperties: options, patternProperties: { '^a': options } },
      }),
    ])
      assert.deepEqual(places(schema), [], JSON.stringify(schema));
  });

  test('is told of what stands behind a reference and does not fit where it is referred to', () => {
    const street = { type: 'string' };
    const Address = { type: 'object', default: {}, required: ['street'], properties: { street } };
    const of = (own: JsonObject, more: JsonObject = {}): JsonObject =>
      object({ own }, { $defs: { Address, ...more } });
    const address = { street: 'Bahnhofstrasse' };
    for (const own of [{ $ref: '#/$defs/Address' }, { allOf: [{ $ref: '#/$defs/Address' }] }]) {
      assert.deepEqual(places(of(own)), ['$defs/Address/default']);
      assert.deepEqual(taken(of(own), {}), {});
      assert.deepEqual(taken(of(own), { own: address }), { own: address });
    }
    const rows = of({ type: 'array', items: object({ to: { $ref: '#/$defs/Address' } }) });
    assert.deepEqual(taken(rows, { own: [{}] }), { own: [{}] });
    // A default that is left out makes another one unfit only where that requires it.
    const Holder = object({ at: { $ref: '#/$defs/Address' } }, { default: {} });
    assert.deepEqual(taken(of({ $ref: '#/$defs/Holder' }, { Holder }), {}), { own: {} });
    const Person = object({ at: { $ref: '#/$defs/Address' } }, { default: {}, required: ['at'] });
    const nested = of({ $ref: '#/$defs/Person' }, { Person });
    assert.deepEqual(places(nested), ['$defs/Person/default', '$defs/Address/default']);
    assert.deepEqual(taken(nested, {}), {});
    // Where it fits it is filled in.
    const both = object(
      { long: { $ref: '#/$defs/t', type: 'string', minLength: 3 }, short: { $ref: '#/$defs/t' } },
      { $defs: { t: { type: 'string', default: 'x' } } },
    );
    assert.deepEqual(taken(both, {}), { short: 'x' });
    assert.match(usable(both).unfilled[0]?.message ?? '', /`\/\$defs\/t` .* at `\/properties\/long`/);
    const named = object(
      { 'a/b %': { $ref: '#/$defs/t' } },
      { $id: 'https://x.example/s', $defs: { t: { type: 'string', default: 1 } } },
    );
    assert.deepEqual(taken(named, {}), {});
  });

  test('is nothing to tell of where every value fits, or where nothing refers to it', () => {
    const a = { a: { default: 1 } };
    const filled = object(a, {
      allOf: [object({ b: { $ref: '#/$defs/d' } })],
      $defs: { ...$defs, d: { default: 2 } },
    });
    assert.deepEqual(places(filled), []);
  });
});

describe('a default is filled in', () => {
  const on = { type: 'boolean', default: true };
  const o = { type: 'object', default: {}, properties: { x: { $ref: '#/$defs/d' } } };
  for (const [title, schema, value, expected] of [
    [
      'that a reference leads to',
      object({ a: { $ref: '#/$defs/d' } }, { $defs: { d: on } }),
      {},
      { a: true },
    ],
    [
      'where that has a reference too',
      object({ a: { $ref: '#/$defs/o' } }, { $defs: { d: on, o } }),
      {},
      { a: { x: true } },
    ],
    [
      'by an anchor',
      object({ a: { $dynamicRef: '#d' } }, { $defs: { d: { ...on, $dynamicAnchor: 'd' } } }),
      {},
      { a: true },
    ],
    [
      'before the one that its reference leads to',
      object({ a: { $ref: '#/$defs/d', default: false } }, { $defs: { d: on } }),
      {},
      { a: false },
    ],
    ['that stands in an allOf', object({ a: { allOf: [on] } }), {}, { a: true }],
    [
      'of a whole schema that is a reference',
      { $ref: '#/$defs/r', $defs: { r: object({ a: on }) } },
      {},
      { a: true },
    ],
    [
      'in each item',
      object({ l: { type: 'array', items: object({ a: on }) } }),
      { l: [{}, { a: false }] },
      { l: [{ a: true }, { a: false }] },
    ],
    [
      'in the item that is meant',
      object({
        l: { type: 'array', minItems: 1, prefixItems: [object({ a: on })], items: false },
      }),
      { l: [{}] },
      { l: [{ a: true }] },
    ],
    [
      'below a pattern of names, and below others',
      object({}, { patternProperties: { '^p': object({ a: on }) }, additionalProperties: object({ b: on }) }),
      { p: {}, q: {} },
      { p: { a: true }, q: { b: true } },
    ],
    [
      'below what another one has filled in',
      object({ o: { type: 'object', default: {} } }, { allOf: [object({ o: object({ a: on }) })] }),
      {},
      { o: { a: true } },
    ],
    [
      'also of a name that every object has',
      object({ constructor: text('c'), valueOf: text('v') }, has('constructor')),
      {},
      { constructor: 'c', valueOf: 'v' },
    ],
    ['not for null', object({ a: { type: ['null', 'number'], default: 1 } }), { a: null }, { a: null }],
  ] as const)
    test(title, () => {
      assert.deepEqual<unknown>(taken(schema as JsonObject, value as JsonObject), expected);
    });

  test('of a name that sets a prototype elsewhere', () => {
    const schema = JSON.parse(
      '{"type":"object","properties":{"__proto__":{"default":{"x":1}}}}',
    ) as JsonObject;
    assert.equal(JSON.stringify(taken(schema, {})), '{"__proto__":{"x":1}}');
  });

  test('before anything is asked of the value', () => {
    const a = { a: { type: 'number', default: 1 } };
    const kinds = ['x', 'y'].map((kind) => object({ kind: { const: kind } }, has('kind')));
    for (const [schema, expected] of [
      [object({ ...a, b: {} }, { anyOf: [has('a'), has('b')] }), { a: 1 }],
      [object(a, { allOf: [has('a')] }), { a: 1 }],
      [object(a, { $ref: '#/$defs/r', $defs: { r: has('a') } }), { a: 1 }],
      [object(a, { if: has('a'), else: has('b') }), { a: 1 }],
      [object({ kind: text('x') }, { oneOf: kinds }), { kind: 'x' }],
    ] as const)
      assert.deepEqual(taken(schema, {}), expected);
  });
});

test('a kind with a default loads beside branches that ask for more', () => {
  const $defs = {
    x: object({ kind: { const: 'x' } }, has('kind', 'iban')),
    y: object({ kind: { const: 'y' } }, has('kind', 'card')),
  };
  const schema = object(
    { kind: text('x') },
    { $defs, oneOf: [{ $ref: '#/$defs/x' }, { $ref: '#/$defs/y' }] },
  );
  assert.deepEqual(taken(schema, { iban: 'i' }), { kind: 'x', iban: 'i' });
  assert.equal(taken(schema, { card: 'c' }), null);
});

test('a condition sees a default as if it had been sent, and its branches fill in nothing', () => {
  const cap = (value: number): JsonObject => object({ cap: { type: 'number', default: value } });
  const live = object({ k: { const: 'live' } }, has('k'));
  const schema = object({ k: text('live') }, { allOf: [{ if: live, then: cap(10), else: cap(1_000_000) }] });
  assert.deepEqual(taken(schema, {}), taken(schema, { k: 'live' }));
  assert.deepEqual(taken(schema, {}), { k: 'live' });
});

const names = ['a', 'b', 'ab', 'constructor'] as const;

function schemaOf(depth: number): fc.Arbitrary<JsonObject> {
  const leaf = fc.constantFrom<JsonObject[]>(
    { type: 'number' },
    { type: 'string' },
    {},
    { $ref: '#/$defs/q' },
  );
  const q = fc.constant<JsonObject>({ $ref: '#/$defs/q' });
  const inner = depth === 0 ? q : schemaOf(depth - 1);
  const filled = fc.constantFrom<JsonObject[]>(
    ...[{ type: 'number', default: 1 }, { type: 'string', default: 'x' }, { default: [{ a: 'x' }] }],
    { allOf: [{ default: { b: 1 } }] },
  );
  const value = fc.oneof(
    ...[leaf, inner, filled, filled, inner.map((schema): JsonObject => ({ ...schema, default: {} }))],
    inner.map((items): JsonObject => ({ type: 'array', items })),
  );
  const record = (keys: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<JsonObject> =>
    fc.record(keys, { requiredKeys: [] }) as fc.Arbitrary<JsonObject>;
  const some = fc.array(inner, { minLength: 1, maxLength: 2 });
  const branch = fc.oneof(
    ...[
      fc.constant({}),
      fc.constant({}),
      fc.record({ allOf: some }),
      fc.record({ anyOf: some }),
      fc.record({ oneOf: some }),
    ],
    ...[fc.record({ not: inner }), fc.record({ if: inner, then: inner, else: inner })],
  );
  const own = record({
    properties: record(Object.fromEntries(names.map((name) => [name, value]))),
    patternProperties: record({ '^a': value }),
    additionalProperties: value,
    required: fc.subarray([...names], { maxLength: 1 }),
    dependentSchemas: record({ b: inner }),
  });
  return fc
    .tuple(own, branch)
    .map(([keywords, more]): JsonObject => ({ type: 'object', ...keywords, ...more }));
}

const given = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    fc.constantFrom<Json[]>(1, 'x', []),
    fc.dictionary(fc.constantFrom(...names), tie('value'), { maxKeys: 2, noNullPrototype: true }),
  ),
})).value;
const values = fc.array(
  fc.dictionary(fc.constantFrom(...names), given, { maxKeys: 2, noNullPrototype: true }),
  { minLength: 6, maxLength: 6 },
);

/** The value with some of what the other value has besides, chosen by the numbers. */
function between(value: Json, filled: Json, numbers: Iterator<number>): Json {
  if (typeof value !== 'object' || value === null || typeof filled !== 'object' || filled === null)
    return value;
  if (Array.isArray(value)) {
    const others = filled as readonly Json[];
    return (value as readonly Json[]).map((value, index) => between(value, others[index] ?? null, numbers));
  }
  const [less, more] = [value as JsonObject, filled as JsonObject];
  return Object.fromEntries(
    Object.keys(more).flatMap((name) => {
      if (Object.hasOwn(less, name))
        return [[name, between(less[name] ?? null, more[name] ?? null, numbers)]];
      return numbers.next().value % 2 === 0 ? [[name, more[name] ?? null]] : [];
    }),
  );
}

test('whatever the schema, what is filled in fits it as JSON Schema says, and sending some of it changes nothing', () => {
  const met = { valid: 0, filled: 0 };
  const schemas = fc.tuple(schemaOf(1), schemaOf(0)).map(([schema, own]): JsonObject => {
    const q = JSON.parse(JSON.stringify(own).replaceAll('{"$ref":"#/$defs/q"}', '{}')) as JsonObject;
    return { ...schema, $defs: { q } };
  });
  fc.assert(
    fc.property(schemas, values, fc.infiniteStream(fc.nat(1)), (schema, all, numbers) => {
      const compiled = compileSchema(schema);
      if (compiled.status !== 'ok') return;
      const { validate } = compiled;
      for (const value of [{}, ...all]) {
        const checked = validate(value);
        if (checked.status === 'invalid') continue;
        met.valid += 1;
        assert.equal(fits(schema, checked.value), true, JSON.stringify([value, checked.value]));
        if (JSON.stringify(checked.value) !== JSON.stringify(value)) met.filled += 1;
        const sent = between(value, checked.value, numbers) as JsonObject;
        const said = JSON.stringify([value, sent, checked.value]);
        const again = validate(sent);
        assert.ok(again.status === 'valid', said);
        assert.deepEqual(again.value, checked.value, said);
        const whole = validate(checked.value);
        assert.ok(
          whole.status === 'valid' && JSON.stringify(whole.value) === JSON.stringify(checked.value),
          said,
        );
      }
    }),
    // So many that some of them are filled in, whatever is drawn.
    { numRuns: runsOf(600) },
  );
  assert.ok(met.filled > 0, JSON.stringify(met));
});
