import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasEffect, isRepeatable } from '../../src/executors/index.js';
import { asText, overrideIn, overrideOf } from '../../src/executors/rest/overrides.js';
import type { RestExecutor as Rest } from '../../src/executors/rest/types.js';

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
    ['a GET whose names are like one', path('/payments?payment_method=card&filter[method]=x&_methods=1')],
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
    [
      'a GET whose path lets an argument name a parameter in brackets',
      path('/payments?page=1&[_', hole, ']='),
    ],
    ['a GET whose path says it in brackets', path('/payments?page=1&[_method]=DELETE')],
    ['a GET whose query says it in brackets', { query: [{ key: '[_method]', value: literal('DELETE') }] }],
    ['a GET whose path says it encoded twice', path('/payments?%255fmethod=DELETE')],
    [
      'a GET whose query has a value with the word',
      { query: [{ key: 'q', value: literal('&_method=DELETE') }] },
    ],
    ['a GET whose path lets an argument be its query', path('/payments?', hole)],
    ['a GET whose path says it after a semicolon', path('/payments?page=1;_method=DELETE')],
    ['a GET whose path says it before its query', path('/payments;_method=DELETE/', hole)],
    ['a GET whose path says it as a list', path('/payments?_method%5B%5D=DELETE')],
    ['a GET whose path says it with a blank', path('/payments?+_method%00x=DELETE')],
    ['a GET whose path says it as PHP reads it', path('/payments?.method=DELETE')],
    ['a GET whose query says it as a list', { query: [{ key: '_method[]', value: literal('delete') }] }],
    [
      'a GET whose header says it with underscores',
      { headers: [{ key: 'X_HTTP_Method', value: literal('DELETE') }] },
    ],
    ['a GET whose connection says another method', { overriddenBy: 'X-Method-Override' }],
    [
      'a GET whose query says it as Alfresco reads it',
      { query: [{ key: 'alf_method', value: literal('delete') }] },
    ],
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

