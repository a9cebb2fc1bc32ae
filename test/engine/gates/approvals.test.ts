import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { evaluateGuard } from '../../../src/engine/guards.js';
import { findState, guardContext } from '../../../src/engine/links.js';
import type { ApprovalState, GateState } from '../../../src/engine/state.js';
import type { Plan, Transition } from '../../../src/engine/plan.js';
import type { Principal } from '../../../src/model/principal.js';
import { runsOf } from '../../../testing/samples.js';
import { executed, play, story, type Step } from '../stories.js';

// What holds of every approval, judged by the messages that came, and not by what the run says of itself.

const always = (of: (steps: readonly Step[], plan: Plan) => void, numRuns = 300): void =>
  fc.assert(
    fc.property(story, (told) => of(play(told), told.plan)),
    { numRuns: runsOf(numRuns) },
  );
const approvalIn = (step: Step, id: string | null): ApprovalState | undefined =>
  step.decision.state.approvals.find((approval) => approval.id === id);

interface Approver extends Principal {
  /** They had asked for it themselves. */
  readonly asked: boolean;
}

/** Whose approvals the run has taken so far: the messages that it accepted. */
function approvers(steps: readonly Step[], id: string): Approver[] {
  return steps.flatMap(({ event, decision }, index) => {
    if (event.kind !== 'message' || event.message.body.kind !== 'decide') return [];
    const { body, principal } = event.message;
    const decided = decision.trace.some(
      ({ type, approval, causation }) =>
        type === 'approval.decided' && approval === id && causation === event.message.id,
    );
    const asked = askers(steps.slice(0, index), id).has(principal.id);
    return decided && body.approval === id && body.decision === 'approve' ? [{ ...principal, asked }] : [];
  });
}

/** Everyone whose submit was answered with this approval. */
function askers(steps: readonly Step[], id: string): Set<string> {
  return new Set(
    steps.flatMap(({ event, decision }) =>
      event.kind === 'message' &&
      decision.effects.some(
        (effect) =>
          effect.kind === 'answer' && effect.answer.status === 'pending' && effect.answer.approval === id,
      )
        ? [event.message.principal.id]
        : [],
    ),
  );
}

/** Is the gate approved: by enough people who could decide at it, or by time? */
function satisfies(gate: GateState, { action }: ApprovalState, by: readonly Approver[]): boolean {
  const { rule, roles, byPermission, byTime } = gate;
  if (byTime !== undefined) return action.tier === 'reversible';
  const able = by.filter(
    (approver) =>
      approver.roles.some((role) => roles.includes(role)) ||
      (byPermission && approver.permissions.includes('approval.decide')),
  );
  const distinct = (people: readonly Approver[]): number => new Set(people.map(({ id }) => id)).size;
  return (
    distinct(able) >= rule.quorum.count &&
    rule.quorum.perRole.every(
      ({ role, count }) => distinct(able.filter((approver) => approver.roles.includes(role))) >= count,
    )
  );
}

const became = (step: Step, status: ApprovalState['status']): ApprovalState[] =>
  step.decision.state.approvals.filter(
    (approval) =>
      approval.status === status &&
      step.before.approvals.find(({ id }) => id === approval.id)?.status !== status,
  );

