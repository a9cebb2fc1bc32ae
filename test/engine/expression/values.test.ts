import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../../../src/model/values/json.js';
import { compare } from '../../../src/engine/expression/compare.js';
import { evaluateGuard } from '../../../src/engine/guards.js';
import { applyMapping } from '../../../src/engine/expression/mapping.js';
import type { Mapping, Operand, Path, Template } from '../../../src/engine/plan.js';
import { roomOf } from '../../../src/engine/effects/room.js';
import { readPath, resolveTemplate, resolveText } from '../../../src/engine/expression/template.js';
import { expr, literal, path } from '../build.js';
import { json, names } from '../generate.js';

// Values: read by path, put into templates, written by mappings.

const hole = (scope: Path['scope'], segments: readonly string[], optional = false): Path => ({
  ...{ kind: 'path', scope, segments, optional },
  text: `$.${scope}.${segments.join('.')}`,
});

describe('a path', () => {
  const context = { list: [1, [2]], text: 'abc', none: null, '': 0 };
  const reads: readonly (readonly [segments: readonly string[], found: Json | undefined])[] = [
    [['list', '0'], 1],
    [['list', '1', '0'], 2],
    [['list', '2'], undefined],
    [['list', '00'], undefined],
    [['list', '-1'], undefined],
    [['list', 'length'], undefined],
    [['text', 'length'], undefined],
    [['text', '0'], undefined],
    [['none'], null],
    [['none', 'x'], undefined],
    [['nobody', 'x'], undefined],
    [[''], 0],
    [['constructor'], undefined],
    [['__proto__'], undefined],
    [['toString', 'name'], undefined],
    [[], context],
  ];
  for (const [segments, found] of reads)
    it(`\`${segments.join('.')}\` is ${JSON.stringify(found) ?? 'missing'}`, () => {
      assert.deepEqual(
        readPath({ context }, { scope: 'context', segments }),
        found === undefined ? { found: false } : { found: true, value: found },
      );
    });
  it('reads nothing of a scope that is not there', () => {
    assert.deepEqual(readPath({ context }, { scope: 'output', segments: [] }), { found: false });
    assert.deepEqual(readPath({}, { scope: 'constructor' as 'output', segments: [] }), { found: false });
  });
  it('reads what stands under a name, whatever the name means elsewhere', () => {
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.constantFrom(...names), json, (outer, inner, value) => {
        const scopes = { context: Object.fromEntries([[outer, Object.fromEntries([[inner, value]])]]) };
        const segments = [outer, inner];
        assert.deepEqual(readPath(scopes, { scope: 'context', segments }), { found: true, value });
      }),
    );
  });
});

