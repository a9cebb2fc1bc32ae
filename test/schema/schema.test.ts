import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { JsonObject } from '../../src/model/values/json.js';
import { compileSchema } from '../../src/schema/index.js';

function check(schema: JsonObject, value: JsonObject): ReturnType<typeof validated> {
  return validated(schema, value);
}

function validated(schema: JsonObject, value: JsonObject) {
  const compiled = compileSchema(schema);
  assert.ok(compiled.status === 'ok', JSON.stringify(compiled));
  return compiled.validate(value);
}

const expense: JsonObject = {
  type: 'object',
  required: ['employee', 'amount'],
  additionalProperties: false,
  properties: {
    employee: { type: 'string' },
    amount: { type: 'number', minimum: 0 },
    currency: { type: 'string', enum: ['EUR', 'USD'], default: 'EUR' },
    at: { type: 'string', format: 'date' },
  },
};

test('defaults are applied to a copy', () => {
  const given = { employee: 'e', amount: 5 };
  const checked = check(expense, given);
  assert.deepEqual(checked, { status: 'valid', value: { employee: 'e', amount: 5, currency: 'EUR' } });
  assert.deepEqual(given, { employee: 'e', amount: 5 });
});

test('everything wrong is told, each with its pointer', () => {
  const checked = check(expense, { amount: -1, currency: 'GBP', 'a/b': 1, at: 'yesterday' });
  assert.ok(checked.status === 'invalid');
  const found = Object.fromEntries(checked.errors.map((error) => [error.pointer, error.message]));
  assert.deepEqual(Object.keys(found).sort(), ['/amount', '/at', '/a~1b', '/currency', '/employee']);
  assert.equal(found['/employee'], 'is required');
  assert.equal(found['/a~1b'], 'is not declared by the schema');
  assert.match(found['/currency'] ?? '', /EUR/);
});

test('nothing is coerced', () => {
  assert.equal(check(expense, { employee: 5, amount: 5 }).status, 'invalid');
  assert.equal(check(expense, { employee: 'e', amount: '5' }).status, 'invalid');
});

test('names of the prototype are plain names', () => {
  const hidden = JSON.parse('{"employee":"e","amount":5,"__proto__":{"currency":"USD"}}') as JsonObject;
  assert.equal(check(expense, hidden).status, 'invalid');
  const wants: JsonObject = { type: 'object', required: ['constructor'] };
  assert.equal(check(wants, {}).status, 'invalid');
  assert.equal(check(wants, { constructor: 1 }).status, 'valid');
});

test('at most twenty errors are told', () => {
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, 1]));
  const checked = check({ type: 'object', additionalProperties: false, properties: {} }, many);
  assert.ok(checked.status === 'invalid');
  assert.equal(checked.errors.length, 20);
});

test('two schemas with one $id do not disturb each other', () => {
  const identified: JsonObject = { $id: 'https://x.example/s', type: 'object', required: ['a'] };
  const two: JsonObject = { $id: 'https://x.example/s', type: 'object', required: ['b'] };
  assert.equal(check(identified, { a: 1 }).status, 'valid');
  assert.equal(check(two, { a: 1 }).status, 'invalid');
});

test('a schema that refers to itself ends', () => {
  const tree: JsonObject = { type: 'object', properties: { next: { $ref: '#' }, v: { type: 'number' } } };
  assert.equal(check(tree, { next: { next: { v: 1 } } }).status, 'valid');
  assert.equal(check(tree, { next: { next: { v: 'x' } } }).status, 'invalid');
});

test('a reference by an anchor leads to it, also a dynamic one', () => {
  for (const [anchor, reference] of [
    ['$anchor', '$ref'],
    ['$dynamicAnchor', '$dynamicRef'],
    ['$dynamicAnchor', '$ref'],
  ] as const) {
    const schema: JsonObject = {
      type: 'object',
      $defs: { text: { [anchor]: 't', type: 'string' } },
      properties: { a: { [reference]: '#t' } },
    };
    assert.equal(check(schema, { a: 'x' }).status, 'valid', anchor);
    assert.equal(check(schema, { a: {} }).status, 'invalid', anchor);
  }
  const both = { type: 'object', $ref: '#/$defs/a', $dynamicRef: '#/$defs/a', $defs: { a: {} } };
  assert.match(JSON.stringify(compileSchema(both)), /keep one, or put one under `allOf`/);
});

