import type { Transition } from '../plan.js';
import type { ApprovalState } from '../state.js';
import { bindingDigest, connectionProblem, connectionsDigest } from '../effects/action.js';
import { changeApproval, consumeApproval, transitionOf } from './changes.js';
import { stricterThanApproved } from './covers.js';
import {
  actingPrincipal,
  actionFact,
  actorOf,
  derivedId,
  project,
  record,
  type Draft,
} from '../run/draft.js';
import { isEnding, isOver } from '../run/ending/ending.js';
import { isHalted } from '../run/moments.js';
import { perform, remain } from '../run/flow.js';
import { boundRules, gatesFor, unknownFloors } from './gates.js';
import type { GuardContext } from '../guards.js';
import { makeAsking } from './asking.js';
import { guardContext } from '../links.js';
import { stepMeter } from '../expression/meter.js';
import { allApproved, approversOf } from './quorum.js';
import { actingNow } from '../rights.js';
import { changedReads, readsOf, readsProblem } from '../effects/reads.js';
import { contextProblem } from '../run/written.js';

// An approved action, up to its start: everything on which it was approved is checked once more.

export function onApproved(draft: Draft, approval: ApprovalState): void {
  changeApproval(draft, approval.id, { status: 'approved', queued: true });
  project(draft, approval.action, 'approved');
  startApproved(draft);
}

/** Evidence `human_request` of an approver; that of a requester carries no name, so that it never counts. */
function addEvidence(draft: Draft, approval: ApprovalState, by: string): void {
  const own = approval.requesters.includes(by);
  const id = derivedId(draft, 'evd', `${approval.id}:${by}`);
  const { run } = draft;
  run.evidence = [
    ...run.evidence,
    { id, kind: 'human_request', at: draft.time, stay: run.stay, state: run.state, by: own ? null : by },
  ];
  record(draft, 'evidence.recorded', {
    actor: { kind: 'human', id: by },
    approval: approval.id,
    data: { kind: 'human_request', id },
  });
}

/** Starts the oldest approved action that may still run, unless something executes. What may no longer run is refused, on record. */
export function startApproved(draft: Draft): void {
  const { run } = draft;
  if (isHalted(run)) return;
  while (run.executing === null && !isEnding(run) && !isOver(run, draft.time)) {
    // In a stuck run only the repeat of the step that it is stuck on starts.
    const next = run.approvals.find(
      (approval) =>
        approval.queued &&
        approval.status === 'approved' &&
        (run.status !== 'stuck' || approval.repeats === true),
    );
    if (next === undefined) return;
    changeApproval(draft, next.id, { queued: false });
    const transition = transitionOf(draft, next);
    if (transition === undefined) stop(draft, next, mismatchStop('the state no longer has this transition'));
    else {
      const failure = recheck(draft, transition, next);
      if (failure === null) return startChecked(draft, transition, next);
      stop(draft, next, failure);
    }
  }
}

/** Only now is there evidence of the approval: one that is revoked while it waits for its turn leaves none. */
function startChecked(draft: Draft, transition: Transition, approval: ApprovalState): void {
  const { id, human, action } = approval;
  for (const by of approversOf(approval, draft.kit)) addEvidence(draft, approval, by);
  if (human) consumeApproval(draft, id);
  draft.run.chainDepth = 0;
  draft.run.chain = [];
  draft.run.problem = null;
  draft.run.stuckOn = null;
  perform(draft, transition, action);
}

/** Why an approved action does not run: something about it has changed, or a guard no longer passes. */
interface Stop {
  readonly code: 'DIGEST_MISMATCH' | 'GUARD_REJECTED' | 'RUN_FULL';
  readonly message: string;
}

function mismatchStop(message: string): Stop {
  return { code: 'DIGEST_MISMATCH', message };
}

function stop(draft: Draft, { id, action }: ApprovalState, { code, message }: Stop): void {
  record(draft, 'transition.rejected', {
    actor: actorOf(actingPrincipal(action)),
    action: actionFact(action),
    approval: id,
    data: { code, message },
  });
  project(draft, action, 'failed', { error: { code, message } });
  remain(draft);
}

/** Why an approved action may no longer run; null: it may. */
function recheck(draft: Draft, transition: Transition, approval: ApprovalState): Stop | null {
  const { action } = approval;
  if (bindingDigest(draft.kit, draft.run, action, boundRules(approval.gates)) !== action.digest)
    return mismatchStop('what would run is not what was approved');
  if (!allApproved(approval, draft.kit))
    return mismatchStop('somebody who approved it no longer decides where it waited: ask again');
  const at = guardContext(draft.run, actingNow(draft.kit, action), action.arguments);
  const changed = changedSince(draft, transition, approval, at);
  if (changed !== null) return mismatchStop(changed);
  const ask = makeAsking(draft.work, transition.guards, at);
  for (const [index, guard] of transition.guards.entries()) {
    const { verdict, reason } = ask(guard);
    record(draft, 'guard.evaluated', {
      actor: actorOf(actingPrincipal(action)),
      action: actionFact(action),
      policy: { rule: `guards/${index}`, verdict, reason },
      data: { index, kind: guard.kind, verdict, reason },
    });
    if (verdict === 'pass') continue;
    return { code: 'GUARD_REJECTED', message: `guard ${index} (${guard.kind}) no longer passes: ${reason}` };
  }
  const full = contextProblem(draft, transition, action.arguments);
  return full === null ? null : { code: 'RUN_FULL', message: full };
}

/** What has changed around the action since it was approved, so that it must be asked for again; null: nothing that matters. */
function changedSince(
  draft: Draft,
  transition: Transition,
  approval: ApprovalState,
  at: GuardContext,
): string | null {
  const unknown = unknownFloors(transition, draft.kit);
  if (unknown !== null) return unknown;
  const { bound } = approval.action;
  if (connectionsDigest(draft.kit, transition) !== bound.connections)
    return connectionProblem(draft.kit, transition, draft.run);
  const reads = changedReads(bound.reads, readsOf(draft.kit, transition, draft.run));
  if (reads.length > 0) return readsProblem(reads);
  const meter = stepMeter(draft.work);
  const now = gatesFor(transition, { ...at, meter }, draft.kit)?.gates ?? [];
  const more = stricterThanApproved(
    now.map(({ rule }) => rule),
    approval,
    draft.kit,
  );
  return more.length === 0
    ? null
    : `the policy asks for more than what it was approved under: ${more.join(', ')}; ask again`;
}
