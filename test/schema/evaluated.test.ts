import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/model/values/json.js';
import { compileSchema } from '../../src/schema/index.js';
import { leastOf, runsOf } from '../../testing/samples.js';
import { fits } from './reference.js';

// Keywords pass on what they have looked at. Whatever keywords stand together, a check ends, and says what JSON Schema says.

const holds = (schema: JsonObject, value: JsonObject): boolean => {
  const compiled = compileSchema(schema);
  assert.ok(compiled.status === 'ok', JSON.stringify([schema, compiled]));
  return compiled.validate(value).status === 'valid';
};
const object = (more: JsonObject = {}): JsonObject => ({ type: 'object', ...more });
const has = (...required: string[]): JsonObject => object({ required });

describe('patterns of names beside what looks at names under a condition', () => {
  const am = { patternProperties: { '^am': { type: 'number' } } };
  for (const [title, schema, taken, refused] of [
    [
      'a closed then',
      object({ if: has('k'), then: object({ additionalProperties: false }), ...am }),
      [{ amount: 5 }, {}],
      [{ amount: 'x' }, { k: 1 }],
    ],
    [
      'an anyOf with names of its own',
      object({
        patternProperties: { '^x-': { type: 'string' } },
        anyOf: [
          object({ properties: { to: { type: 'string' } }, required: ['to'] }),
          object({ properties: { iban: { type: 'string' } }, required: ['iban'] }),
        ],
      }),
      [{ to: 'a', 'x-note': 'n' }, { iban: 'a' }],
      [{ 'x-note': 'n' }, { to: 'a', 'x-note': 1 }],
    ],
    [
      'names that an anyOf has all looked at',
      object({ anyOf: [object({ additionalProperties: true })], ...am, unevaluatedProperties: false }),
      [{ amount: 5, b: 1 }],
      [{ amount: 'x' }],
    ],
    [
      'a dependency',
      object({
        dependentSchemas: { k: object({ additionalProperties: true }) },
        ...am,
        unevaluatedProperties: false,
      }),
      [{ amount: 5 }, { k: 1, b: 2 }],
      [{ amount: 5, b: 2 }],
    ],
  ] as const)
    test(title, () => {
      for (const value of taken) assert.equal(holds(schema, value), true, JSON.stringify(value));
      for (const value of refused) assert.equal(holds(schema, value), false, JSON.stringify(value));
    });
});

describe('what nothing has looked at is refused', () => {
  const closed = { unevaluatedProperties: false };
  test('where an `if` that does not hold would have looked at it', () => {
    const asked = object({ properties: { k: { type: 'number' } }, required: ['k'] });
    const schema = object({ if: asked, then: has('k'), ...closed });
    assert.equal(holds(schema, { k: 1 }), true);
    assert.equal(holds(schema, { k: 'x' }), false);
  });

  test('in each item anew, whatever was looked at in the one before', () => {
    const each = object({
      anyOf: [object({ required: ['all'], additionalProperties: true }), object()],
      ...closed,
    });
    const schema = object({ properties: { list: { type: 'array', items: each } } });
    assert.equal(holds(schema, { list: [{ all: 1, b: 1 }, {}] }), true);
    assert.equal(holds(schema, { list: [{ all: 1, b: 1 }, { b: 1 }] }), false);
  });

  test('also what is called like something that every object has', () => {
    const schema = object({ anyOf: [object({ properties: { a: {} } })], ...closed });
    assert.equal(holds(schema, { a: 1 }), true);
    for (const name of ['constructor', 'toString', '__proto__'])
      assert.equal(holds(schema, JSON.parse(`{"${name}": 1}`) as JsonObject), false, name);
  });

  test('among items', () => {
    const list = (...anyOf: JsonObject[]): JsonObject =>
      object({ properties: { l: { type: 'array', anyOf, unevaluatedItems: false } } });
    const numbers = { type: 'array', items: { type: 'number' } };
    const schema = list(numbers, { type: 'array' });
    for (const l of [[], [1], [1, 2, 3]]) assert.equal(holds(schema, { l }), true, JSON.stringify(l));
    for (const l of [['x'], [1, 'x']]) assert.equal(holds(schema, { l }), false, JSON.stringify(l));
  });
});

