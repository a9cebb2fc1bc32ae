import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buildCall, previewCalls } from '../../../src/executors/index.js';
import type { RestExecutor as Rest } from '../../../src/executors/rest/types.js';
import type { Executor, Template, Tier } from '../../../src/engine/plan.js';
import type { Json, JsonObject } from '../../../src/model/values/json.js';
import { transition } from '../../engine/build.js';

// What calls itself a read passes gates, so nobody who fills its body can make it another method.

const filter: Template = {
  ...{ kind: 'path', scope: 'arguments', segments: ['filter'] },
  ...{ optional: false, text: '$.arguments.filter' },
};
const post = (more: Partial<Rest> = {}): Rest => ({
  ...{ kind: 'rest', connection: 'erp', method: 'POST', path: { kind: 'text', parts: ['/orders/7'] } },
  ...{ query: [], headers: [], body: filter, idempotencyKey: false, ...more },
});
const form: Template = { kind: 'text', parts: ['q=', filter] };
const built = (executor: Executor, tier: Tier | null, args: JsonObject): ReturnType<typeof buildCall> =>
  buildCall(executor, { arguments: args, context: {}, input: {} }, 'transition', { action: { tier } });

const part = (name: string): string => `x\r\n--b\r\nContent-Disposition: form-data; ${name}\r\n\r\nDELETE`;

const bodies: readonly (readonly [Template, Json])[] = [
  [filter, { _method: 'DELETE' }],
  [filter, { q: 'x', _HttpMethod: 'PATCH' }],
  [filter, 'q=x&_method=DELETE'],
  [form, 'x&_method=DELETE'],
  [form, 'x&[_method]=DELETE'],
  [form, 'x&%5B_method%5D=DELETE'],
  [form, part('name="\\_method"')],
  [filter, { q: '&_method=DELETE&' }],
  [filter, [{ _method: 'DELETE' }]],
  [filter, { filter: { _method: 'DELETE' } }],
  [filter, '\ufeff{"\\u005fmethod":"DELETE"}'],
];

describe('a body that would make a call another method', () => {
  for (const [body, value] of bodies) {
    const what = JSON.stringify([body.kind, value]);
    it(`is not built for a read, nor where nobody says whose call it is: ${what}`, () => {
      const executor = post({ body });
      const refused = built(executor, 'read_only', { filter: value });
      assert.ok(refused.status === 'unresolved', JSON.stringify(refused));
      assert.match(
        refused.message,
        /^`_(http)?method` in the call may make it another than the one that is looked at/i,
      );
      const scopes = { arguments: { filter: value }, context: {}, input: {} };
      assert.deepEqual(buildCall(executor, scopes, 'transition'), refused);
    });
    it(`is built for what is judged as an effect: ${what}`, () => {
      for (const tier of ['reversible', 'irreversible', null] as const)
        assert.equal(built(post({ body }), tier, { filter: value }).status, 'built');
    });
  }

  it('is refused in a fallback of a read too, and the card says so', () => {
    const safe = post({ body: null });
    const of = transition('go', 'b', { tier: 'read_only', executor: safe });
    const step = { ...of, reliability: { ...of.reliability, fallback: [post()] } };
    const asking = { arguments: { filter: { _method: 'DELETE' } }, context: {}, input: {} };
    const shown = previewCalls(step, asking as unknown as Parameters<typeof previewCalls>[1]);
    assert.match(JSON.stringify(shown.preview), /"fallbacks":.*"unresolved":"_method"/);
    const both = previewCalls({ ...step, executor: post() }, asking as never);
    assert.equal(both.refused?.code, 'INPUT_INVALID');
  });

  it('says nothing of what was sent', () => {
    const refused = built(post(), 'read_only', { filter: { '_method[Ann Lee]': 'DELETE' } });
    assert.doesNotMatch(JSON.stringify(refused), /Ann/);
  });

  it('lets a search through', () => {
    const searches = [{}, { method: 'x', q: { payment_method: 'x' } }, ['method'], 'about methods', 5, null];
    for (const value of searches)
      assert.equal(built(post(), 'read_only', { filter: value }).status, 'built', JSON.stringify(value));
  });
});

describe('a body of several parts that is filled in', () => {
  const parts: Template = {
    kind: 'text',
    parts: [`--b\r\n${part('name="q"')}\r\n\r\n`, filter, '\r\n--b--\r\n'],
  };
  const sent = 'multipart/form-data; boundary=b';
  for (const [what, type, args] of [
    ['as its author says', { kind: 'literal', value: sent }, {}],
    ['as an argument says', { ...filter, segments: ['type'] }, { type: sent }],
  ] as const)
    it(`is not built for a read, since names in it can be written in too many ways: ${what}`, () => {
      const executor = post({ body: parts, headers: [{ key: 'content-type', value: type }] });
      const given = { filter: part('name*0=_met; name*1=hod'), ...args };
      const refused = built(executor, 'read_only', given);
      assert.ok(refused.status === 'unresolved' && refused.path === 'multipart', JSON.stringify(refused));
      assert.equal(built(executor, 'irreversible', given).status, 'built');
    });
});

describe('an argument in the path or query of a read', () => {
  const parts = ['/orders?a=1&_met', filter, '=DELETE'];
  const segment = ['/orders/', filter];
  for (const [what, more, value] of [
    ['that ends a name', { path: { kind: 'text', parts } }, 'hod'],
    ['that may be read as a parameter', { path: { kind: 'text', parts: segment } }, 'x;_method=DELETE'],
    ['that is a value', { query: [{ key: 'q', value: filter }] }, 'x&_method=DELETE'],
  ] as const satisfies readonly (readonly [string, Partial<Rest>, string])[])
    it(`makes it no other method, whatever its tier: ${what}`, () => {
      for (const tier of ['read_only', null] as const) {
        const executor = post({ method: 'GET', body: null, ...more });
        assert.equal(built(executor, tier, { filter: value }).status, 'unresolved');
        assert.equal(built(executor, tier, { filter: 'x' }).status, 'built');
      }
    });
});

describe('a query, header or connection that makes a read another method', () => {
  const literal: Template = { kind: 'literal', value: 'DELETE' };
  for (const [what, more] of Object.entries({
    'a query': { query: [{ key: '_HttpMethod', value: literal }] },
    'a header': { headers: [{ key: 'X-HTTP-Method', value: literal }] },
    'a path': { path: { kind: 'text', parts: ['/orders?_method=DELETE'] } },
    'its connection': { overriddenBy: 'X-Method-Override' },
  } satisfies Readonly<Record<string, Partial<Rest>>>))
    it(`is not built either: ${what}, in a plan from before it was known`, () => {
      assert.equal(built(post({ ...more, body: null }), 'read_only', {}).status, 'unresolved');
      assert.equal(built(post({ ...more, body: null }), 'irreversible', {}).status, 'built');
    });
});
