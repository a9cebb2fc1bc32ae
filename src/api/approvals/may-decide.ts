import { mayDecide, wantsReason, type MayDecide } from '../../engine/index.js';
import type { ApprovalState, Kit } from '../../engine/state.js';
import type { Principal } from '../../model/principal.js';
import type { DecisionRow } from '../../store/decisions.js';

/**
 * The engine's answer with what the run does not know yet: a decision that is kept, and waits to be applied, is a
 * decision. `decisions`: all of this approval.
 */
export function mayDecideNow(
  state: ApprovalState,
  principal: Principal,
  kit: Pick<Kit, 'queueRoles'>,
  decisions: readonly DecisionRow[],
): MayDecide {
  const may = mayDecide(state, principal, kit);
  const own = ownDecision(decisions, principal.id);
  const isDecided = may.status === 'yes' ? own?.status === 'accepted' : may.why === 'already_decided';
  if (!isDecided || own === null) return may;
  return { status: 'no', why: 'already_decided', message: ownDecisionText(own) };
}

/** For which of its two decisions this person is asked for a reason. */
export interface ReasonsAsked {
  readonly approve: boolean;
  readonly deny: boolean;
}

export function reasonsAsked(
  state: ApprovalState | null,
  principal: Principal,
  kit: Pick<Kit, 'queueRoles'>,
): ReasonsAsked {
  const asks = (decision: keyof ReasonsAsked): boolean =>
    state !== null && wantsReason(state, principal, decision, kit);
  return { approve: asks('approve'), deny: asks('deny') };
}

/** The last one that was not refused. */
export function ownDecision(decisions: readonly DecisionRow[], id: string): DecisionRow | null {
  return decisions.findLast((one) => one.byId === id && one.status !== 'refused') ?? null;
}

/** Which verdict, when, and whether it counts by now. */
export function ownDecisionText({ byId, decision, at, status }: DecisionRow): string {
  const applied =
    status === 'applied' ? 'the run has applied it' : 'it is kept, and the run has not applied it yet';
  return `\`${byId}\` has already ${verdict[decision]} this, at ${at}: ${applied}`;
}

export const verdict = { approve: 'approved', deny: 'denied' } as const;
