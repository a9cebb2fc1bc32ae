import { nextEnd, waitingGates, type NextEnd } from '../../../engine/gates/standing.js';
import { isOpen } from '../../../engine/index.js';
import type { ApprovalState } from '../../../engine/state.js';
import type { ApprovalRow } from '../../../store/approvals/approvals.js';
import type { QueueKit } from '../judge.js';

/** `deny`, `escalate` or `approve`: what happens at `expiresAt`; of a closed approval, what would have happened. */
export function timeoutAction(
  { status, doc }: ApprovalRow,
  state: ApprovalState | null,
  kit: QueueKit,
): NextEnd['action'] {
  if (state !== null && isOpen(status)) return nextEnd(state, kit).action;
  const actions = doc.gates.map((gate) => gate.onTimeout);
  return actions.includes('deny') ? 'deny' : (actions[0] ?? 'deny');
}

const deniedEnd: Pick<NextEnd, 'action' | 'to' | 'byRun'> = { action: 'deny', to: [] };

/** A sentence: what happens when nobody decides; of a closed approval, what happened. */
export function expiryText(
  { status, expiresAt, roles }: ApprovalRow,
  state: ApprovalState | null,
  kit: QueueKit,
): string {
  const at = expiresAt ?? 'an unknown time';
  if (!isOpen(status)) return `nothing more: it is ${status}`;
  const { action, to, byRun } = state === null ? deniedEnd : nextEnd(state, kit);
  if (byRun === true)
    return `at ${at} the run's own time is up: the run leaves its state or ends, this can no longer be approved, and nothing of it runs`;
  if (action === 'escalate') {
    const added = to.filter((role) => !roles.includes(role)).map((role) => `\`${role}\``);
    return `at ${at} it also goes to ${added.length === 0 ? 'the same roles again' : added.join(', ')}, and stays open`;
  }
  if (action === 'approve') {
    const alone = state !== null && waitingGates(state, kit).length === 1;
    return alone
      ? `at ${at} it is approved by time, and runs`
      : `at ${at} one of its gates is approved by time, and the others still wait`;
  }
  return `at ${at} it expires: nothing runs, and it can be asked for again`;
}
