import { hasEffect } from '../../executors/index.js';
import type { Outcome, RunState } from '../../engine/state.js';
import type { PayloadRef } from '../../model/records.js';
import type { ExecutorResult } from '../../executors/types.js';
import { appendRun } from '../../audit/index.js';
import { together, type Tx } from '../../db/index.js';
import { endLease, finishAttempt, type AttemptRow, type Holder } from '../../store/runs/actions.js';
import { findStep } from '../../store/runs/runs.js';
import { dataOfAnswer, makeAttemptFact, makeRetryFacts, scopeOf } from './attempt-facts.js';
import { judgeAndFollow, waitMsOf } from './attempts.js';
import {
  findEffectBefore,
  loadExecutionBasis,
  lockExecution,
  outcomeOf,
  type Begun,
  type Executed,
  type ExecutionBasis,
  type LockedExecution,
  type Settled,
} from './begun.js';
import type { ActivityDeps } from '../deps.js';
import type { StoredStep } from '../step/persist.js';
import { settleOutcome } from './settle.js';

// The end of an attempt: its outcome, and what follows it.

export type Ended =
  | Settled
  | { readonly kind: 'again'; readonly delayMs: number }
  /** The attempt counts as lost: its run has gone on without it, or another process makes it now. */
  | { readonly kind: 'late' };

/** Writes what came of the call, with the run's next state, or with the time of the next attempt. */
export async function endAttempt(
  deps: ActivityDeps,
  tx: Tx,
  begun: Begun,
  result: ExecutorResult,
): Promise<Ended> {
  const { executing, next } = begun;
  const action = executing.action.id;
  const locked = await lockExecution(deps, tx, { run: begun.row.id, action });
  const { run, attempts, time: finishedAt } = locked;
  if (run === null) throw new Error(`run ${begun.row.id} is gone from the store`);
  const before = await findEarlierEnd(tx, run.loaded.state, begun, result, attempts, finishedAt);
  if (before !== null) {
    // The call is over, whatever has become of the run meanwhile.
    await endLease(tx, { action, attempt: next.attempt }, begun.holder);
    return before;
  }
  const timing: Timing = {
    startedAt: begun.startedAt,
    durationMs: Date.parse(finishedAt) - Date.parse(begun.startedAt),
  };
  const executed: Executed = { ...run, executing };
  const { holder } = begun;
  if (result.status === 'failed') return endFailed(deps, tx, executed, locked, holder, next, result, timing);
  const text = JSON.stringify(result.output ?? null);
  const [basis, outputRef] = await together([
    loadExecutionBasis(deps, tx, executed, locked),
    deps.payloads.put(tx, run.row.id, 'output', 'application/json', text),
  ]);
  return endSucceeded(deps, tx, basis, holder, next, { ...result, outputRef }, timing);
}

interface Timing {
  readonly startedAt: string;
  readonly durationMs: number;
}

/** A success whose output is stored already. */
type Succeeded = Extract<ExecutorResult, { status: 'succeeded' }> & { readonly outputRef: PayloadRef };

async function endSucceeded(
  deps: ActivityDeps,
  tx: Tx,
  basis: ExecutionBasis,
  holder: Holder,
  { attempt, executor }: Begun['next'],
  result: Succeeded,
  timing: Timing,
): Promise<Ended> {
  const { loaded, executing, time: finishedAt } = basis;
  const { id: action } = executing.action;
  const effectPossible = hasEffect(executing, executor);
  const end = { outcome: 'succeeded', errorClass: null, effectPossible, nextAt: null } as const;
  await finishAttempt(tx, { ...end, action, attempt, finishedAt }, holder);
  const data = {
    ...timing,
    ...dataOfAnswer(result),
    ...(loaded.state.mode === 'shadow' ? { mode: 'shadow' } : {}),
  };
  const fact = makeAttemptFact(executing, attempt, 'executor.succeeded', finishedAt, data);
  const { output, response, evidence, outputRef } = result;
  const outcome: Outcome = { status: 'succeeded', output, response, evidence, attempt, outputRef };
  return settleOutcome(deps, tx, basis, outcome, [{ ...fact, refs: [outputRef] }]);
}

async function endFailed(
  deps: ActivityDeps,
  tx: Tx,
  executed: Executed,
  locked: LockedExecution,
  holder: Holder,
  next: Begun['next'],
  result: Extract<ExecutorResult, { status: 'failed' }>,
  timing: Timing,
): Promise<Ended> {
  const { row, loaded, executing } = executed;
  const { attempts, time: finishedAt } = locked;
  const { attempt } = next;
  const finishedMs = Date.parse(finishedAt);
  const before = await findEffectBefore(tx, executing, next);
  const { judged, then } = judgeAndFollow(loaded.state, executing, attempts, result, before, finishedMs);
  const { errorClass, message } = judged;
  const unknown = errorClass === 'unknown_outcome';
  const delayMs = then.kind === 'retry' ? then.delayMs : 0;
  const ended = {
    action: executing.action.id,
    attempt,
    finishedAt,
    outcome: unknown ? 'unknown' : 'failed',
    errorClass,
    effectPossible:
      unknown || result.effectPossible === true || (next.resumed && hasEffect(executing, next.executor)),
    effectInDoubt: result.effectInDoubt === true,
    nextAt: delayMs === 0 ? null : new Date(finishedMs + delayMs).toISOString(),
  } as const;
  await finishAttempt(tx, ended, holder);
  const type = unknown ? 'executor.unknown' : 'executor.failed';
  const facts = [
    makeAttemptFact(executing, attempt, type, finishedAt, {
      ...timing,
      errorClass,
      message,
      ...dataOfAnswer(result),
    }),
    ...makeRetryFacts(executing, attempt, finishedAt, then),
  ];
  if (then.kind !== 'final') {
    await appendRun(tx, scopeOf(row), facts);
    return { kind: 'again', delayMs };
  }
  const outcome = outcomeOf(judged, attempt, before);
  // Only here: a next attempt needs no policies, so it follows also where none can be loaded.
  const basis = await loadExecutionBasis(deps, tx, executed, locked);
  return settleOutcome(deps, tx, basis, outcome, facts);
}

/** Has another process taken over the attempt? Then a failure of this process's call does not end it. */
function isTakenOver({ owner, process }: AttemptRow, { holder }: Begun): boolean {
  return owner !== holder.owner || process !== holder.process;
}

/** What an earlier write of this end has committed, whose acknowledgement was lost; null: there was none. */
async function findEarlierEnd(
  tx: Tx,
  run: RunState,
  begun: Begun,
  result: ExecutorResult,
  attempts: readonly AttemptRow[],
  now: string,
): Promise<Ended | null> {
  const action = begun.executing.action.id;
  if (run.executing?.action.id !== action) {
    const stored = await findStep(tx, run.run, `outcome:${action}`);
    if (stored === null) return { kind: 'late' };
    return { kind: 'settled', result: (JSON.parse(stored.result) as StoredStep).result };
  }
  const ended = attempts.find(({ attempt }) => attempt === begun.next.attempt);
  if (ended === undefined) return null;
  if (ended.outcome === null)
    return isTakenOver(ended, begun) && result.status === 'failed' ? { kind: 'late' } : null;
  return { kind: 'again', delayMs: waitMsOf([ended], Date.parse(now)) };
}
