import assert from 'node:assert/strict';
import { Session } from 'node:inspector/promises';
import { describe, it, test } from 'node:test';
import { buildCall, hasEffect } from '../../src/executors/index.js';
import { operationIn } from '../../src/executors/rest/graphql.js';
import { overrideOf } from '../../src/executors/rest/overrides.js';
import type { RestExecutor as Rest } from '../../src/executors/rest/types.js';
import type { Template, Tier } from '../../src/engine/plan.js';
import type { Json } from '../../src/model/values/json.js';

// A GraphQL server takes reads and changes at one address by one method: the document alone says which it is asked for.

const argument: Template = {
  ...{ kind: 'path', scope: 'arguments', segments: ['query'] },
  ...{ optional: false, text: '$.arguments.query' },
};
const literal = (value: Json): Template => ({ kind: 'literal', value });
const post = (body: Template | null, more: Partial<Rest> = {}): Rest => ({
  ...{ kind: 'rest', connection: 'erp', method: 'POST', path: { kind: 'text', parts: ['/graphql'] } },
  ...{ query: [], headers: [], body, idempotencyKey: false, ...more },
});
const asked: Template = { kind: 'object', entries: [{ key: 'query', value: argument }] };
const built = (executor: Rest, tier: Tier | null, query: Json): ReturnType<typeof buildCall> =>
  buildCall(executor, { arguments: { query }, context: {}, input: {} }, 'transition', { action: { tier } });

/** How often the function of ours that is called most often is called. */
async function mostCalls(act: () => void): Promise<number> {
  const session = new Session();
  session.connect();
  try {
    await session.post('Profiler.enable');
    await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
    act();
    const { result } = await session.post('Profiler.takePreciseCoverage');
    const ours = result.filter(({ url }) => !url.startsWith('node:')).flatMap(({ functions }) => functions);
    return Math.max(...ours.flatMap(({ ranges }) => ranges.map(({ count }) => count)));
  } finally {
    session.disconnect();
  }
}

const changes = [
  'mutation { payInvoice(id: "INV-7", amount: 90000) { id } }',
  'subscription { invoices { id } }',
  '\ufeff , mutation Pay($id: ID! = "}", $in: In = {a: [1]}) @live(if: {a: 1}) { pay(id: $id) { id } }',
  '# a query {\r{ me { id } }\nmutation Pay { pay { id } }',
  'query A { me { id } } fragment F on User { id } mutation B { pay { id } }',
  'query A($q: String = "{ \\" {") { me(q: $q) { id } } mutation{pay{id}}',
  '{ a(x: """ { \\""" { " { """) } mutation { pay }',
  '{ a(x: """\\\\\\""" y""") } mutation { pay }',
  '{ a(x: "") b(y: """""") } mutation { pay }',
  '"a description of it" mutation { pay }',
  'mutation#{ \n#}\n{ pay }',
  'scalar X mutation M { pay }',
  'union A = B | C mutation { pay }',
  'extend type A @b(c: {d: 1}) directive @e on FIELD subscription { pay }',
];
const reads = [
  ...[
    '{ me { id } }',
    'query mutation { me }',
    'query subscription($id: ID!) { subscription(id: $id) { id } }',
  ],
  ...[
    '{ mutation { id } subscription(id: 1) { id } }',
    'fragment mutation on mutation { id } { ...mutation }',
  ],
  ...[
    '# mutation { pay }\n{ me }',
    '{ find(text: "mutation { pay }") }',
    '{ find(text: """\n" mutation { pay }""") }',
  ],
  ...['type A { mutation: B } { me }', 'scalar A { mutation { id } }'],
  ...['query A @mutation { me }', '{ mutations { id } }', 'mutations { id }', 'query { a } query { b }'],
  ...['mutation', 'mutation (in biology)', 'my subscription is {gold}', 'subscription 17', '', null, 7],
];

