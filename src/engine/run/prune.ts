import { isOpen } from '../../model/approval-status.js';
import { guardsIn, leavesOf } from '../guards.js';
import type { Plan } from '../plan.js';
import type { ApprovalState, Evidence, RunState } from '../state.js';

// What a run's document need not hold any more: the store and the record keep all of it.

/** The same run without what no guard, gate or decision can ask for again. */
export function prune(plan: Plan, run: RunState): RunState {
  return { ...run, approvals: keptApprovals(run), evidence: neededEvidence(plan, run.evidence) };
}

/** The approval waits for decisions; or, decided, for its turn. */
export function isWaiting({ status, queued }: Pick<ApprovalState, 'status' | 'queued'>): boolean {
  return isOpen(status) || queued;
}

/** The approvals that a run's document still carries: those that wait, and that of the action under way. */
export function keptApprovals({
  approvals,
  executing,
}: Pick<RunState, 'approvals' | 'executing'>): ApprovalState[] {
  const under = executing?.action.approval ?? null;
  return approvals.filter((approval) => isWaiting(approval) || approval.id === under);
}

/** Of each kind the latest, as many as a guard requires at most; of approvals, the latest of each human in each state. */
function neededEvidence(plan: Plan, evidence: readonly Evidence[]): Evidence[] {
  const counts = requiredCounts(plan);
  const left = new Map(counts);
  const people = new Set<string>();
  const kept = [...evidence].reverse().filter((item) => {
    if (item.kind === 'human_request') {
      const who = `${item.by ?? ''}\n${item.state}`;
      if (people.has(who)) return false;
      people.add(who);
      return true;
    }
    const room = left.get(item.kind) ?? 0;
    left.set(item.kind, room - 1);
    return room > 0;
  });
  return kept.reverse();
}

function requiredCounts({ states }: Plan): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const leaves = states.flatMap(({ transitions }) => transitions.flatMap(guardsIn)).flatMap(leavesOf);
  for (const leaf of leaves)
    for (const { kind, count } of leaf.kind === 'evidence' ? leaf.requires : [])
      counts.set(kind, Math.max(counts.get(kind) ?? 0, count));
  return counts;
}
