import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeKit } from '../../src/schema/kit.js';
import type { JsonObject } from '../../src/model/values/json.js';
import { plan, rest, state, transition } from './build.js';
import { agent } from './people.js';
import { answerOf, begin } from './walk.js';

// A transition with a schema of its own narrows what its tool takes: arguments must fit both.

const environment = { name: 'dev', requireTiers: false, refuseWarnings: false, gateTimeoutMs: 1_000 };
const kit = makeKit(
  { v: 1, baseDirectory: '/', connections: [], environments: [environment], roles: [], queues: [] },
  'dev',
  { author: null, promoter: null },
);
const upTo = (maximum: number) => ({ type: 'object', properties: { x: { type: 'number', maximum } } });

describe('the schema of a tool beside a transition of its own', () => {
  const send = (own: number, tool: number, x: number): string => {
    const fields = { tool: 't', inputSchema: upTo(own), toolSchema: upTo(tool) };
    const walk = begin(plan([state('a', [transition('go', 'b', fields)]), state('b')]), {}, agent, kit);
    const answer = answerOf(walk.submit(agent, 'go', { x }));
    return `${answer?.status ?? ''} ${answer?.code ?? ''} ${(answer as { message?: string }).message ?? ''}`;
  };
  it('is held to, and so is the narrower one', () => {
    assert.match(send(9_000, 100, 5_000), /^refused INPUT_INVALID .* the schema of its tool `t`$/);
    assert.match(send(10, 100, 50), /^refused INPUT_INVALID .* do not fit its schema$/);
    assert.match(send(10, 100, 5), /^executed/);
    assert.match(send(100, 10, 5), /^executed/);
  });

  /** What is sent for these arguments; where they are refused, the message. */
  const sent = (own: JsonObject, tool: JsonObject, args: JsonObject): unknown => {
    const fields = { tool: 't', inputSchema: own, toolSchema: tool, executor: rest };
    const walk = begin(plan([state('a', [transition('go', 'b', fields)]), state('b')]), {}, agent, kit);
    const last = walk.submit(agent, 'go', args);
    const taken = walk.run.executing?.action.arguments;
    if (taken !== undefined) return taken;
    const { message, errors } = answerOf(last) as { message?: string; errors?: unknown };
    return { message, errors };
  };
  const amount = { amount: { type: 'number' } };
  const currency = (more: JsonObject): JsonObject => ({ currency: { type: 'string', ...more } });
  const pays = (...all: readonly JsonObject[]): JsonObject => ({
    type: 'object',
    properties: Object.assign({}, ...all) as JsonObject,
  });

  it('fills in what is sent, also what the tool requires', () => {
    const tool = { ...pays(amount, currency({ default: 'USD' })), required: ['currency'] };
    assert.deepEqual(sent(pays(amount), tool, { amount: 5 }), { amount: 5, currency: 'USD' });
    assert.deepEqual(sent(pays(amount), tool, { amount: 5, currency: 'EUR' }), {
      amount: 5,
      currency: 'EUR',
    });
    const own = pays(amount, currency({ default: 'CHF' }));
    assert.deepEqual(sent(own, tool, { amount: 5 }), { amount: 5, currency: 'CHF' });
  });

  it('fills in nothing that the transition refuses', () => {
    const tool = pays(amount, currency({ default: 'USD' }));
    const message = 'the arguments of `go` do not fit its schema with what its tool `t` fills in';
    assert.deepEqual(sent(pays(amount, currency({ enum: ['EUR'] })), tool, { amount: 5 }), {
      message,
      errors: [{ pointer: '/arguments/currency', message: 'must be one of ["EUR"]' }],
    });
    const closed = { ...pays(amount), additionalProperties: false };
    assert.equal((sent(closed, tool, { amount: 5 }) as { message: string }).message, message);
  });

  it('holds of what each fills into what the other filled in', () => {
    const inner = (names: JsonObject, more: JsonObject = {}): JsonObject => ({
      type: 'object',
      properties: { o: { type: 'object', properties: names, ...more } },
    });
    const a = { a: { type: 'number', default: 1 } };
    const b = { b: { type: 'number', default: 2 } };
    assert.deepEqual(sent(inner(a), inner(b, { default: {} }), {}), { o: { a: 1, b: 2 } });
    assert.match(
      (sent(inner(a), inner(b, { default: {}, maxProperties: 1 }), {}) as { message: string }).message,
      /the schema of its tool `t`$/,
    );
    const more = inner({ a: { type: 'object', default: {} } });
    const andMore = inner({ a: { type: 'object', properties: b } }, { default: {} });
    assert.deepEqual(sent(more, andMore, {}), { o: { a: { b: 2 } } });
    assert.deepEqual(sent(more, andMore, { o: { a: {} } }), { o: { a: { b: 2 } } });
  });
});

