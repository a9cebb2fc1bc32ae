import type { ApprovalState } from './state.js';

/** A person who approved, with the roles that it held then. */
type Approver = readonly string[];
type Voted = Pick<ApprovalState, 'gate' | 'decisions' | 'requesters'>;

/** Distinct approving humans, enough of them, and for each slot of a role one who fills no other. */
export function quorumReached(approval: Voted): boolean {
  const people = approvers(approval);
  const slots = slotsOf(approval, people.length);
  return enough(people.length, approval.gate.quorum.count) && fill(slots, people).size === slots.length;
}

export interface Slot {
  readonly role: string;
  readonly count: number;
  readonly approved: number;
}

/** How many people each role's slots want, and how many have a person who fills no other. */
export function slotsFilled(approval: Voted): Slot[] {
  const { perRole } = approval.gate.quorum;
  const people = approvers(approval);
  const slots = perRole.flatMap(({ role, count }) =>
    Array<string>(Math.max(0, Math.min(count, people.length))).fill(role),
  );
  const filled = [...fill(slots, people).values()].map((slot) => slots[slot]);
  return perRole.map(({ role, count }) => ({
    role,
    count,
    approved: filled.filter((one) => one === role).length,
  }));
}

/** Nobody is ever enough for a number that is none. */
function enough(people: number, count: number): boolean {
  return Number.isInteger(count) && count >= 1 && people >= count;
}

/** Who approved and then asked for the same is a requester like any other. */
function approvers({ gate, decisions, requesters }: Voted): Approver[] {
  const own = gate.separation.requester !== false ? requesters : [];
  const approved = decisions.filter((one) => one.decision === 'approve' && !own.includes(one.by.id));
  return [...new Map(approved.map((one) => [one.by.id, one.roles])).values()];
}

/** `null`: a slot that nobody can fill, of a count that is none or that people are too few for. */
function slotsOf({ gate }: Voted, people: number): (string | null)[] {
  return gate.quorum.perRole.flatMap(({ role, count }) =>
    enough(people, count) ? Array<string>(count).fill(role) : [null],
  );
}

/** Slot by person, as many as distinct people can fill: augmenting paths, as one person may hold several roles. */
function fill(slots: readonly (string | null)[], people: readonly Approver[]): Map<number, number> {
  const takenBy = new Map<number, number>();
  const place = (slot: number, tried: Set<number>): boolean => {
    for (const [index, roles] of people.entries()) {
      const role = slots[slot] ?? null;
      if (role === null || !roles.includes(role) || tried.has(index)) continue;
      tried.add(index);
      const other = takenBy.get(index);
      if (other !== undefined && !place(other, tried)) continue;
      takenBy.set(index, slot);
      return true;
    }
    return false;
  };
  for (const slot of slots.keys()) place(slot, new Set());
  return takenBy;
}
