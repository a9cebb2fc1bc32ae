import { stageOf } from '../engine/deadlines.js';
import type { GateTimeout } from '../engine/plan.js';
import type { ApprovalState, ApprovalStatus } from '../engine/state.js';
import type { ApprovalRow } from '../store/approvals.js';

export function isOpen(status: ApprovalStatus): boolean {
  return status === 'open' || status === 'escalated';
}

const deny: Pick<GateTimeout, 'action' | 'to'> = { action: 'deny', to: [] };

/** What its present stage ends with. Time approves reversible actions only, and nothing after its last moment. */
function ending(state: ApprovalState): Pick<GateTimeout, 'action' | 'to'> {
  if (state.endsAt !== undefined && state.expiresAt >= state.endsAt) return deny;
  const stage = stageOf(state.gate, state.stage ?? 0) ?? deny;
  return stage.action === 'approve' && state.action.tier !== 'reversible' ? deny : stage;
}

/** `deny`, `escalate` or `approve`: of its present stage. */
export function onTimeout({ doc }: ApprovalRow, state: ApprovalState | null): string {
  return state === null ? doc.onTimeout : ending(state).action;
}

/** What happens when nobody decides; of a closed one, what happened. */
export function onExpiry({ status, expiresAt, roles }: ApprovalRow, state: ApprovalState | null): string {
  const at = expiresAt ?? 'an unknown time';
  if (!isOpen(status)) return `nothing more: it is ${status}`;
  const { action, to } = state === null ? deny : ending(state);
  if (action === 'escalate') {
    const added = to.filter((role) => !roles.includes(role)).map((role) => `\`${role}\``);
    return `at ${at} it also goes to ${added.length === 0 ? 'the same roles again' : added.join(', ')}, and stays open`;
  }
  if (action === 'approve') return `at ${at} it is approved by time, and runs`;
  return `at ${at} it expires: nothing runs, and it can be asked for again`;
}
