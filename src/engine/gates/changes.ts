import { isOpen } from '../../model/approval-status.js';
import type { Transition } from '../plan.js';
import type { ApprovalState, GateState } from '../state.js';
import { findState } from '../links.js';
import { actionFact, project, record, type Draft, type Notes } from '../run/draft.js';
import { allApproved } from './quorum.js';
import { standingOf } from './standing.js';

// What becomes of an approval while the run stays where it is.

export function changeApproval(
  draft: Notes,
  id: string,
  fields: Partial<ApprovalState>,
): ApprovalState | undefined {
  draft.run.approvals = draft.run.approvals.map((approval) =>
    approval.id === id ? { ...approval, ...fields } : approval,
  );
  return draft.run.approvals.find((approval) => approval.id === id);
}

/** Sets the gates of an approval and, while one of them waits, what follows from them: roles, end and timer. */
export function setGates(
  draft: Draft,
  approval: ApprovalState,
  gates: readonly GateState[],
  fields: Partial<ApprovalState> = {},
): ApprovalState {
  const changed = { ...approval, ...fields, gates };
  const waits = !allApproved(changed, draft.kit);
  const next = waits ? { ...changed, ...standingOf(changed, draft.kit) } : changed;
  changeApproval(draft, approval.id, next);
  return next;
}

export function transitionOf(draft: Draft, approval: ApprovalState): Transition | undefined {
  return findState(draft.plan, draft.run.state)?.transitions.find(
    (transition) => transition.name === approval.action.transition,
  );
}

/** Revokes those approvals among `which` that wait for a decision or for their turn; denials that wait for theirs are dropped. */
export function revokeOpen(
  draft: Notes,
  why: string,
  which: (approval: ApprovalState) => boolean = () => true,
): void {
  for (const approval of draft.run.approvals) {
    if ((!isOpen(approval.status) && !approval.queued) || !which(approval)) continue;
    if (approval.status === 'denied') {
      changeApproval(draft, approval.id, { queued: false });
      continue;
    }
    changeApproval(draft, approval.id, { status: 'revoked', queued: false });
    const error = { code: 'APPROVAL_REVOKED', message: why } as const;
    project(draft, approval.action, 'revoked', { error });
    record(draft, 'approval.revoked', {
      action: actionFact(approval.action),
      approval: approval.id,
      data: { reason: why },
    });
  }
}

export function consumeApproval(draft: Draft, id: string): void {
  const approval = changeApproval(draft, id, { status: 'consumed' });
  if (approval === undefined) return;
  record(draft, 'approval.consumed', { action: actionFact(approval.action), approval: id });
}
