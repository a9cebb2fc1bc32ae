import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasEffect, isRepeatable, overrideInBody, overrideOf } from '../../src/engine/effects/effects.js';
import type { Executor } from '../../src/engine/plan.js';

type Rest = Extract<Executor, { kind: 'rest' }>;

const rest = (more: Partial<Rest> = {}): Rest => ({
  ...{ kind: 'rest', connection: 'bank', method: 'GET', path: { kind: 'text', parts: ['/payments'] } },
  ...{ query: [], headers: [], body: null, idempotencyKey: false, ...more },
});
const path = (...parts: Rest['path']['parts']): Pick<Rest, 'path'> => ({ path: { kind: 'text', parts } });
const hole = {
  kind: 'path',
  scope: 'arguments',
  segments: ['id'],
  optional: false,
  text: '$.arguments.id',
} as const;
const literal = (value: string) => ({ kind: 'literal', value }) as const;
const executing = { action: { tier: null } };

describe('a call without a tier', () => {
  for (const [what, more] of [
    ['a GET', {}],
    ['a HEAD', { method: 'HEAD' }],
    ['a GET with a query in its path', path('/payments?page=1&size=', hole)],
    ['a GET with values that are filled in', path('/payments;v=', hole, '?page=', hole, '&a[]=', hole)],
    ['a GET with a name that is filled in behind one', path('/payments?filter_', hole, '=1&q[', hole, ']=1')],
    [
      'a GET with headers and a query',
      { headers: [{ key: 'Accept', value: literal('x') }], query: [{ key: 'q', value: literal('x') }] },
    ],
  ] as const)
    it(`is a read where it is ${what}`, () => {
      assert.equal(hasEffect(executing, rest(more)), false);
    });

  for (const [what, more] of [
    ['a POST', { method: 'POST' }],
    [
      'a GET whose header says another method',
      { headers: [{ key: 'X-HTTP-Method-Override', value: literal('DELETE') }] },
    ],
    ['a GET whose query says another method', { query: [{ key: '_method', value: literal('delete') }] }],
    ['a GET whose path says another method', path('/payments/', hole, '?page=1&_method=delete')],
    ['a GET whose path says it encoded', path('/payments?%5Fm%65thod=delete&%zz')],
    ['a GET whose path lets an argument name a parameter', path('/payments?', hole, '=', hole)],
    ['a GET whose path lets an argument end a name', path('/payments?page=1&_met', hole, '=DELETE')],
    ['a GET whose path lets an argument be its query', path('/payments?', hole)],
    ['a GET whose path says it after a semicolon', path('/payments?page=1;_method=DELETE')],
    ['a GET whose path says it before its query', path('/payments;_method=DELETE/', hole)],
    ['a GET whose path says it as a list', path('/payments?_method%5B%5D=DELETE')],
    ['a GET whose path says it with a blank', path('/payments?+_method%00x=DELETE')],
    ['a GET whose path says it as PHP reads it', path('/payments?[method=DELETE')],
    ['a GET whose query says it as a list', { query: [{ key: '_method[]', value: literal('delete') }] }],
    [
      'a GET whose header says it with underscores',
      { headers: [{ key: 'X_HTTP_Method', value: literal('DELETE') }] },
    ],
    ['a GET whose connection says another method', { overriddenBy: 'X-Method-Override' }],
    ['a GET whose path says it after another question mark', path('/payments?x=?&%24httpmethod=DELETE')],
  ] as const)
    it(`may change something where it is ${what}, and is not made again by itself`, () => {
      assert.equal(hasEffect(executing, rest(more)), true);
      assert.equal(isRepeatable(executing, rest(more)), false);
      assert.equal(isRepeatable(executing, rest({ ...more, idempotencyKey: true })), true);
    });
});

describe("an author's tier", () => {
  for (const tier of ['reversible', 'irreversible'] as const)
    for (const method of ['GET', 'HEAD', 'POST'] as const)
      it(`makes ${method} what may change something: ${tier}`, () => {
        const judged = { action: { tier } };
        assert.equal(hasEffect(judged, rest({ method })), true);
        assert.equal(isRepeatable(judged, rest({ method })), false);
      });

  it('makes nothing of what calls nothing', () => {
    assert.equal(hasEffect({ action: { tier: 'irreversible' } }, { kind: 'noop', output: null }), false);
  });

  it('makes a POST a read, as its reason says', () => {
    assert.equal(hasEffect({ action: { tier: 'read_only' } }, rest({ method: 'POST' })), false);
  });
});

describe('a name in a body that servers take for the method', () => {
  for (const body of [
    { _method: 'DELETE' },
    { q: 1, '_method[]': 'DELETE' },
    { _HttpMethod: 'PATCH' },
    { 'X-HTTP-Method-Override': 'PUT' },
    'q=1&_method=DELETE',
    'q=1;%5Fmethod=DELETE',
    'q=1\r\n_method=DELETE',
    '{"q": 1, "\\u005fmethod": "DELETE"}',
    'Content-Disposition: form-data; name="_method"\r\n\r\nDELETE',
    'content-disposition: form-data; NAME=_method; x=y\r\n\r\nDELETE',
  ])
    it(`is found in ${JSON.stringify(body)}`, () => {
      assert.ok(overrideInBody(body) !== null);
      assert.ok(overrideOf(rest({ method: 'POST', body: { kind: 'literal', value: body } })) !== null);
    });

  it('is told as it is known, never as it was sent', () => {
    assert.equal(overrideInBody({ '_METHOD[for Ann Lee]': 'DELETE' }), '_method');
    assert.equal(overrideInBody('%5F%6Dethod=DELETE'), '_method');
  });

  for (const body of [
    ...[null, 5, true, 'DELETE', '', '[1]', '{"a": ', '["_method"]', 'method=DELETE&q=_method'],
    ...[['_method'], {}, { method: 'DELETE' }, { q: '_method', filter: { _method: 'x' } }, { '100%': 1 }],
  ])
    it(`is not in ${JSON.stringify(body)}`, () => {
      assert.equal(overrideInBody(body), null);
      assert.equal(overrideOf(rest({ method: 'POST', body: { kind: 'literal', value: body } })), null);
    });

  it('is one where its author writes it, whatever fills it', () => {
    const entries = [{ key: '_method', value: hole }];
    assert.equal(overrideOf(rest({ body: { kind: 'object', entries } })), '_method');
    assert.equal(overrideOf(rest({ body: { kind: 'text', parts: ['_method=', hole] } })), '_method');
    assert.equal(overrideOf(rest({ body: { kind: 'text', parts: ['q=', hole] } })), null);
    assert.equal(overrideOf(rest({ body: { kind: 'array', items: [hole] } })), null);
    assert.equal(overrideOf(rest({ body: hole })), null);
  });
});
