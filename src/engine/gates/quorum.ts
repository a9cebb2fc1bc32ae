import type { ApprovalDecision, ApprovalState, GateState, Kit, RoleShare } from '../state.js';
import { decidersNow } from './deciders.js';

/** A person who approved: the roles that it held then, and that decide at the gate now. */
type Approver = readonly string[];
type Voted = Pick<ApprovalState, 'gates' | 'decisions' | 'requesters'>;
type QueueKit = Pick<Kit, 'queueRoles'>;

/** Each gate of the approval is approved. */
export function allApproved(approval: Voted, kit: QueueKit): boolean {
  const all = [...approval.gates.keys()];
  return all.length > 0 && all.every((index) => isGateApproved(approval, index, kit));
}

/** The gate is approved: by time, or by enough distinct humans, of whom each slot of a role has a person who fills no other. */
export function isGateApproved(approval: Voted, index: number, kit: QueueKit): boolean {
  const gate = approval.gates[index];
  if (gate === undefined) return false;
  if (gate.byTime !== undefined) return true;
  const people = approversAt(approval, gate, index, kit);
  const slots = slotsOf(gate, people.length);
  return isEnough(people.length, gate.rule.quorum.count) && assignSlots(slots, people).size === slots.length;
}

/** The gate is approved by those whom its rule names: without an approval by time, and without people whom escalations added. */
export function isApprovedByRule(approval: Voted, index: number, kit: QueueKit): boolean {
  const gates = approval.gates.map(({ byTime: _byTime, added: _added, ...gate }) => gate);
  return isGateApproved({ ...approval, gates }, index, kit);
}

export interface Share {
  /** Distinct humans whose approvals count at this gate. */
  readonly approved: number;
  /** For each role with slots: how many there are, and how many have a person who fills no other. */
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

/** Ids of those whose approval counts at one gate at least, in the order of their decisions. */
export function approversOf(approval: Voted, kit: QueueKit): readonly string[] {
  const counting = approval.gates.map((gate, index) => makeCountsAt(approval, gate, index, kit));
  const counted = approval.decisions.filter((decision) => counting.some((countsAt) => countsAt(decision)));
  return [...new Set(counted.map((decision) => decision.by.id))];
}

/** Where `count` is no positive integer, no number of people is enough. */
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

/** Which decisions count at a gate: not of a person whose role has left the queue meanwhile, nor of one who has become a requester. */
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

/** The slots of a gate, by role. `null`: a slot that nobody can fill: its count is no positive integer, or greater than the people. */
function slotsOf({ rule }: GateState, people: number): (string | null)[] {
  return rule.quorum.perRole.flatMap(({ role, count }) =>
    isEnough(people, count) ? Array<string>(count).fill(role) : [null],
  );
}

/** The slot of each person, by index, so that as many slots as possible are filled. Augmenting paths: a person may hold several roles. */
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