const names = ['a', 'b', 'ab', 'constructor'] as const;
const leaf: fc.Arbitrary<Json> = fc.constantFrom<Json[]>(
  ...[{ type: 'number' }, { type: 'string' }, {}, true, false],
);
const maybe = (keys: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<JsonObject> =>
  fc.record(keys, { requiredKeys: [] }) as fc.Arbitrary<JsonObject>;

/** A schema of this depth, with or without keywords that ask which names and items were looked at. */
function schemaOf(depth: number, asks: boolean, type: 'object' | 'array'): fc.Arbitrary<JsonObject> {
  const inner = depth === 0 ? fc.constant<JsonObject>({ type }) : schemaOf(depth - 1, asks, type);
  const otherType = type === 'object' ? 'array' : 'object';
  const value = depth === 0 ? leaf : fc.oneof(leaf, leaf, inner, schemaOf(depth - 1, asks, otherType));
  const some = fc.array(inner, { minLength: 1, maxLength: 2 });
  const branch: fc.Arbitrary<JsonObject> =
    depth === 0
      ? fc.constant({})
      : fc.oneof(
          ...[fc.constant({}), fc.record({ allOf: some }), fc.record({ anyOf: some })],
          ...[fc.record({ oneOf: some }), fc.record({ not: inner }), fc.record({ if: inner, then: inner })],
        );
  const objects = {
    properties: maybe(Object.fromEntries(names.map((name) => [name, value]))),
    patternProperties: maybe({ '^a': value, b$: value }),
    additionalProperties: leaf,
    required: fc.subarray([...names], { maxLength: 1 }),
    dependentSchemas: maybe({ b: inner }),
    ...(depth === 1 ? { $ref: fc.constant('#/$defs/q') } : {}),
    ...(asks ? { unevaluatedProperties: leaf } : {}),
  };
  const lists = { items: value, minItems: fc.nat(2), ...(asks ? { unevaluatedItems: leaf } : {}) };
  const own = maybe(type === 'object' ? objects : lists);
  return fc
    .tuple(own, branch, branch)
    .map(([keywords, value, other]): JsonObject => ({ type, ...keywords, ...value, ...other }));
}

const content: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 2 },
    fc.constantFrom<Json[]>(1, 'x'),
    fc.dictionary(fc.constantFrom(...names), tie('value'), { maxKeys: 3 }),
    fc.array(tie('value'), { maxLength: 3 }),
  ),
})).value;
const values = fc.array(
  fc.dictionary(fc.constantFrom(...names), content, { maxKeys: 3, noNullPrototype: true }),
  {
    minLength: 6,
    maxLength: 6,
  },
);

for (const asks of [true, false])
  test(`whatever the schema, a check ends, and as JSON Schema says, ${asks ? 'with' : 'without'} unevaluated names`, () => {
    let compiledOf = 0;
    const schemas = fc
      .tuple(schemaOf(2, asks, 'object'), schemaOf(0, asks, 'object'))
      .map(([schema, q]): JsonObject => ({ ...schema, $defs: { q } }));
    fc.assert(
      fc.property(schemas, values, (schema, all) => {
        const compiled = compileSchema(schema);
        if (compiled.status !== 'ok') return;
        compiledOf += 1;
        for (const value of all) {
          const checked = compiled.validate(value);
          assert.doesNotMatch(JSON.stringify(checked), /cannot be checked/);
          assert.equal(checked.status === 'valid', fits(schema, value), JSON.stringify([value, checked]));
        }
      }),
      { numRuns: runsOf(60) },
    );
    assert.ok(compiledOf > leastOf(30), `only ${compiledOf} compile`);
  });

test('a check that breaks off is a refusal that does not quote the value, and no crash', () => {
  for (const schema of [
    object({ properties: { a: { type: 'string' } } }),
    object({ properties: { a: { default: 1 } } }),
  ]) {
    const value = {
      get a(): string {
        throw new TypeError('secret');
      },
    };
    const compiled = compileSchema(schema);
    assert.ok(compiled.status === 'ok');
    const checked = compiled.validate(value);
    assert.match(JSON.stringify(checked), /"invalid".*cannot be checked.*TypeError/);
    assert.doesNotMatch(JSON.stringify(checked), /secret/);
  }
});
