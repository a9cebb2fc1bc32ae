import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decide, prune } from '../../../src/engine/index.js';
import type { Guard, Plan } from '../../../src/engine/plan.js';
import type { ApprovalState, Event, Evidence, RunState } from '../../../src/engine/state.js';
import { leastOf, runsOf } from '../../../testing/samples.js';
import { gate, plan, rest, state, transition } from '../build.js';
import { principal } from '../people.js';
import { begin, message, time } from '../walk.js';
import { kit, play, story, type Step } from '../stories.js';

// What a run's document leaves out is never missed: every event comes to the same on the pruned run as on the whole.

/** The event as a policy check gives it, which looks up how an approval ended that has left the document. */
function withSettled(whole: RunState, event: Event): Event {
  if (event.kind !== 'message' || event.message.body.kind !== 'decide') return event;
  const { approval: id } = event.message.body;
  const settled = whole.approvals.find((approval) => approval.id === id);
  return { ...event, settledAs: settled?.status ?? null };
}

describe('a run without what nothing can ask for again', () => {
  const same = (of: Plan, { before, event, decision, key }: Step): void => {
    const pruned = decide(of, prune(of, before), withSettled(before, event), kit, key);
    const { state: _whole, ...whole } = decision;
    const { state: _pruned, ...rest } = pruned;
    assert.deepEqual(rest, whole);
    assert.deepEqual(prune(of, pruned.state), prune(of, decision.state));
  };

  it('decides the same on every event, with the same records, effects and answers', () => {
    const left = { approvals: 0, evidence: 0 };
    fc.assert(
      fc.property(story, (told) => {
        for (const step of play(told)) {
          const { approvals, evidence } = prune(told.plan, step.before);
          left.approvals += step.before.approvals.length - approvals.length;
          left.evidence += step.before.evidence.length - evidence.length;
          same(told.plan, step);
        }
      }),
      { numRuns: runsOf(600) },
    );
    assert.ok(
      left.approvals > leastOf(100) && left.evidence > leastOf(100),
      'the stories have something to leave out',
    );
  });

  it('is pruned once: what is left out stays left out, however long the run goes on', () => {
    fc.assert(
      fc.property(story, (told) => {
        const { plan: of } = told;
        let pruned: RunState | null = null;
        for (const { before, event, decision, key } of play(told)) {
          pruned = prune(of, decide(of, pruned ?? before, withSettled(before, event), kit, key).state);
          assert.deepEqual(prune(of, pruned), pruned);
          assert.deepEqual(pruned, prune(of, decision.state));
        }
      }),
      { numRuns: runsOf(300) },
    );
  });

  const needing = (...requires: { kind: string; count: number; distinct: boolean }[]): Plan =>
    plan([
      state('a', [transition('go', 'b', { guards: [{ kind: 'evidence', requires }] }), transition('x', 'a')]),
      state('b', []),
    ]);
  const evidence = (kind: string, id: string, fields: Partial<Evidence> = {}): Evidence => ({
    ...{ kind, id, at: time, stay: 1, state: 'a', by: null, ...fields },
  });
  const idsOf = (of: Plan, items: readonly Evidence[]): string[] =>
    prune(of, { ...begin(of).run, evidence: items }).evidence.map(({ id }) => id);

  it('keeps of each kind the latest, as many as the largest guard asks for, wherever that guard stands', () => {
    const items = [1, 2, 3, 4, 5].flatMap((n) => [evidence('paid', `p${n}`), evidence('seen', `s${n}`)]);
    const paidOnce = { kind: 'paid', count: 1, distinct: false };
    assert.deepEqual(idsOf(needing(paidOnce), items), ['p5']);
    assert.deepEqual(idsOf(needing(paidOnce, { ...paidOnce, count: 3 }), items), ['p3', 'p4', 'p5']);
    const nested: Guard = {
      ...{ kind: 'not', guard: { kind: 'anyOf', guards: [{ kind: 'evidence', requires: [paidOnce] }] } },
    };
    const branches = [{ when: nested, target: 'b' }];
    assert.deepEqual(
      idsOf(plan([state('a', [transition('go', 'b', { branches })]), state('b', [])]), items),
      ['p5'],
    );
    const gated = transition('go', 'b', { gate: gate({ on: nested }) });
    assert.deepEqual(idsOf(plan([state('a', [gated]), state('b', [])]), items), ['p5']);
  });

  it('is told of as much as was asked for, however much more there was', () => {
    const of = needing(
      { kind: 'paid', count: 2, distinct: true },
      { kind: 'paid', count: 3, distinct: false },
    );
    const { run } = begin(of);
    for (const many of [0, 1, 2, 3, 4, 9]) {
      const items = Array.from({ length: many }, (_, n) => evidence('paid', `p${n}`));
      const before = { ...run, evidence: items };
      const body = { kind: 'submit', transition: 'go', arguments: {}, expectedVersion: null } as const;
      const event: Event = { kind: 'message', time, message: message(principal('bot', 'agent'), body) };
      same(of, { before, event, key: 's1', decision: decide(of, before, event, kit, 's1') });
    }
  });

  it('keeps who has approved, the latest of each human in each state', () => {
    const of = needing({ kind: 'human_request', count: 2, distinct: true });
    const approved = (id: string, by: string | null, stay: number, at = 'a'): Evidence =>
      evidence('human_request', id, { by, stay, state: at });
    const items = [
      approved('1', 'ann', 1),
      approved('2', 'ben', 1),
      approved('3', 'ann', 2, 'b'),
      approved('4', 'ann', 3),
      approved('5', 'ann', 3),
      approved('6', null, 3),
      approved('7', null, 3),
    ];
    assert.deepEqual(idsOf(of, items), ['2', '3', '5', '7']);
  });

  it('keeps the approvals that are open, queued or being executed, and none that is settled', () => {
    const gated = plan([state('a', [transition('go', 'a', { gate: gate(), executor: rest })])]);
    const walk = begin(gated);
    walk.submit(principal('bot', 'agent'), 'go');
    const [open] = walk.run.approvals;
    assert.ok(open !== undefined);
    const kept = (status: ApprovalState['status'], queued = false): string[] =>
      prune(gated, { ...walk.run, approvals: [{ ...open, status, queued }] }).approvals.map(({ id }) => id);
    for (const status of ['open', 'escalated'] as const) assert.deepEqual(kept(status), [open.id]);
    for (const status of ['approved', 'denied', 'expired', 'revoked', 'consumed'] as const) {
      assert.deepEqual(kept(status), []);
      assert.deepEqual(kept(status, true), [open.id]);
    }
    walk.decide(principal('fay', 'human', { roles: ['finance.controller'] }), open.id, 'approve');
    assert.equal(walk.run.executing?.action.approval, open.id);
    assert.deepEqual(
      prune(gated, walk.run).approvals.map(({ id, status }) => [id, status]),
      [[open.id, walk.run.approvals[0]?.status]],
    );
  });
});