test('values as deep as a stack allows none are refused, not thrown', () => {
  const tree: JsonObject = { type: 'object', properties: { next: { $ref: '#' } } };
  let deep: JsonObject = {};
  for (let index = 0; index < 1_000; index += 1) deep = { next: deep };
  assert.ok(['valid', 'invalid'].includes(check(tree, deep).status));
});

describe('does not compile', () => {
  const schemas: Readonly<Record<string, JsonObject>> = {
    'a misspelt keyword': { type: 'object', propertys: {} },
    'an unknown type': { type: 'objekt' },
    'an unknown format': { type: 'object', properties: { a: { type: 'string', format: 'dte' } } },
    'a reference to elsewhere': { $ref: 'https://example.com/x.json' },
    'a reference to nothing': { $ref: '#/$defs/none' },
    'a pattern that is none': { type: 'object', properties: { a: { type: 'string', pattern: '(' } } },
    'an answer that comes later': { $async: true, type: 'object' },
    'an answer that comes later, further in': {
      type: 'object',
      properties: { a: { $async: true, type: 'object' } },
    },
    'a circle without an end': { $ref: '#' },
    'another dialect': { $schema: 'http://json-schema.org/draft-04/schema#', type: 'object' },
  };
  test('a default that its own schema refuses, named with its place', () => {
    for (const [property, place] of [
      [{ note: { type: 'string', default: null } }, '/note'],
      [{ urgent: { type: 'boolean', default: 'yes' } }, '/urgent'],
      [
        { to: { type: 'object', default: {}, properties: { n: { type: 'integer', default: 'x' } } } },
        '/to/n',
      ],
      [{ a: { $ref: '#/$defs/a', default: 2 } }, '/a'],
    ] as const) {
      const compiled = compileSchema({
        type: 'object',
        $defs: { a: { type: 'string' } },
        properties: property as unknown as JsonObject,
      });
      const message = compiled.status === 'invalid' ? compiled.message : 'it compiles';
      assert.ok(message.includes(`the default of \`${place}\` does not fit its own schema`), message);
    }
    const fits = {
      type: 'object',
      required: ['b'],
      properties: { a: { type: 'integer', default: 1 }, b: {} },
    };
    assert.equal(compileSchema(fits).status, 'ok');
  });

  const remedies: Readonly<Record<string, readonly [property: JsonObject, said: string]>> = {
    'an unknown format': [
      { type: 'string', format: 'uuid4' },
      '`#/properties/a` has the format `uuid4`, which is not known here and would check nothing: take it out, and say what it asks for with `pattern`, `enum`, `minimum` or `maximum`',
    ],
    'a keyword beside a reference': [
      { $ref: '#/$defs/text', minLength: 2 },
      '`#/properties/a` has `minLength` and no `type` beside it that it applies to, so other values would pass it by: add `type: string`, or take `minLength` out',
    ],
    'a format without a type': [
      { format: 'date' },
      '`#/properties/a` has `format` and no `type` beside it that it applies to, so other values would pass it by: add `type: number` or `type: string`, or take `format` out',
    ],
    'two types that exclude each other': [
      { type: 'string', anyOf: [{ type: 'number' }] },
      '`#/properties/a/anyOf/0` takes `number`, and what it stands in takes `string` only, so no value fits both: write one of them in both places',
    ],
    'an unknown keyword': [
      { type: 'string', example: 'x' },
      'unknown keyword: "example", which would check nothing: correct it, or take it out (`description`, `examples` and `$comment` hold notes)',
    ],
  };
  for (const [title, [property, said]] of Object.entries(remedies))
    test(`${title}, with what to write`, () => {
      const compiled = compileSchema({
        type: 'object',
        $defs: { text: { type: 'string' } },
        properties: { a: property },
      });
      assert.equal(compiled.status === 'invalid' ? compiled.message : 'it compiles', said);
    });

  for (const [title, schema] of Object.entries(schemas)) {
    test(title, () => {
      const compiled = compileSchema(schema);
      assert.equal(compiled.status, 'invalid');
      assert.ok(compiled.status === 'invalid' && compiled.message.length > 0);
    });
  }
});

