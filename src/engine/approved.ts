import type { JsonObject } from '../model/json.js';
import type { Transition } from './plan.js';
import type { ApprovalState } from './state.js';
import { actionDigest, connectionsDigest } from './action.js';
import { change, transitionOf } from './approvals.js';
import { actionFact, actorOf, project, record, type Draft } from './draft.js';
import { perform, remain } from './flow.js';
import { gateFor } from './gates.js';
import { evaluateGuard, type GuardContext } from './guards.js';
import { guardContext } from './links.js';
import { stricterThan } from './merge.js';
import { changedReads, readsOf, readsProblem } from './reads.js';

// What was approved, up to its start: everything that it was approved on is checked once more.

export function approved(draft: Draft, approval: ApprovalState): void {
  change(draft, approval.id, { status: 'approved', queued: true });
  draft.effects.push({ kind: 'disarm', approval: approval.id });
  project(draft, approval.action, 'approved');
  startApproved(draft);
}

/** Starts the oldest approved action that may still run, when nothing else does. Guards and digest are checked once more. */
export function startApproved(draft: Draft): void {
  const { run } = draft;
  while (
    run.executing === null &&
    run.status !== 'stuck' &&
    run.cancelRequested === null &&
    !run.timeoutDue
  ) {
    const next = run.approvals.find((one) => one.queued && one.status === 'approved');
    if (next === undefined) return;
    change(draft, next.id, { queued: false });
    const transition = transitionOf(draft, next);
    if (transition === undefined) stopped(draft, next, 'the state no longer has this transition');
    else {
      const failure = recheck(draft, transition, next);
      if (failure === null) return begin(draft, transition, next);
      stopped(draft, next, failure);
    }
  }
}

function begin(draft: Draft, transition: Transition, { id, human, action }: ApprovalState): void {
  if (human) consume(draft, id);
  draft.run.chainDepth = 0;
  draft.run.chain = [];
  perform(draft, transition, action);
}

function stopped(draft: Draft, { id, action }: ApprovalState, message: string): void {
  record(draft, 'transition.rejected', {
    actor: actorOf(action.requester),
    action: actionFact(action),
    approval: id,
    data: { code: 'GUARD_REJECTED', message },
  });
  project(draft, action, 'failed', { code: 'GUARD_REJECTED', message });
  remain(draft);
}

/** Why what was approved may no longer run; null when it may. */
function recheck(draft: Draft, transition: Transition, approval: ApprovalState): string | null {
  const { action } = approval;
  const digest = actionDigest(draft, action, approval.gate as unknown as JsonObject);
  if (digest !== action.digest) return 'what would run is not what was approved';
  const at = guardContext(draft.run, action.requester, action.arguments);
  const changed = changedSince(draft, transition, approval, at);
  if (changed !== null) return changed;
  for (const [index, guard] of transition.guards.entries()) {
    const { verdict, reason } = evaluateGuard(guard, at);
    record(draft, 'guard.evaluated', {
      actor: actorOf(action.requester),
      action: actionFact(action),
      policy: { rule: `guards/${index}`, verdict, reason },
      data: { index, kind: guard.kind, verdict, reason },
    });
    if (verdict !== 'pass') return `guard ${index} (${guard.kind}) no longer passes: ${reason}`;
  }
  return null;
}

/** What around the action is not as it was when it was approved; null: nothing that would have asked for more. */
function changedSince(
  draft: Draft,
  transition: Transition,
  approval: ApprovalState,
  at: GuardContext,
): string | null {
  if (connectionsDigest(draft.kit, transition) !== (approval.connections ?? null))
    return 'the connection that it would use is not the one that it was approved for';
  const reads = changedReads(approval.reads ?? {}, readsOf(draft.kit, transition, draft.run));
  if (reads.length > 0) return readsProblem(reads);
  const now = gateFor(transition, at, draft.kit);
  const more = now === null ? [] : stricterThan(now.gate, approval.gate);
  return more.length === 0
    ? null
    : `the policy asks for more than what it was approved under: ${more.join(', ')}; ask again`;
}

export function consume(draft: Draft, id: string): void {
  const approval = change(draft, id, { status: 'consumed' });
  if (approval === undefined) return;
  record(draft, 'approval.consumed', { action: actionFact(approval.action), approval: id });
}