describe('a word that servers take for the method', () => {
  const part = (name: string): string =>
    `--b\r\nContent-Disposition: form-data; ${name}\r\n\r\nDELETE\r\n--b--`;
  for (const body of [
    { _method: 'DELETE' },
    { q: 1, '_method[]': 'DELETE' },
    { '[_method]': 'DELETE' },
    { filter: { _method: 'DELETE' } },
    [{ _method: 'DELETE' }],
    { q: '&_method=DELETE&' },
    { q: 'a\n_method=DELETE' },
    ['&_method=DELETE&'],
    { _HttpMethod: 'PATCH' },
    { 'X-HTTP-Method-Override': 'PUT' },
    ...['q=1&_method=DELETE', 'q=1;%5Fmethod=DELETE', 'q=1\r\n_method=DELETE', 'q=_method'],
    ...['q=1&[_method]=DELETE', 'q=1&[[_method]=DELETE', 'q=1&]_method=DELETE', 'q=1&%5B_method%5D=DELETE'],
    ...[
      'q=1&%255fmethod=DELETE',
      'q=1&%u005fmethod=DELETE',
      'q=1&.method=DELETE',
      'q=1&x+http.method=DELETE',
      'q=1&+.method=DELETE',
      'q=1&%E9_method=DELETE',
    ],
    ...['q=1&alf_method=DELETE', { 'atg-rest-http-method': 'DELETE' }, 'q=1&atg.rest.http.method=DELETE'],
    ...['q=1&%26_method=DELETE', 'q=1&%c3_method=DELETE', '.method=DELETE', 'q=%C3%A9%ff_method=DELETE'],
    ...['%ed%a0%80', '%e0%80%80', '%f4%90%80%80', '%f0%8f%bf%bf', '%c1%81'].map((no) => `q=1&${no}_method=1`),
    ...[
      '{"q": 1, "\\u005fmethod": "DELETE"}',
      '\ufeff{"\\u005Fm\\u0065thod":"DELETE"}',
      '{"_method":"DELETE",}',
      '"\\x5fmethod": DELETE',
    ],
    ...['name="_method"', 'NAME=_method; x=y', "name*=utf-8''_method", "name*=utf-8''%5fmethod"].map(part),
    ...['name = "_method"', 'name="\\_method"', 'name="[_method]"'].map(part),
  ])
    it(`is found in ${JSON.stringify(body)}`, () => {
      assert.ok(overrideIn([], asText(body)) !== null);
      assert.ok(overrideOf(rest({ method: 'POST', body: { kind: 'literal', value: body } })) !== null);
    });

  it('is told as the word alone, without what stands around it', () => {
    assert.equal(overrideIn([], asText({ '_METHOD[for Ann Lee]': 'DELETE' })), '_METHOD');
    assert.equal(overrideIn([], 'Ann=Lee&%5F%6Dethod=DELETE'), '_method');
    assert.equal(overrideIn([['Content-Type', 'Ann Lee multipart/mixed']], ''), 'multipart');
  });

  for (const body of [
    ...[null, 5, true, 'DELETE', '', '[1]', '{"a": ', '["method"]', 'method=DELETE&q=method'],
    ...[
      'payment_method=card&filter[method]=card&__method=1',
      '_methods=1&a_method_b=1&calf_method=1',
      '100%&%zz=1&%u00zz',
    ],
    ...[['shipping_method'], {}, { method: 'DELETE' }, { q: 'a.method()', filter: { http_method: 'x' } }],
    ...[{ '100%': 1 }, '$.items[0].method', 'the x method'],
    ...['%E4%BB%98_method=1', '%F0%90%90%80_method=1', '%ED%9E%A3_method=1', '%F4%80%80%80q_method=1'],
    ...[
      'numéro_method=1&numé_method=1',
      'num%C3%A9_method=1',
      'q=%ff%C3%A9_method=1',
      { numé_method: 1 },
      'q=1+a.method',
    ],
  ])
    it(`is not in ${JSON.stringify(body)}`, () => {
      assert.equal(overrideIn([['Accept', 'multipart/mixed']], asText(body)), null);
      assert.equal(overrideOf(rest({ method: 'POST', body: { kind: 'literal', value: body } })), null);
    });

  it('is one where its author writes it, whatever fills it', () => {
    const entries = [{ key: '_method', value: hole }];
    const items = [{ kind: 'object', entries } as const];
    assert.equal(overrideOf(rest({ body: { kind: 'object', entries } })), '_method');
    assert.equal(overrideOf(rest({ body: { kind: 'array', items } })), '_method');
    assert.equal(overrideOf(rest({ body: { kind: 'text', parts: ['_method=', hole] } })), '_method');
    assert.equal(overrideOf(rest({ body: { kind: 'text', parts: ['q=', hole] } })), null);
    assert.equal(overrideOf(rest({ body: { kind: 'array', items: [hole] } })), null);
    assert.equal(overrideOf(rest({ body: hole })), null);
  });
});

describe('a type of body in which a word can be written in more ways than are looked for', () => {
  for (const type of [
    ...['multipart/form-data; boundary=b', 'Multipart/mixed', 'text/plain, multipart/form-data'],
    ...['application/json; charset=utf-16', 'application/json; charset=utf-8; Charset = "utf-7"'],
    ...['text/plain; charset*=utf-16', 'text/plain; charset*0=utf-; charset*1=16'],
  ])
    it(`makes a call what may be another method: ${type}`, () => {
      for (const key of ['content-type', 'Content-Type'])
        assert.ok(overrideOf(rest({ headers: [{ key, value: literal(type) }] })) !== null);
    });

  for (const type of [
    ...[
      'application/json',
      'application/x-www-form-urlencoded; charset=UTF-8',
      'text/plain; charset = "utf-8"',
    ],
    ...['application/sparql-query', 'text/xml; charset=iso-8859-1', 'application/json;charset=utf8'],
  ])
    it(`is none of these: ${type}`, () => {
      assert.equal(overrideOf(rest({ headers: [{ key: 'Content-Type', value: literal(type) }] })), null);
    });
});
