import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Path, Template } from '../../src/engine/plan.js';
import { readPath, resolveTemplate } from '../../src/engine/template.js';

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
  for (const hole of [path(['gone']), path(['a']), path(['a', 'b', '1', 'c'])]) {
    assert.deepEqual(resolveTemplate({ kind: 'text', parts: ['x', hole] }, scopes), {
      status: 'unresolved',
      path: hole.text,
    });
  }
  assert.deepEqual(resolveTemplate({ kind: 'array', items: [path(['gone'])] }, scopes), {
    status: 'unresolved',
    path: '$.arguments.gone',
  });
});