describe('every approval', () => {
  it('is approved at each gate: by as many distinct humans as it wants, each with a role for it, none of whom asked', () => {
    always((steps) => {
      for (const [index, step] of steps.entries()) {
        const until = steps.slice(0, index + 1);
        for (const approval of [...became(step, 'approved'), ...became(step, 'consumed')]) {
          const by = approvers(until, approval.id);
          for (const { kind, asked, id } of by) {
            assert.equal(kind, 'human');
            assert.ok(!asked, `\`${id}\` asked and approved`);
          }
          for (const gate of approval.gates) assert.ok(satisfies(gate, approval, by), JSON.stringify(gate));
        }
      }
    });
  });

  it('is approved by time at a gate only where its time was up, that gate says so and its tool is reversible', () => {
    always((steps) => {
      for (const step of steps)
        for (const approval of step.decision.state.approvals)
          for (const { byTime, rule } of approval.gates) {
            if (byTime === undefined) continue;
            assert.deepEqual([rule.timeout?.action, approval.action.tier], ['approve', 'reversible']);
          }
    });
  });

  it('is closed by one denial, and by its end: whatever comes later is refused and recorded', () => {
    always((steps) => {
      for (const { before, event, decision } of steps) {
        if (event.kind !== 'message' || event.message.body.kind !== 'decide') continue;
        const { body } = event.message;
        const was = before.approvals.find((approval) => approval.id === body.approval);
        const open = was?.status === 'open' || was?.status === 'escalated';
        const counted = decision.trace.some((fact) => fact.type === 'approval.decided');
        if (!open) assert.ok(!counted);
        if (counted) assert.equal(body.digest, was?.action.digest);
        if (counted && body.decision === 'deny')
          assert.equal(
            decision.state.approvals.find((approval) => approval.id === body.approval)?.status,
            'denied',
          );
        assert.ok(counted || decision.trace.some((fact) => fact.type === 'approval.refused'));
      }
    });
  });

  it('is executed at most once, and again only by an operator, with the same key', () => {
    always((steps) => {
      const runs = new Map<string, { readonly key: string; readonly digest: string }>();
      const ids = new Set<string>();
      for (const step of steps) {
        for (const { executing } of executed(step.decision)) {
          const { id, approval, idempotencyKey: key, digest } = executing.action;
          assert.ok(!ids.has(id), 'one action, one execution');
          ids.add(id);
          if (approval === null) continue;
          const first = runs.get(approval);
          const retried =
            step.event.kind === 'message' && step.event.message.body.kind === 'retry' && first !== undefined;
          assert.ok(first === undefined || retried, 'one approval, one execution');
          if (first !== undefined) assert.deepEqual({ key, digest }, first);
          runs.set(approval, { key, digest });
        }
      }
    });
  });

  it('says so when it is used up: what was executed under it consumes it', () => {
    always((steps) => {
      for (const step of steps)
        for (const { action, status } of step.decision.actions)
          if (action.approval !== null && status === 'executed')
            assert.equal(approvalIn(step, action.approval)?.status, 'consumed');
    });
  });

  it('keeps what it binds: action, gate and digest never change while it lives', () => {
    always((steps) => {
      for (const step of steps)
        for (const was of step.before.approvals) {
          const now = approvalIn(step, was.id);
          const rules = (of: ApprovalState | undefined): unknown => of?.gates.map(({ rule }) => rule);
          assert.deepEqual([now?.action, rules(now), now?.human], [was.action, rules(was), was.human]);
          for (const decided of was.decisions) assert.ok(now?.decisions.includes(decided));
        }
    });
  });
});

describe('a gate', () => {
  const holds = (transition: Transition, step: Step, args: object, by: Principal | null): boolean => {
    if (transition.executor?.kind === 'human') return true;
    const at = guardContext(step.decision.state, by, args as Record<string, never>);
    return transition.gates.some(({ on }) => on === null || evaluateGuard(on, at).verdict !== 'fail');
  };

  it('holds what it gates: nothing is executed without an approval that was granted', () => {
    always((steps, plan) => {
      for (const step of steps)
        for (const { executing } of executed(step.decision)) {
          const { action } = executing;
          const transition = findState(plan, step.decision.state.state)?.transitions.find(
            (transition) => transition.name === action.transition,
          );
          if (executing.at === 'onEnter') continue;
          assert.ok(transition !== undefined && executing.executor === transition.executor);
          assert.notEqual(executing.executor.kind, 'human');
          if (holds(transition, step, action.arguments, action.requester))
            assert.notEqual(action.approval, null);
          if (action.approval !== null)
            assert.ok(['approved', 'consumed'].includes(approvalIn(step, action.approval)?.status ?? ''));
        }
    });
  });

  it('holds the move as well: no run leaves by a gated transition that nobody approved', () => {
    always((steps, plan) => {
      for (const step of steps)
        for (const { type, data, action } of step.decision.trace) {
          if (type !== 'run.transitioned' || action === undefined) continue;
          const transition = findState(plan, String(data['from']))?.transitions.find(
            (transition) => transition.name === data['transition'],
          );
          const gated =
            transition?.gates.some(({ on }) => on === null) === true ||
            transition?.executor?.kind === 'human';
          if (!gated) continue;
          const under = step.decision.state.approvals.find((approval) => approval.action.id === action.id);
          const again = step.before.approvals.find((approval) => approval.action.digest === action.digest);
          const status = (under ?? again)?.status;
          const denied = status === 'denied' && transition?.onDeny === data['to'];
          assert.ok(denied || status === 'consumed', `moved under an approval that is ${String(status)}`);
        }
    });
  });
});
