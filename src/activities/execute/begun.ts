import { ApplicationFailure } from '@temporalio/activity';
import { hasEffect } from '../../executors/index.js';
import type { Plan } from '../../engine/plan.js';
import type { Executing, Kit, Outcome } from '../../engine/state.js';
import type { PolicySet } from '../../model/policy-set.js';
import type { ExecutorResult } from '../../executors/types.js';
import { settleTogether, storeTime, valueOf, type Tx } from '../../db/index.js';
import {
  findEarlierEffect,
  listAttempts,
  type AttemptRow,
  type EarlierEffect,
  type Holder,
} from '../../store/runs/actions.js';
import { requirePlan } from '../../store/flows/cached.js';
import { lockRun, type RunRow } from '../../store/runs/runs.js';
import type { NextAttempt } from './attempts.js';
import type { Target } from './call.js';
import type { ActivityDeps } from '../deps.js';
import { isAsWritten, loadRun, type LoadedRun } from '../step/document.js';
import { loadKit } from '../step/rights.js';
import type { ExecuteInput, Stepped } from '../types.js';

// What the beginning and the end of an attempt have in common.

/** An action that is being executed, and its run. */
export interface Executed {
  readonly row: RunRow;
  readonly loaded: LoadedRun;
  readonly executing: Executing;
}

/** An execution with what a step of its run is decided by. */
export interface ExecutionBasis extends Executed {
  readonly plan: Plan;
  readonly policySet: PolicySet;
  readonly kit: Kit;
  /** The store's time, taken behind the lock on the run. */
  readonly time: string;
}

export interface Begun extends Executed {
  readonly kind: 'begun';
  readonly next: Extract<NextAttempt, { kind: 'attempt' }>;
  readonly target: Target;
  readonly startedAt: string;
  readonly holder: Holder;
}

export type Settled = { readonly kind: 'settled'; readonly result: Stepped };

export interface LockedExecution {
  /** Null: the store does not know the run, or it has taken no step. */
  readonly run: Pick<Executed, 'row' | 'loaded'> | null;
  readonly attempts: readonly AttemptRow[];
  readonly time: string;
  /** Throws where no policy set can be used, so that only what needs it fails. */
  readonly policySet: () => PolicySet;
}

/** Locks the run, and reads the attempts, the time and the policies behind that lock: all are asked for together, and answered in order. */
export async function lockExecution(
  deps: ActivityDeps,
  tx: Tx,
  { run, action }: ExecuteInput,
): Promise<LockedExecution> {
  const [locked, attempts, time, policies] = await settleTogether([
    lockRun(tx, run),
    listAttempts(tx, action),
    storeTime(tx),
    deps.policySet(tx),
  ]);
  const row = valueOf(locked);
  const loaded = row === null ? null : await loadUnchanged(deps, tx, row);
  return {
    run: row === null || loaded === null ? null : { row, loaded },
    attempts: valueOf(attempts),
    time: valueOf(time),
    policySet: () => valueOf(policies),
  };
}

/** Loads what the run's next step is decided by. */
export async function loadExecutionBasis(
  deps: ActivityDeps,
  tx: Tx,
  executed: Executed,
  { time, policySet: policies }: Pick<LockedExecution, 'time' | 'policySet'>,
): Promise<ExecutionBasis> {
  const { row, loaded } = executed;
  const plan = await requirePlan(deps.plan, tx, row.planHash);
  const policySet = policies();
  const kit = await loadKit(deps, tx, row, plan, policySet, loaded.state);
  return { ...executed, plan, policySet, kit, time };
}

/** Throws for a document that somebody has changed: nothing is built on it, and the next step makes the run stuck. */
async function loadUnchanged(deps: ActivityDeps, tx: Tx, row: RunRow): Promise<LoadedRun | null> {
  if (isAsWritten(row)) return loadRun(deps, tx, row);
  const message = `the document of run \`${row.id}\` is not the one that its step ${row.rev} wrote`;
  throw ApplicationFailure.nonRetryable(message, 'DOCUMENT_CHANGED');
}

/** The outcome of a failed attempt. `before`: what other attempts under its key may have done, about which this failure says nothing. */
export function outcomeOf(
  { errorClass, message, effectPossible, effectInDoubt }: Extract<ExecutorResult, { status: 'failed' }>,
  attempt: number,
  before: EarlierEffect,
): Exclude<Outcome, { status: 'succeeded' }> {
  const isPossible = effectPossible === true || effectInDoubt === true || before !== 'none';
  return errorClass === 'unknown_outcome'
    ? { status: 'unknown', message, attempt }
    : {
        status: 'failed',
        errorClass,
        message,
        attempt,
        ...(isPossible ? { effectPossible: true } : {}),
      };
}

/** What other attempts under the same key may have done; where the attempt was resumed, also what it did before. */
export async function findEffectBefore(
  tx: Tx,
  executing: Executing,
  next: Begun['next'],
): Promise<EarlierEffect> {
  if (next.resumed && hasEffect(executing, next.executor)) return 'possible';
  const { id: action, idempotencyKey } = executing.action;
  return findEarlierEffect(tx, idempotencyKey, { action, attempt: next.attempt });
}

export function makeNotExecutingFailure(run: string, action: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`run \`${run}\` does not execute \`${action}\``, 'NOT_EXECUTING');
}