describe('an operation that changes something', () => {
  for (const text of changes) {
    it(`is no read, wherever a GraphQL server takes it from: ${text}`, () => {
      const batch: Template = { kind: 'array', items: [literal({ query: '{ me }' }), asked] };
      const more = { headers: [{ key: 'Content-Type', value: literal('application/graphql') }] };
      const query = [{ key: 'query', value: argument }];
      const path: Rest['path'] = { kind: 'text', parts: ['/graphql?query=', argument] };
      for (const executor of [
        ...[post(asked), post(batch), post(argument, more), post(null, { query, method: 'GET' })],
        post(null, { path, method: 'GET' }),
      ]) {
        const refused = built(executor, 'read_only', text);
        assert.ok(refused.status === 'unresolved', JSON.stringify(refused));
        assert.match(refused.message, /^`(mutation|subscription)` in the call .* as an action of its own$/);
        assert.equal(built(executor, 'reversible', text).status, 'built');
      }
      for (const sent of [
        JSON.stringify({ query: text }).replaceAll('mut', '\\u006dut'),
        `${new URLSearchParams({ a: '1', query: text }).toString()}&b=2`,
        `{"query": ${JSON.stringify(text)},}`,
        new URLSearchParams({ operations: JSON.stringify({ query: text }) }).toString(),
        JSON.stringify({ body: JSON.stringify([{ query: text }]) }),
        new URLSearchParams({ a: JSON.stringify({ b: JSON.stringify({ query: text }) }) }).toString(),
      ])
        assert.equal(built(post(argument), 'read_only', sent).status, 'unresolved', sent);
    });

    it(`is none where its author has written it: ${text}`, () => {
      const parts = [`${text} `, argument];
      for (const value of [literal(text), { kind: 'text', parts } as const]) {
        const entries = [{ key: 'query', value }];
        assert.notEqual(overrideOf(post({ kind: 'object', entries })), null);
        assert.notEqual(overrideOf(post(value)), null);
        assert.equal(
          hasEffect({ action: { tier: null } }, post(null, { method: 'GET', query: entries })),
          true,
        );
      }
    });
  }

  it('is found whichever of its letters are escaped, and however those are written', () => {
    const codeOf = (char: string): string => char.charCodeAt(0).toString(16).padStart(4, '0');
    for (const text of changes)
      for (const code of [codeOf, (char: string) => codeOf(char).toUpperCase()]) {
        const escaped = text.replaceAll(/[^]/g, (char) => `\\u${code(char)}`);
        const refused = built(post(argument), 'read_only', `{"query": "${escaped}"}`);
        assert.ok(refused.status === 'unresolved', text);
        assert.match(refused.message, /^`(mutation|subscription)` in the call/);
      }
  });

  it('is found behind a mebibyte of escapes, none of which takes a call of its own', async () => {
    for (const escape of ['\\u0061', '\\a', '\\\\']) {
      const escapes = escape.repeat(1_000_000 / escape.length);
      const texts = ['mut\\u0061tion', 'query'].map((word) => `{"query": "#${escapes}\\n${word} { pay }"}`);
      const found: string[] = [];
      const calls = await mostCalls(() => {
        for (const text of texts) found.push(built(post(argument), 'read_only', text).status);
      });
      assert.deepEqual(found, ['unresolved', 'built'], escape);
      assert.ok(calls < 1_000, `${calls} calls for ${escape}`);
    }
  });

  it('is found where an argument ends what its author has written before it', () => {
    const parts = ['{ me(id: "', argument, '") { id } }'];
    const body: Template = {
      kind: 'object',
      entries: [{ key: 'query', value: { kind: 'text', parts } as Template }],
    };
    assert.equal(built(post(body), 'read_only', '1').status, 'built');
    const more = '1") { id } } mutation { pay(id: "1';
    assert.equal(built(post(body), 'read_only', more).status, 'unresolved');
  });
});

test('a long text is looked through a few times: with the square of it this does not end', () => {
  for (const text of [
    '"mutation',
    '"mutation"',
    '{"',
    '\\"',
    '\\u',
    '\\\\\\"',
    'scalar mutation ',
    'union A ',
    '&a="mutation"',
    '%22',
    '""',
    '#',
  ])
    assert.equal(operationIn([text.repeat(900_000 / text.length)]), null);
});

describe('a word of an operation', () => {
  for (const text of reads)
    it(`is none in ${JSON.stringify(text)}`, () => {
      assert.equal(built(post(asked), 'read_only', text).status, 'built');
      assert.equal(overrideOf(post(literal({ query: text }))), null);
    });

  it('is none before what an argument fills', () => {
    const parts = ['subscription ', argument];
    const entries = [{ key: 'q', value: { kind: 'text', parts } as Template }];
    assert.equal(overrideOf(post({ kind: 'object', entries })), null);
    assert.equal(built(post({ kind: 'object', entries }), 'read_only', '17').status, 'built');
  });
});
