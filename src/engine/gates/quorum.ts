import type { ApprovalDecision, ApprovalState, GateState, Kit, RoleShare } from '../state.js';
import { decidersNow } from './deciders.js';

/** A person who approved, with the roles of this gate that it held then and that decide at it still. */
type Approver = readonly string[];
type Voted = Pick<ApprovalState, 'gates' | 'decisions' | 'requesters'>;
type QueueKit = Pick<Kit, 'queueRoles'>;

/** Each of its gates is. */
export function allApproved(approval: Voted, kit: QueueKit): boolean {
  const all = [...approval.gates.keys()];
  return all.length > 0 && all.every((index) => isGateApproved(approval, index, kit));
}

/** By time, or by distinct approving humans, enough of them, and for each slot of a role one who fills no other. */
export function isGateApproved(approval: Voted, index: number, kit: QueueKit): boolean {
  const gate = approval.gates[index];
  if (gate === undefined) return false;
  if (gate.byTime !== undefined) return true;
  const people = approversAt(approval, gate, index, kit);
  const slots = slotsOf(gate, people.length);
  return isEnough(people.length, gate.rule.quorum.count) && assignSlots(slots, people).size === slots.length;
}

/** Also without time, and without the people whom escalations added: by those whom its rule names. */
export function isApprovedByRule(approval: Voted, index: number, kit: QueueKit): boolean {
  const gates = approval.gates.map(({ byTime: _byTime, added: _added, ...gate }) => gate);
  return isGateApproved({ ...approval, gates }, index, kit);
}

export interface Share {
  /** Distinct humans whose approvals count at this gate. */
  readonly approved: number;
  /** Of each role that has slots of its own: how many it wants, and how many have a person who fills no other. */
  readonly perRole: readonly RoleShare[];
}

export function shareAt(approval: Voted, gate: GateState, index: number, kit: QueueKit): Share {
  const { perRole } = gate.rule.quorum;
  const people = approversAt(approval, gate, index, kit);
  const slots = perRole.flatMap(({ role, count }) =>
    Array<string>(Math.max(0, Math.min(count, people.length))).fill(role),
  );
  const filled = [...assignSlots(slots, people).values()].map((slot) => slots[slot]);
  return {
    approved: people.length,
    perRole: perRole.map(({ role, count }) => ({
      role,
      count,
      approved: filled.filter((filledRole) => filledRole === role).length,
    })),
  };
}

/** Who has approved so that it counts at one gate at least, in the order in which they did. */
export function approversOf(approval: Voted, kit: QueueKit): readonly string[] {
  const counting = approval.gates.map((gate, index) => makeCountsAt(approval, gate, index, kit));
  const counted = approval.decisions.filter((decision) => counting.some((countsAt) => countsAt(decision)));
  return [...new Set(counted.map((decision) => decision.by.id))];
}

/** Nobody is ever enough for a number that is none. */
function isEnough(people: number, count: number): boolean {
  return Number.isInteger(count) && count >= 1 && people >= count;
}

function approversAt(approval: Voted, gate: GateState, index: number, kit: QueueKit): Approver[] {
  const { roles: deciding } = decidersNow(gate, kit);
  const counted = approval.decisions.filter(makeCountsAt(approval, gate, index, kit));
  const people = new Map(
    counted.map(({ by, roles }) => [by.id, roles.filter((role) => deciding.includes(role))]),
  );
  return [...people.values()];
}

/** Whoever dropped out of a queue meanwhile does not count; who approved and then asked for the same is a requester like any other. */
function makeCountsAt(
  { requesters }: Voted,
  gate: GateState,
  index: number,
  kit: QueueKit,
): (decision: ApprovalDecision) => boolean {
  const deciders = decidersNow(gate, kit);
  const own = gate.rule.separation.requester !== false ? requesters : [];
  return ({ decision, by, gates, roles, permitted }) =>
    decision === 'approve' &&
    gates.includes(index) &&
    !own.includes(by.id) &&
    (roles.some((role) => deciders.roles.includes(role)) || (deciders.byPermission && permitted));
}

/** `null`: a slot that nobody can fill, of a count that is none or that people are too few for. */
function slotsOf({ rule }: GateState, people: number): (string | null)[] {
  return rule.quorum.perRole.flatMap(({ role, count }) =>
    isEnough(people, count) ? Array<string>(count).fill(role) : [null],
  );
}

/** Slot by person, as many as distinct people can fill: augmenting paths, as one person may hold several roles. */
function assignSlots(slots: readonly (string | null)[], people: readonly Approver[]): Map<number, number> {
  const takenBy = new Map<number, number>();
  const assign = (slot: number, tried: Set<number>): boolean => {
    for (const [index, roles] of people.entries()) {
      const role = slots[slot] ?? null;
      if (role === null || !roles.includes(role) || tried.has(index)) continue;
      tried.add(index);
      const other = takenBy.get(index);
      if (other !== undefined && !assign(other, tried)) continue;
      takenBy.set(index, slot);
      return true;
    }
    return false;
  };
  for (const slot of slots.keys()) assign(slot, new Set());
  return takenBy;
}