describe('what a schema fills in is held to its conditions', () => {
  const properties = {
    to: { type: 'string' },
    reason: { type: 'string' },
    amount: { type: 'number', default: 60_000 },
  };
  const big: JsonObject = {
    type: 'object',
    properties,
    if: {
      type: 'object',
      properties: { amount: { type: 'number', exclusiveMinimum: 50_000 } },
      required: ['amount'],
    },
    then: { type: 'object', required: ['reason'] },
  };
  const open: JsonObject = { type: 'object', properties: { to: {}, reason: {} } };
  const submit = (fields: JsonObject, args: JsonObject): string => {
    const go = transition('go', 'b', { tool: 't', ...fields, executor: rest });
    const walk = begin(plan([state('a', [go]), state('b')]), {}, agent, kit);
    return answerOf(walk.submit(agent, 'go', args))?.code ?? 'called';
  };
  for (const [where, fields] of Object.entries({
    'of the transition': { inputSchema: big },
    'of its tool': { inputSchema: open, toolSchema: big },
    'of the transition beside an open tool': { inputSchema: big, toolSchema: open },
  }))
    it(`where they are those ${where}`, () => {
      assert.equal(submit(fields, { to: 'x', amount: 60_000 }), 'INPUT_INVALID');
      assert.equal(submit(fields, { to: 'x' }), 'INPUT_INVALID');
      assert.equal(submit(fields, { to: 'x', reason: 'rent' }), 'called');
    });

  it('where they are those of a start', () => {
    const of = { ...plan([state('a', []), state('b')]), inputSchema: big };
    const started = (input: JsonObject): unknown => begin(of, input, agent, kit).run.problem?.code;
    assert.equal(started({ to: 'x', amount: 60_000 }), 'START_REFUSED');
    assert.equal(started({ to: 'x' }), 'START_REFUSED');
    assert.equal(started({ to: 'x', reason: 'rent' }), undefined);
  });

  it('where they are those of an answer', () => {
    const go = transition('go', 'b', { outputSchema: big, executor: rest });
    const ended = (output: JsonObject): unknown => {
      const walk = begin(plan([state('a', [go]), state('b')]), {}, agent, kit);
      walk.submit(agent, 'go', {});
      walk.outcome({ output });
      return [walk.run.state, walk.run.status];
    };
    assert.deepEqual(ended({ to: 'x' }), ended({ to: 'x', amount: 60_000 }));
    assert.notDeepEqual(ended({ to: 'x' }), ended({ to: 'x', reason: 'rent' }));
  });
});

describe('an answer whose rows leave many defaults out', () => {
  const optional = ['note', 'reference', 'cancelledAt', 'parent', 'discount', 'approvedBy', 'centre', 'text'];
  const properties = Object.fromEntries(
    optional.map((name) => [name, { type: ['string', 'null'], default: null }]),
  );
  const row = { type: 'object', properties: { id: { type: 'integer' }, ...properties }, required: ['id'] };
  const outputSchema = { type: 'object', properties: { rows: { type: 'array', items: row } } };
  const ended = (rows: JsonObject[]): unknown => {
    const go = transition('go', 'b', { outputSchema, executor: rest });
    const walk = begin(plan([state('a', [go]), state('b')]), {}, agent, kit);
    walk.submit(agent, 'go', {});
    walk.outcome({ output: { rows } });
    return walk.run.state;
  };
  const rows = (id: number | string): JsonObject[] => Array.from({ length: 10_000 }, () => ({ id }));

  it('is taken, for they are not kept', () => assert.equal(ended(rows(1)), 'b'));
  it('is still held to its schema', () => assert.equal(ended(rows('1')), 'a'));
});

describe('a schema of patterns beside a closed then', () => {
  const schema: JsonObject = {
    type: 'object',
    if: { type: 'object', required: ['k'] },
    then: { type: 'object', additionalProperties: false },
    patternProperties: { '^am': { type: 'number' } },
  };
  const walkOf = (fields: JsonObject): ReturnType<typeof begin> =>
    begin(
      plan([state('a', [transition('go', 'b', { ...fields, executor: rest })]), state('b')]),
      {},
      agent,
      kit,
    );

  it('takes the arguments that fit it, and says what is wrong with others', () => {
    const walk = walkOf({ inputSchema: schema });
    assert.equal(answerOf(walk.submit(agent, 'go', { amount: 'x' }))?.code, 'INPUT_INVALID');
    assert.equal(answerOf(walk.submit(agent, 'go', { k: 1 }))?.code, 'INPUT_INVALID');
    walk.submit(agent, 'go', { amount: 5 });
    assert.deepEqual(walk.run.executing?.action.arguments, { amount: 5 });
  });

  it('takes the answer that fits it', () => {
    const walk = walkOf({ outputSchema: schema });
    walk.submit(agent, 'go', {});
    walk.outcome({ output: { amount: 5 } });
    assert.equal(walk.run.state, 'b');
  });

  it('takes the input that fits it', () => {
    const of = { ...plan([state('a', []), state('b')]), inputSchema: schema };
    assert.deepEqual(begin(of, { amount: 5 }, agent, kit).run.input, { amount: 5 });
    assert.equal(begin(of, { k: 1 }, agent, kit).run.problem?.code, 'START_REFUSED');
  });
});
