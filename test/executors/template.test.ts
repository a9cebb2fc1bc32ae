import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Executor, Path, Template } from '../../src/engine/plan.js';
import { readPath, resolveTemplate } from '../../src/engine/expression/template.js';
import { buildCall } from '../../src/executors/index.js';

const scopes = {
  arguments: JSON.parse(
    '{"a":{"b":[10,{"c":null}]},"__proto__":{"own":1},"n":0,"f":false,"s":"text"}',
  ) as Record<string, never>,
  context: {},
};
const path = (segments: string[], optional = false): Path => ({
  kind: 'path',
  scope: 'arguments',
  segments,
  optional,
  text: `$.arguments.${segments.join('.')}`,
});

test('a path reads own properties and array indexes, and nothing else', () => {
  const read = (...segments: string[]): unknown => {
    const result = readPath(scopes, path(segments));
    return result.found ? result.value : 'not found';
  };
  assert.equal(read('a', 'b', '0'), 10);
  assert.equal(read('a', 'b', '1', 'c'), null);
  assert.equal(read('__proto__', 'own'), 1);
  for (const segments of [
    ['toString'],
    ['constructor'],
    ['a', 'b', 'length'],
    ['a', 'b', '00'],
    ['a', 'b', '2'],
    ['a', 'b', '-1'],
    ['s', '0'],
    ['s', 'length'],
    ['a', '__proto__'],
    ['n', 'x'],
  ]) {
    assert.equal(read(...segments), 'not found', segments.join('.'));
  }
  assert.equal(readPath(scopes, { scope: 'output', segments: [] }).found, false);
});

test('a template resolves wholly or not at all, and names the path that is missing', () => {
  const template: Template = {
    kind: 'object',
    entries: [
      { key: '__proto__', value: path(['n']) },
      { key: 'list', value: { kind: 'array', items: [path(['f']), path(['gone'], true)] } },
      {
        key: 'text',
        value: { kind: 'text', parts: ['n=', path(['n']), ' f=', path(['f']), ' g=', path(['gone'], true)] },
      },
    ],
  };
  const resolved = resolveTemplate(template, scopes);
  assert.ok(resolved.status === 'resolved');
  assert.equal(JSON.stringify(resolved.value), '{"__proto__":0,"list":[false,null],"text":"n=0 f=false g="}');
  for (const [hole, got] of [
    [path(['gone']), 'nothing'],
    [path(['a']), 'an object'],
    [path(['a', 'b', '1', 'c']), 'null'],
  ] as const) {
    assert.deepEqual(resolveTemplate({ kind: 'text', parts: ['x', hole] }, scopes), {
      ...{ status: 'unresolved', path: hole.text, got },
    });
  }
  assert.deepEqual(resolveTemplate({ kind: 'array', items: [path(['gone'])] }, scopes), {
    ...{ status: 'unresolved', path: '$.arguments.gone', got: 'nothing' },
  });
});

/** Where a call has templates (a command's arguments have less room of their own), and a call that has them only where it is told to, each of 900,000 bytes. */
const places: Readonly<Record<string, readonly string[]>> = {
  rest: ['path', 'query', 'header', 'body'],
  mcp: ['first', 'second', 'third'],
};
function callOf(kind: string, used: readonly string[]): Executor {
  const big = path(['big']);
  const at = (place: string): Template => (used.includes(place) ? big : { kind: 'literal', value: 'x' });
  const common = { connection: 'c', idempotencyKey: false };
  if (kind === 'mcp') {
    const entries = ['first', 'second', 'third'].map((key) => ({ key, value: at(key) }));
    return { kind, ...common, tool: 't', map: { kind: 'object', entries } };
  }
  return {
    ...{ kind: 'rest', method: 'POST', ...common },
    path: { kind: 'text', parts: ['/', ...(used.includes('path') ? [big] : [])] },
    query: [{ key: 'q', value: at('query') }],
    headers: [{ key: 'h', value: at('header') }],
    body: at('body'),
  };
}
for (const [kind, all] of Object.entries(places))
  for (const three of all.length === 3 ? [all] : all.map((left) => all.filter((name) => name !== left)))
    test(`all templates of a ${kind} call have one room: two of ${three.join(', ')} fit, and three do not`, () => {
      const big = { arguments: { big: 'q'.repeat(900_000) }, context: {}, input: {} };
      assert.equal(buildCall(callOf(kind, three), big, 'transition').status, 'too_large');
      for (const left of three) {
        const two = three.filter((name) => name !== left);
        assert.equal(buildCall(callOf(kind, two), big, 'transition').status, 'built');
      }
    });
