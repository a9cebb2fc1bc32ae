import { isHalted } from '../../engine/index.js';
import type { ActionStatus, ApprovalStatus } from '../../engine/state.js';
import type { Principal } from '../../model/principal.js';
import { getAction, listAttempts, type AttemptRow } from '../../store/runs/actions.js';
import { decisionsOf, type DecisionRow } from '../../store/approvals/decisions.js';
import { getListedRun } from '../../store/runs/runs.js';
import type { ServiceDeps } from '../deps.js';
import { ownDecision } from './judge.js';
import type { Approval } from './look.js';

/** How far an approval, its action and its run have come. */
export interface ApprovalProgress {
  readonly approval: ApprovalStatus;
  /** Null: the store has no such action. */
  readonly action: ActionStatus | null;
  /** Whether an attempt to execute the action was begun; `maybe`: of some attempt nobody can say that it had no effect. */
  readonly wasTried: 'no' | 'yes' | 'maybe';
  /** The code of the action's error; null: it has no error. */
  readonly code: string | null;
  /** The run is stuck on something else, so that an approved action waits for an operator. */
  readonly isHeldUp: boolean;
}

/** `error`: the message of the action's error, only for those who may see the run. */
export async function readProgress(
  { pool }: ServiceDeps,
  { row: { status, action: actionId, run: runId }, state }: Approval,
): Promise<{ readonly progress: ApprovalProgress; readonly error: string | null }> {
  const [action, attempts, run] = await Promise.all([
    getAction(pool, actionId),
    listAttempts(pool, actionId),
    getListedRun(pool, runId),
  ]);
  const progress = {
    approval: status,
    action: action?.status ?? null,
    wasTried: triedBy(attempts),
    code: action?.error?.code ?? null,
    // A run that is stuck on this very action repeats it as soon as it is approved, unless our own code has halted the run.
    isHeldUp: run?.status === 'stuck' && (state?.repeats !== true || isHalted(run)),
  };
  return { progress, error: action?.error?.message ?? null };
}

function triedBy(attempts: readonly AttemptRow[]): ApprovalProgress['wasTried'] {
  if (attempts.length === 0) return 'no';
  return attempts.some(({ effectPossible }) => effectPossible) ? 'maybe' : 'yes';
}

/** This person's decision of the approval; null: they made none, or it was refused. */
export async function readOwnDecision(
  { pool }: ServiceDeps,
  approval: string,
  person: Pick<Principal, 'id'>,
): Promise<DecisionRow | null> {
  return ownDecision(await decisionsOf(pool, [approval]), person.id);
}
