import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../src/model/values/json.js';
import { compileSchema, type CompiledSchema } from '../../src/schema/index.js';
import { runsOf } from '../../testing/samples.js';

// OpenAPI 3.0's `nullable`: where it loads null is taken, and what is advised instead loads and takes null.

const $defs: JsonObject = {
  text: { type: 'string' },
  none: { type: ['string', 'null'] },
  list: { enum: ['a', null] },
};

function compile(a: JsonObject): CompiledSchema {
  return compileSchema({ type: 'object', properties: { a }, $defs });
}

function takes(a: JsonObject, value: Json): boolean {
  const compiled = compile(a);
  assert.ok(compiled.status === 'ok', JSON.stringify([a, compiled]));
  return compiled.validate({ a: value }).status === 'valid';
}

/** Why it is no schema to write; null: it is one. */
function refusalOf(a: JsonObject): string | null {
  const compiled = compile(a);
  return compiled.status === 'invalid' ? compiled.message : compiled.misreading;
}

/** The schema as the message advises it, with what it names in the place of `…`. */
function advised(schema: JsonObject, message: string): JsonObject {
  if (message.includes(': add null to it'))
    return { ...schema, enum: [...(schema['enum'] as readonly Json[]), null] };
  const [, text = '', under] =
    /: write `(?:\{ )?anyOf: \[\{ (.*) \}, \{ type: "null" \}\](?: \}` (under `allOf`)|`) in its place/.exec(
      message,
    ) ?? [];
  const names = text.split(', ').map((part) => part.replace(/: …$/, ''));
  const isMoved = ([key]: readonly [string, Json]): boolean => names.includes(key);
  const entries = Object.entries(schema);
  assert.ok(entries.some(isMoved), message);
  const rest: JsonObject = Object.fromEntries(entries.filter((entry) => !isMoved(entry)));
  const anyOf: Json = [Object.fromEntries(entries.filter(isMoved)), { type: 'null' }];
  if (under === undefined) {
    assert.ok(!('anyOf' in rest), message);
    return { ...rest, anyOf };
  }
  return { ...rest, allOf: [...((rest['allOf'] ?? []) as readonly Json[]), { anyOf }] };
}

describe('`nullable`', () => {
  it('adds null to the type beside it', () => {
    const text = { type: 'string', nullable: true };
    assert.deepEqual([takes(text, null), takes(text, 'x'), takes(text, 1)], [true, true, false]);
    assert.ok(!takes({ type: 'string', nullable: false }, null));
  });

  it('without a type says nothing, so null is taken where the rest takes it', () => {
    for (const rest of [{}, { enum: [1, 2, null] }, { $ref: '#/$defs/none' }, { not: { type: 'string' } }]) {
      const schema = { ...rest, nullable: true };
      assert.equal(refusalOf(schema), null);
      for (const value of [null, 1, 2, 'x', {}]) assert.equal(takes(schema, value), takes(rest, value));
    }
    const listed = { enum: [1, 2, null], nullable: true };
    assert.deepEqual([takes(listed, 1), takes(listed, null), takes(listed, 3)], [true, true, false]);
  });

  it('beside keywords of one type asks for that type as it would be without it, and with it takes null', () => {
    for (const [type, rest] of [
      ['object', { properties: { b: { type: 'string' } }, required: ['b'] }],
      ['array', { items: { type: 'string' } }],
      ['string', { minLength: 2 }],
    ] as const) {
      assert.match(refusalOf({ ...rest, nullable: true }) ?? '', new RegExp(`add \`type: ${type}\``));
      assert.equal(refusalOf({ type, ...rest, nullable: true }), null);
      assert.ok(takes({ type, ...rest, nullable: true }, null));
    }
  });

  it('that is false is as if it were not there, except beside a type that takes null', () => {
    for (const rest of [{ $ref: '#/$defs/text' }, { allOf: [{ type: 'string' }] }, { enum: ['x', 1] }]) {
      const schema = { ...rest, nullable: false };
      assert.equal(refusalOf(schema), null);
      assert.deepEqual([takes(schema, 'x'), takes(schema, null)], [true, false]);
    }
    assert.match(
      refusalOf({ type: ['string', 'null'], nullable: false }) ?? '',
      /^`\/properties\/a` says `nullable: false`, and its `type` takes null: leave one of the two out$/,
    );
    assert.match(refusalOf({ type: 'string', nullable: 'yes' }) ?? '', /^`\/properties\/a` has a `nullable`/);
  });

  it('whose null another keyword takes away is refused at its place, and the advice takes null', () => {
    for (const [key, rest] of [
      ['$ref', { $ref: '#/$defs/text' }],
      ['allOf', { type: 'object', allOf: [{ type: 'object' }] }],
      ['anyOf', { type: 'string', anyOf: [{ enum: ['a'] }, { type: 'string', minLength: 3 }] }],
      ['oneOf', { type: 'string', oneOf: [{ $ref: '#/$defs/none' }, { $ref: '#/$defs/list' }] }],
      ['not', { type: 'string', not: { enum: [null, 'b'] } }],
      ['const', { type: 'string', const: 'a' }],
      ['enum', { type: 'string', enum: ['a'] }],
      ['if', { type: 'string', if: { enum: ['a', null] }, then: { const: 'a' } }],
    ] as const) {
      const schema = { ...rest, nullable: true };
      const said = refusalOf(schema) ?? '';
      assert.ok(
        said.startsWith(`\`/properties/a\` says \`nullable\`, and its \`${key}\` takes no null: `),
        said,
      );
      // A run that has begun with it goes on.
      assert.equal(compile(schema).status, 'ok');
      const instead = advised(schema, said);
      assert.equal(refusalOf(instead), null);
      assert.ok(takes(instead, null), JSON.stringify(instead));
    }
  });

  it('takes null wherever it is not refused, and where the advice is followed, and what else was taken stays so', () => {
    const leaf = fc.constantFrom<JsonObject>(
      { type: 'string' },
      { type: ['string', 'null'] },
      { enum: ['a', null] },
      { enum: ['a', 'b'] },
      { const: 'a' },
      { $ref: '#/$defs/text' },
      { $ref: '#/$defs/none' },
      { $ref: '#/$defs/list' },
    );
    const { schema } = fc.letrec<{ schema: JsonObject; part: JsonObject }>((tie) => {
      const parts = fc.array(tie('part'), { minLength: 1, maxLength: 3 });
      const keyword = fc.oneof(
        fc.record({ type: fc.constantFrom('string', ['string', 'null']) }),
        leaf,
        fc.record({ allOf: parts }),
        fc.record({ anyOf: parts }),
        fc.record({ oneOf: parts }),
        fc.record({ not: tie('part') }),
        fc.record({ if: tie('part'), then: tie('part'), else: tie('part') }),
      );
      return {
        part: fc.oneof({ maxDepth: 2 }, leaf, tie('schema')),
        schema: fc
          .array(keyword, { minLength: 1, maxLength: 3 })
          .map((all) => Object.assign({}, ...all) as JsonObject),
      };
    });
    let [refused, taken] = [0, 0];
    fc.assert(
      fc.property(schema, (made) => {
        const given = { ...made, nullable: true };
        const compiled = compile(given);
        if (compiled.status === 'invalid') return;
        if (compiled.misreading === null) {
          taken += 1;
          assert.ok(takes(given, null), JSON.stringify(given));
          return;
        }
        refused += 1;
        assert.ok(!takes(given, null), compiled.misreading);
        let [instead, said]: [JsonObject, string | null] = [given, compiled.misreading];
        // Several of its keywords may take no null: each in turn.
        for (let step = 0; said !== null && step < 8; step += 1) {
          instead = advised(instead, said);
          said = refusalOf(instead);
        }
        assert.equal(said, null, JSON.stringify(instead));
        assert.ok(takes(instead, null));
        for (const value of ['a', 'b', 'c', 1]) assert.equal(takes(instead, value), takes(given, value));
      }),
      { numRuns: runsOf(200) },
    );
    assert.ok(refused > 0 && taken > 0);
  });
});