describe('a template', () => {
  const scopes = { context: { id: 7, name: 'a b', yes: true, none: null, list: [1], no: [], it: {} } };
  const all: Template = {
    kind: 'object',
    entries: [
      { key: '__proto__', value: hole('context', ['id']) },
      { key: 'list', value: { kind: 'array', items: [{ kind: 'literal', value: 1 }] } },
      { key: 'said', value: { kind: 'text', parts: ['id ', hole('context', ['id'])] } },
      { key: 'none', value: hole('context', ['nobody'], true) },
    ],
  };
  it('is resolved whole', () => {
    assert.deepEqual(resolveTemplate(all, scopes), {
      status: 'resolved',
      value: Object.fromEntries([
        ['__proto__', 7],
        ['list', [1]],
        ['said', 'id 7'],
        ['none', null],
      ]),
    });
  });
  it('is not resolved at all where one path in it is not', () => {
    const missing = hole('context', ['nobody']);
    const around: readonly Template[] = [
      missing,
      { kind: 'array', items: [all, missing] },
      { kind: 'object', entries: [{ key: 'a', value: missing }] },
      { kind: 'text', parts: ['x', missing] },
    ];
    for (const template of around)
      assert.deepEqual(resolveTemplate(template, scopes), {
        ...{ status: 'unresolved', path: missing.text, got: 'nothing' },
      });
  });
  it('is not resolved where it is deeper than any policy is written', () => {
    let deep: Template = { kind: 'literal', value: 1 };
    for (let left = 20_000; left > 0; left -= 1) deep = { kind: 'array', items: [deep] };
    const resolved = resolveTemplate(deep, scopes);
    assert.ok(resolved.status === 'unresolved' && resolved.path.includes('nested deeper'));
  });
  it('is not made where it would be larger than a call takes, however few values it names', () => {
    const big = { arguments: { x: 'q'.repeat(900_000) } };
    const x = hole('arguments', ['x']);
    const many = <T>(item: T, of = 3): T[] => Array.from({ length: of }, () => item);
    const all: readonly Template[] = [
      { kind: 'array', items: many(x) },
      { kind: 'object', entries: many(x).map((value, at) => ({ key: `k${at}`, value })) },
      { kind: 'text', parts: many(x) },
      { kind: 'array', items: many<Template>({ kind: 'text', parts: [x] }) },
      { kind: 'text', parts: many('q'.repeat(900_000)) },
      { kind: 'array', items: many<Template>({ kind: 'literal', value: many('q'.repeat(450_000), 2) }) },
      { kind: 'object', entries: [{ key: 'k'.repeat(2 ** 21), value: x }] },
    ];
    for (const template of all) assert.deepEqual(resolveTemplate(template, big), { status: 'too_large' });
    for (const items of [many(x, 2), many(x, 1)])
      assert.equal(resolveTemplate({ kind: 'array', items }, big).status, 'resolved');
  });
  it('is not made where it would hold more values than a call takes, however few bytes they are', () => {
    const of = { arguments: { some: Array.from({ length: 40_000 }, () => 1) } };
    const some = hole('arguments', ['some']);
    const times = (count: number): Template => ({
      kind: 'array',
      items: Array(count).fill(some) as Template[],
    });
    assert.equal(resolveTemplate(times(2), of).status, 'resolved');
    assert.deepEqual(resolveTemplate(times(3), of), { status: 'too_large' });
    const more = { arguments: { some: Array.from({ length: 100_001 }, () => 1) } };
    assert.deepEqual(resolveTemplate(times(1), more), { status: 'too_large' });
  });
  it('is measured as the canonical JSON that it makes, also where it names a value twice', () => {
    fc.assert(
      fc.property(json, (value) => {
        const bytes = Buffer.byteLength(JSON.stringify(value));
        const whole = hole('context', []);
        assert.equal(resolveTemplate(whole, { context: value }, roomOf(bytes)).status, 'resolved');
        assert.equal(resolveTemplate(whole, { context: value }, roomOf(bytes - 1)).status, 'too_large');
        const twice: Template = { kind: 'array', items: [whole, whole] };
        const all = 2 * bytes + 2;
        assert.equal(resolveTemplate(twice, { context: value }, roomOf(all)).status, 'resolved');
        assert.equal(resolveTemplate(twice, { context: value }, roomOf(all - 1)).status, 'too_large');
      }),
    );
  });
  it('in text takes what has a text, encoded, and nothing else', () => {
    const text = (...parts: (string | Path)[]) => resolveText(parts, scopes, encodeURIComponent);
    const own = (name: string, optional = false): Path => hole('context', [name], optional);
    assert.deepEqual(text('/a/', own('name'), '/', own('yes')), {
      status: 'resolved',
      value: '/a/a%20b/true',
    });
    assert.deepEqual(text('/', own('none', true), own('nobody', true)), { status: 'resolved', value: '/' });
    for (const [name, got] of [
      ['none', 'null'],
      ['list', 'a list of 1'],
      ['no', 'an empty list'],
      ['it', 'an object'],
      ['nobody', 'nothing'],
    ] as const)
      assert.deepEqual(text(own(name)), { status: 'unresolved', path: own(name).text, got });
    assert.equal(text(own('list', true)).status, 'unresolved');
  });
});

