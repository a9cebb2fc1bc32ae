import type { ApprovalState, ApprovalStatus } from '../engine/state.js';
import type { ApprovalRow } from '../store/approvals.js';

export function isOpen(status: ApprovalStatus): boolean {
  return status === 'open' || status === 'escalated';
}

const sources = ['transition', 'tool', 'charter', 'environment'] as const;

/** Each rule says first where it stands: `charter: amount > 50000`, `transition release: always`. */
export function sourceOf(because: string): string {
  const [first = ''] = because.split(/[\s:]/, 1);
  const named = sources.find((one) => one === first);
  if (named !== undefined) return named;
  if (because.startsWith('the executor ')) return 'executor';
  return because.startsWith('the tool is ') ? 'tier' : 'policy';
}

/** What happens when nobody decides; of a closed one, what happened. */
export function onExpiry({ status, expiresAt, roles }: ApprovalRow, state: ApprovalState | null): string {
  const at = expiresAt ?? 'an unknown time';
  if (!isOpen(status)) return `nothing more: it is ${status}`;
  const timeout = state?.gate.timeout ?? null;
  if (timeout?.action === 'escalate' && status === 'open') {
    const added = timeout.to.filter((role) => !roles.includes(role)).map((role) => `\`${role}\``);
    return `at ${at} it also goes to ${added.length === 0 ? 'the same roles again' : added.join(', ')}, and stays open`;
  }
  if (timeout?.action === 'approve' && state?.action.tier === 'reversible')
    return `at ${at} it is approved by time, and runs`;
  return `at ${at} it expires: nothing runs, and it can be asked for again`;
}
