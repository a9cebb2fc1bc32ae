import type { GateTimeout } from '../plan.js';
import type { ApprovalState, GateState, Kit } from '../state.js';
import { denyingEnd, endingOfStage } from './deadlines.js';
import { isGateApproved } from './quorum.js';

// What the gates of an approval come to together: who decides, until when, and when its timer goes next.

type QueueKit = Pick<Kit, 'queueRoles'>;
type Gated = Pick<ApprovalState, 'gates' | 'decisions' | 'requesters' | 'action' | 'runEndsAt'>;

export type Standing = Pick<ApprovalState, 'roles' | 'expiresAt' | 'timer'>;

/** Roles, end and timer of an open approval, of which at least one gate waits. */
export function standingOf(approval: Gated, kit: QueueKit): Standing {
  const { gates } = approval;
  return {
    roles: [...new Set(gates.flatMap((gate) => gate.roles))],
    expiresAt: nextEnd(approval, kit).at,
    timer: Math.min(...gates.map((_gate, index) => momentOf(approval, index, kit))),
  };
}

export interface NextEnd extends Pick<GateTimeout, 'action' | 'to'> {
  readonly at: number;
  /** The run's own time is up then. */
  readonly byRun?: true;
}

/** The first end that denies, of a gate or of the run; where there is none, the first end of a stage. */
export function nextEnd(approval: Gated, kit: QueueKit): NextEnd {
  const { runEndsAt = Infinity } = approval;
  const next = nextEndOfGates(approval, kit);
  return runEndsAt < next.at ? { ...denyingEnd, at: runEndsAt, byRun: true } : next;
}

function nextEndOfGates(approval: Gated, kit: QueueKit): NextEnd {
  const denial = firstDenial(approval, kit);
  // Where the end had passed when the approval was asked for, it ends at once.
  if (denial !== undefined)
    return { ...denyingEnd, at: Math.max(denial, Date.parse(approval.action.requestedAt)) };
  const ends = waitingGates(approval, kit).map((gate) => ({
    ...endingOfStage(gate, approval.action.tier),
    at: gate.expiresAt,
  }));
  return ends.reduce((first, end) => (end.at < first.at ? end : first), { ...denyingEnd, at: Infinity });
}

/** The gates that are not approved. Of the others the stages are over, and only `endsAt` still counts. */
export function waitingGates(approval: Gated, kit: QueueKit): readonly GateState[] {
  return approval.gates.filter((_gate, index) => !isGateApproved(approval, index, kit));
}

/** When something is due at this gate next: a reminder or an end. Infinity: never. */
export function momentOf(approval: Gated, index: number, kit: QueueKit): number {
  const gate = approval.gates[index];
  if (gate === undefined) return Infinity;
  if (isGateApproved(approval, index, kit)) return gate.endsAt ?? Infinity;
  return gate.reminders?.[0] ?? gate.expiresAt;
}

/** When the approval is denied if nobody decides; undefined: no present stage denies. */
function firstDenial(approval: Gated, kit: QueueKit): number | undefined {
  const ends = [
    ...approval.gates.flatMap(({ endsAt }) => endsAt ?? []),
    ...waitingGates(approval, kit).flatMap((gate) =>
      endingOfStage(gate, approval.action.tier).action === 'deny' ? [gate.expiresAt] : [],
    ),
  ];
  return ends.length === 0 ? undefined : Math.min(...ends);
}

/**
 * The last moment at which a decision counts: after it a gate has denied, or time has approved all gates that still waited.
 * Undefined: a stage follows the present one, or all gates are approved already.
 */
export function lastMoment(approval: Gated, kit: QueueKit): number | undefined {
  const left = waitingGates(approval, kit);
  const endsByTime =
    left.length > 0 && left.every((gate) => endingOfStage(gate, approval.action.tier).action === 'approve');
  const byTime = endsByTime ? Math.max(...left.map((gate) => gate.expiresAt)) : Infinity;
  const last = Math.min(firstDenial(approval, kit) ?? Infinity, byTime);
  return last === Infinity ? undefined : last;
}
