import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { links } from '../../../src/engine/index.js';
import { actorAllows, blockedBy } from '../../../src/engine/links.js';
import type { Charter, Plan, Transition } from '../../../src/engine/plan.js';
import type { Link } from '../../../src/engine/state.js';
import { expr, gate, literal, path, plan, rest, state, transition, type Fields } from '../build.js';
import { agent } from '../people.js';
import { answerOf, begin } from '../walk.js';

// What a run offers, and what its charter permits.

const charter = (fields: Partial<Charter> = {}): Charter => ({
  ...{ read: ['r'], execute: ['x'], deny: ['d'], unmapped: ['u'] },
  ...fields,
});

function offered(fields: Fields, of: Partial<Plan> = {}): Link | undefined {
  const walk = begin(plan([state('a', [transition('go now', 'b', fields)]), state('b')], of), { who: 'ann' });
  return links(plan([state('a', [transition('go now', 'b', fields)]), state('b')], of), walk.run, agent, {
    floors: [],
  })[0];
}

describe('a link', () => {
  it('says what to send, where, and under which version', () => {
    const schema = { type: 'object', properties: { amount: { type: 'number' } } };
    assert.deepEqual(offered({ inputSchema: schema, tier: 'reversible', title: 'Go' }), {
      ...{ rel: 'go now', title: 'Go', method: 'POST', href: '/v1/runs/run_1/transitions/go%20now' },
      ...{ actor: 'agent', tier: 'reversible', gated: false, inputSchema: schema, expectedVersion: 0 },
    });
  });
  it('offers no arguments where none are taken', () => {
    assert.deepEqual(offered({ inputSchema: null })?.inputSchema, {
      ...{ type: 'object', properties: {}, additionalProperties: false },
    });
  });
  it('offers, all of them together, no more values than one call takes', () => {
    const prefill = [{ key: 'who', value: path('input', 'who') as never }];
    const names = ['go', 'come', 'stay'];
    const of = plan([
      state(
        'a',
        names.map((name) => transition(name, 'b', { prefill })),
      ),
      state('b'),
    ]);
    const walk = begin(of, { who: 'q'.repeat(900_000) });
    const offer = links(of, walk.run, agent, { floors: [] });
    assert.deepEqual(
      offer.map((link) => [link.rel, link.prefill !== undefined]),
      [
        ['go', true],
        ['come', true],
        ['stay', false],
      ],
    );
  });
  it('offers the values that resolve, and leaves out those that do not', () => {
    const value = (scope: 'input', ...segments: string[]) => path(scope, ...segments) as never;
    const prefill = [
      { key: 'who', value: value('input', 'who') },
      { key: 'what', value: value('input', 'what') },
    ];
    assert.deepEqual(offered({ prefill })?.prefill, { who: 'ann' });
    assert.equal(offered({ prefill: prefill.slice(1) })?.prefill, undefined);
  });
  it('says that a person is asked, and when', () => {
    const on = expr(path('arguments', 'amount'), '>', literal(5));
    const gateOf = (fields: Fields) => {
      const { gated, gateOn } = offered(fields) ?? {};
      return [gated, gateOn];
    };
    assert.deepEqual(gateOf({ gate: gate() }), [true, undefined]);
    assert.deepEqual(gateOf({ gate: gate({ on }) }), [true, 'as written']);
    assert.deepEqual(gateOf({ gate: gate({ on: { kind: 'role', role: 'r' } }) }), [
      true,
      '{"kind":"role","role":"r"}',
    ]);
    assert.deepEqual(gateOf({ executor: { kind: 'human', queue: null, roles: ['r'] } }), [true, undefined]);
  });
  it('is not offered by a run that has ended, is stuck, or stands in no state of its plan', () => {
    const of = plan([state('a', [transition('go', 'b')]), state('b')]);
    const { run } = begin(of);
    assert.equal(links(of, run, agent, { floors: [] }).length, 1);
    assert.deepEqual(links(of, { ...run, status: 'completed' }, agent, { floors: [] }), []);
    assert.deepEqual(links(of, { ...run, status: 'stuck' }, agent, { floors: [] }), []);
    assert.deepEqual(links(of, { ...run, state: 'constructor' }, agent, { floors: [] }), []);
  });
  it('is hidden by the filter of its state before the one of its flow', () => {
    const of = (own: 'all' | 'byGuards' | null) =>
      plan([state('a', [transition('go', 'a', { actor: 'human' })], { linkFilter: own })], {
        linkFilter: 'byGuards',
      });
    assert.equal(links(of('all'), begin(of('all')).run, agent, { floors: [] }).length, 1);
    assert.equal(links(of(null), begin(of(null)).run, agent, { floors: [] }).length, 0);
  });
  it('is hidden where the charter would refuse it, or a guard reads what only a submit brings', () => {
    const byGuards = { linkFilter: 'byGuards' as const };
    const reads = expr(path('arguments', 'n'), '==', literal(null));
    assert.equal(offered({ guards: [reads] }, byGuards), undefined);
    assert.equal(offered({ tool: 'd', tier: 'reversible' }, { ...byGuards, charter: charter() }), undefined);
    assert.equal(
      offered({ tool: 'x', tier: 'reversible' }, { ...byGuards, charter: charter() })?.rel,
      'go now',
    );
  });
});