describe('what is filled in is held to the schema as if it had been sent', () => {
  const amount: JsonObject = { type: 'number', default: 60_000 };
  const properties = { amount, reason: { type: 'string' } };
  const big = { type: 'object', properties: { amount: { type: 'number', exclusiveMinimum: 50_000 } } };
  const has = (...required: string[]): JsonObject => ({ type: 'object', required });
  const schemas: Readonly<Record<string, JsonObject>> = {
    'an if': { type: 'object', properties, if: { ...big, ...has('amount') }, then: has('reason') },
    'a not': { type: 'object', properties, not: has('amount') },
    'an anyOf': { type: 'object', properties, anyOf: [{ not: has('amount') }, has('reason')] },
    'a oneOf': { type: 'object', properties, oneOf: [{ not: has('amount') }, has('amount', 'reason')] },
    'an allOf that comes before': {
      type: 'object',
      allOf: [
        { type: 'object', properties: { reason: {} }, additionalProperties: false },
        { $ref: '#/$defs/a' },
      ],
      $defs: { a: { type: 'object', properties } },
    },
    'a dependency': { type: 'object', properties, dependentSchemas: { amount: has('reason') } },
    'names that are counted': { type: 'object', properties, maxProperties: 0 },
    'an else': { type: 'object', properties, if: { not: has('amount') }, else: has('reason') },
  };
  for (const [title, schema] of Object.entries(schemas))
    test(`by ${title}`, () => {
      const sent = check(schema, { amount: 60_000 });
      assert.ok(sent.status === 'invalid' && sent.errors.length > 0);
      assert.deepEqual(check(schema, {}), sent);
      const nested: JsonObject = { type: 'object', properties: { order: { ...schema, $defs: {} } } };
      if (!Object.hasOwn(schema, '$defs')) assert.equal(check(nested, { order: {} }).status, 'invalid');
    });

  test('and what it fits is taken', () => {
    const schema = schemas['an if'] ?? assert.fail();
    const value = { amount: 60_000, reason: 'x' };
    assert.deepEqual(check(schema, { reason: 'x' }), { status: 'valid', value });
    assert.equal(check(schema, { amount: 5 }).status, 'valid');
  });
});

test('the formats of numbers that OpenAPI and Rust write are taken, and hold', () => {
  const fits: Readonly<Record<string, readonly [good: readonly number[], bad: readonly number[]]>> = {
    int: [[-1, 0], [0.5]],
    int8: [
      [-128, 127],
      [-129, 128],
    ],
    int16: [
      [-32_768, 32_767],
      [-32_769, 32_768],
    ],
    int32: [[-2_147_483_648], [2_147_483_648]],
    int64: [[9_007_199_254_740_991], [0.5]],
    uint: [
      [0, 1],
      [-1, 0.5],
    ],
    uint8: [
      [0, 255],
      [-1, 256],
    ],
    uint16: [[65_535], [65_536]],
    uint32: [[4_294_967_295], [4_294_967_296]],
    uint64: [
      [0, 9_007_199_254_740_991],
      [-1, 0.5],
    ],
    float: [[0.5], []],
    double: [[0.5], []],
  };
  for (const [format, [good, bad]] of Object.entries(fits)) {
    const schema: JsonObject = { type: 'object', properties: { a: { type: 'number', format } } };
    for (const a of good) assert.equal(check(schema, { a }).status, 'valid', `${format} ${a}`);
    for (const a of bad) assert.equal(check(schema, { a }).status, 'invalid', `${format} ${a}`);
  }
});