describe('a mapping', () => {
  const scopes = {
    ...{ arguments: { n: 2 }, context: { n: 1, kept: 'k' }, input: {} },
    ...{ output: { n: 8, text: 'x', none: null }, response: { status: 200 } },
  };
  const out = (name: string): Operand => hole('output', [name]);
  const written = (spec: Mapping['spec']): Json | undefined =>
    applyMapping([{ key: 'r', spec }], scopes).context?.['r'];
  const sums: readonly (readonly [
    kind: 'add' | 'subtract' | 'multiply' | 'divide' | 'concat',
    operands: readonly Operand[],
    gives: Json,
  ])[] = [
    ['add', [out('n'), literal(1)], 9],
    ['subtract', [out('n'), literal(1)], 7],
    ['multiply', [out('n'), literal(2)], 16],
    ['divide', [out('n'), literal(2)], 4],
    ['divide', [out('n'), literal(0)], null],
    ['multiply', [literal(1e308), literal(10)], null],
    ['add', [out('none'), literal(1)], 1],
    ['subtract', [literal(1), out('nobody')], 1],
    ['add', [out('text'), literal(1)], null],
    ['add', [literal(1), literal(true)], null],
    ['add', [literal(1)], null],
    ['add', [literal(1), literal(2), literal(3)], null],
    ['concat', [out('text'), literal(1), literal(null), literal(true)], 'x1nulltrue'],
    ['concat', [], ''],
  ];
  for (const [kind, operands, gives] of sums)
    it(`${kind} of ${operands.map((operand) => (operand.kind === 'path' ? operand.text : operand.value)).join(', ')} is ${JSON.stringify(gives)}`, () =>
      assert.equal(written({ kind, operands }), gives));

  it('sets a path, a literal or any JSON, and null with the path where it does not resolve', () => {
    assert.equal(written({ kind: 'set', value: out('n') }), 8);
    assert.deepEqual(written({ kind: 'set', value: { kind: 'json', value: { a: [1] } } }), { a: [1] });
    const { context, unresolved } = applyMapping(
      [{ key: 'r', spec: { kind: 'set', value: out('nobody') } }],
      scopes,
    );
    const missing = { count: 1, paths: ['$.output.nobody'] };
    assert.deepEqual([context, unresolved], [{ n: 1, kept: 'k', r: null }, missing]);
  });
  it('makes nothing that is more than a context may be', () => {
    const x = path('context', 'big');
    const big = { ...scopes, context: { big: 'q'.repeat(200_000) } };
    const many = Array.from({ length: 3 }, () => x);
    const sets = many.map((value, at): Mapping => ({ key: `k${at}`, spec: { kind: 'set', value } }));
    const concat: Mapping = { key: 'k', spec: { kind: 'concat', operands: many } };
    for (const mappings of [sets, [concat]]) assert.equal(applyMapping(mappings, big).context, null);
    assert.notEqual(applyMapping(sets.slice(1), big).context, null);
  });
  it('reads the context as it was, and changes nothing but what it writes', () => {
    const swap: readonly Mapping[] = [
      { key: 'n', spec: { kind: 'set', value: path('context', 'kept') } },
      { key: '__proto__', spec: { kind: 'set', value: path('context', 'n') } },
    ];
    const { context } = applyMapping(swap, scopes);
    assert.deepEqual(Object.entries(context ?? {}), [
      ['n', 'k'],
      ['kept', 'k'],
      ['__proto__', 1],
    ]);
    assert.equal(applyMapping([], scopes).context, scopes.context);
  });
});

describe('a value that cannot be kept', () => {
  let deep: Json = 1;
  for (let left = 20_000; left > 0; left -= 1) deep = [deep];
  const unkeepable: readonly Json[] = [
    deep,
    { a: '\ud800' },
    [Number.NaN],
    Object.fromEntries([['\udc00', 1]]),
  ];
  it('is compared with nothing: an error, on either side', () => {
    for (const value of unkeepable) {
      const other: Json = Array.isArray(value) ? [] : {};
      for (const operator of ['==', '!='] as const) {
        assert.equal(compare(value, operator, other).verdict, 'error');
        assert.equal(compare(other, operator, value).verdict, 'error');
      }
    }
  });
});

describe('a reason', () => {
  it('shows what was read, and of a long value its beginning', () => {
    const at = {
      ...{ arguments: {}, context: { a: 'x'.repeat(500) }, input: {}, principal: null },
      ...{ evidence: [], state: 's', stay: 1 },
    };
    const { reason } = evaluateGuard(expr(path('context', 'a'), '==', literal('y')), at);
    assert.ok(
      reason.includes('$.context.a is `"xxx') && reason.includes('...`') && reason.length < 250,
      reason,
    );
  });
});
