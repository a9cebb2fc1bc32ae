import { isHalted } from '../../engine/index.js';
import type { ActionStatus, ApprovalStatus } from '../../engine/state.js';
import type { Principal } from '../../model/principal.js';
import { getAction, listAttempts, type AttemptRow } from '../../store/actions.js';
import { decisionsOf, type DecisionRow } from '../../store/decisions.js';
import { getListedRun } from '../../store/runs.js';
import type { ServiceDeps } from '../deps.js';
import { ownDecision } from './judge.js';
import type { Approval } from './look.js';

/** How an approval, its action and its run stand. */
export interface Course {
  readonly approval: ApprovalStatus;
  /** Null: the store has no such action. */
  readonly action: ActionStatus | null;
  /** An attempt to execute it was begun; `maybe`: of one of them nobody can say that it has had no effect. */
  readonly wasTried: 'no' | 'yes' | 'maybe';
  /** Of the action's error; null: it has none. */
  readonly code: string | null;
  /** Its run is stuck on something else: what is approved waits for an operator. */
  readonly isHeldUp: boolean;
}

/** With what the action's error says, for those who may see the run. */
export async function courseOf(
  { pool }: ServiceDeps,
  { row: { status, action: actionId, run: runId }, state }: Approval,
): Promise<{ readonly course: Course; readonly error: string | null }> {
  const [action, attempts, run] = await Promise.all([
    getAction(pool, actionId),
    listAttempts(pool, actionId),
    getListedRun(pool, runId),
  ]);
  const course = {
    approval: status,
    action: action?.status ?? null,
    wasTried: triedBy(attempts),
    code: action?.error?.code ?? null,
    // What it is stuck on is done again as soon as that is approved, unless our own code has halted it.
    isHeldUp: run?.status === 'stuck' && (state?.repeats !== true || isHalted(run)),
  };
  return { course, error: action?.error?.message ?? null };
}

function triedBy(attempts: readonly AttemptRow[]): Course['wasTried'] {
  if (attempts.length === 0) return 'no';
  return attempts.some(({ effectPossible }) => effectPossible) ? 'maybe' : 'yes';
}

/** What this person has decided of it; null: nothing that was taken. */
export async function ownDecisionOn(
  { pool }: ServiceDeps,
  approval: string,
  person: Pick<Principal, 'id'>,
): Promise<DecisionRow | null> {
  return ownDecision(await decisionsOf(pool, [approval]), person.id);
}
