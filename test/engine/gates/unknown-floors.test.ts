import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { links, missingUnderFloors } from '../../../src/engine/index.js';
import { defaultReliability, type Plan } from '../../../src/engine/plan.js';
import type { Kit } from '../../../src/engine/state.js';
import { gate, onEnter, plan, rest, state, transition } from '../build.js';
import { agent, ann } from '../people.js';
import { approve, begin, kit, type Walk } from '../walk.js';

// In an environment that no policies declare, and of which nothing is known, nothing is called; it says what to do.

const unknown: Kit = { ...kit, floors: null };
const told = /declare it again in environments\.yaml/;

const flow: Plan = plan(
  [
    state('a', [
      transition('send', 'a', { executor: rest, tier: 'reversible' }),
      transition('wait', 'a', { executor: rest, tier: 'reversible', gate: gate() }),
      transition('note', 'a', { executor: { kind: 'noop', output: {} } }),
      transition('into', 'b'),
      transition('along', 'c'),
    ]),
    state('b', [transition('send', 'a', { executor: rest })], onEnter({ tier: 'read_only' })),
    state('c', [transition('go', 'a', { actor: 'deterministic', executor: rest, tier: 'reversible' })]),
  ],
  { linkFilter: 'byGuards' },
);

const without = (walk: Walk): Walk => Object.assign(walk, { kit: unknown });

describe('an environment of which nothing is known', () => {
  it('refuses a call, and records it; what calls nothing goes on', () => {
    const walk = without(begin(flow));
    const refused = walk.submit(agent, 'send');
    assert.deepEqual(
      refused.trace.map(({ type }) => type),
      ['transition.requested', 'policy.blocked'],
    );
    assert.match(JSON.stringify(refused.effects), told);
    assert.match(JSON.stringify(refused.effects), /"code":"BLOCKED","rule":"environment"/);
    assert.equal(walk.run.executing, null);
    walk.submit(agent, 'note');
    assert.match(JSON.stringify(walk.run.executing), /"transition":"note"/);
  });

  it('offers no call where only what can be taken is shown', () => {
    const offered = (floors: Kit['floors']): string[] =>
      links(flow, begin(flow).run, agent, { floors }).map((link) => link.rel);
    assert.deepEqual(offered(null), ['note', 'into', 'along']);
    assert.deepEqual(offered([]), ['send', 'wait', 'note', 'into', 'along']);
    const all = links({ ...flow, linkFilter: 'all' }, begin(flow).run, agent, { floors: null });
    assert.deepEqual(
      all.map((link) => [link.rel, link.gated]),
      [
        ['send', false],
        ['wait', true],
        ['note', false],
        ['into', false],
        ['along', false],
      ],
      'a flow that shows everything shows what will be refused, too',
    );
  });

  it('stops what the runtime would call by itself: on the way into a state, and in a chain', () => {
    const entering = without(begin(flow));
    entering.submit(agent, 'into');
    assert.deepEqual([entering.run.status, entering.run.problem?.code], ['stuck', 'ON_ENTER_FAILED']);
    assert.match(entering.run.problem?.message ?? '', told);
    const chained = without(begin(flow));
    chained.submit(agent, 'along');
    assert.deepEqual([chained.run.status, chained.run.problem?.code], ['stuck', 'BLOCKED']);
    assert.match(chained.run.problem?.message ?? '', told);
  });

  it('stops what was approved before', () => {
    const walk = begin(flow);
    walk.submit(agent, 'wait');
    without(walk);
    const approval = walk.run.approvals[0] ?? assert.fail();
    const decided = walk.decide(ann, approval.id, 'approve');
    assert.equal(walk.run.executing, null);
    const stop = decided.trace.find(({ type }) => type === 'transition.rejected');
    assert.match(JSON.stringify(stop), told);
  });

  it('stops what was granted before, as its call begins', () => {
    assert.match(
      missingUnderFloors(
        { executor: rest, reliability: defaultReliability, tier: 'reversible' },
        undefined,
        unknown,
      ) ?? '',
      told,
    );
    assert.equal(
      missingUnderFloors({ executor: null, reliability: defaultReliability, tier: null }, undefined, unknown),
      null,
    );
  });

  it('says of a state whose every step calls something that nobody can take one', () => {
    const walk = begin(
      plan([state('a', [transition('wait', 'a', { executor: rest, tier: 'reversible', gate: gate() })])]),
    );
    walk.submit(agent, 'wait');
    without(walk);
    approve(walk, ann);
    assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', 'NO_ELIGIBLE_TRANSITION']);
    assert.match(walk.run.problem?.message ?? '', told);
  });
});
