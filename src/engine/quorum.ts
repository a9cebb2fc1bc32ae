import type { ApprovalState } from './state.js';

/** A person who approved, with the roles that it held then. */
type Approver = readonly string[];

/** Distinct approving humans, enough of them, and for each slot of a role one who fills no other. */
export function quorumReached({ gate, decisions }: Pick<ApprovalState, 'gate' | 'decisions'>): boolean {
  const approved = decisions.filter((one) => one.decision === 'approve');
  const people = [...new Map(approved.map((one) => [one.by.id, one.roles])).values()];
  const slots = gate.quorum.perRole.flatMap(({ role, count }) =>
    Number.isInteger(count) && count >= 1 && count <= people.length
      ? Array<string>(count).fill(role)
      : [null],
  );
  return people.length >= gate.quorum.count && filled(slots, people) === slots.length;
}

/** How many slots distinct people can fill: augmenting paths, as one person may hold several roles. */
function filled(slots: readonly (string | null)[], people: readonly Approver[]): number {
  const takenBy = new Map<number, number>();
  const fill = (slot: number, tried: Set<number>): boolean => {
    for (const [index, roles] of people.entries()) {
      const role = slots[slot] ?? null;
      if (role === null || !roles.includes(role) || tried.has(index)) continue;
      tried.add(index);
      const other = takenBy.get(index);
      if (other !== undefined && !fill(other, tried)) continue;
      takenBy.set(index, slot);
      return true;
    }
    return false;
  };
  return slots.filter((_, slot) => fill(slot, new Set())).length;
}