describe('an actor', () => {
  it('is met by these kinds of principals and no others', () => {
    const kinds = ['agent', 'human', 'system'] as const;
    const met = (actor: Transition['actor']) => kinds.filter((kind) => actorAllows(actor, kind));
    assert.deepEqual(met('agent'), ['agent', 'human']);
    assert.deepEqual(met('human'), ['human']);
    assert.deepEqual(met('system'), ['system']);
    assert.deepEqual(met('deterministic'), []);
  });
});

describe('a charter', () => {
  const rule = (fields: Fields, of: Charter | null = charter()) =>
    blockedBy(plan([state('a')], { charter: of }), transition('t', 'a', fields), { floors: [] });
  it('permits a declared tool that has a tier, and nothing else', () => {
    assert.equal(rule({ tool: 'r', tier: 'read_only' }), null);
    assert.equal(rule({ tool: 'x', tier: 'irreversible' }), null);
    assert.equal(rule({ tool: 'x', tier: null }), 'unmapped');
    assert.equal(rule({ tool: 'u', tier: 'reversible' }), 'unmapped');
    assert.equal(rule({ tool: 'nobody', tier: 'reversible' }), 'undeclared');
    assert.equal(rule({ tool: 'd', tier: 'reversible' }), 'denied');
    assert.equal(rule({ tool: 'x', tier: 'reversible' }, charter({ deny: ['x'] })), 'denied');
    assert.equal(rule({ tool: 'nobody', tier: null }, null), null);
  });
  it('asks an executor without a tool for a tier, unless nothing happens by it', () => {
    assert.equal(rule({ executor: rest }), 'unmapped');
    assert.equal(rule({ executor: rest, tier: 'reversible' }), null);
    assert.equal(rule({ executor: null }), null);
    assert.equal(rule({ executor: { kind: 'noop', output: null } }), null);
    assert.equal(rule({ executor: { kind: 'human', queue: null, roles: [] } }), null);
    assert.equal(rule({ executor: null }, charter({ deny: ['t'] })), 'denied');
  });
  it('blocks every other name in a declared agent, and says by which rule', () => {
    const of = (own: Charter | null) =>
      begin(plan([state('a', [transition('x', 'a')])], { notation: 'agent', charter: own }));
    const blockOf = (name: string, own: Charter | null = charter()) => {
      const found = answerOf(of(own).submit(agent, name)) as { code?: string; rule?: string } | undefined;
      return [found?.code, found?.rule];
    };
    assert.deepEqual(blockOf('d'), ['BLOCKED', 'denied']);
    assert.deepEqual(blockOf('u'), ['BLOCKED', 'unmapped']);
    assert.deepEqual(blockOf('anything'), ['BLOCKED', 'undeclared']);
    // Declared, and no transition of this state.
    assert.deepEqual(blockOf('r'), ['BLOCKED', 'undeclared']);
    assert.deepEqual(blockOf('anything', null), ['BLOCKED', 'undeclared']);
  });
});
