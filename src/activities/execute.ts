import { ApplicationFailure } from '@temporalio/activity';
import { hasEffect } from '../engine/effects.js';
import type { Executing, Outcome, RunState } from '../engine/state.js';
import type { ExecutorResult } from '../executors/types.js';
import { appendRun } from '../audit/index.js';
import { storeTime, withTransaction, type Tx } from '../db/index.js';
import {
  earlierEffect,
  endLease,
  finishAttempt,
  listAttempts,
  type AttemptRow,
  type EarlierEffect,
} from '../store/actions.js';
import { findStep, lockRun, type RunRow } from '../store/runs.js';
import { isCalledOff, judgeFailure, nextAttempt, ruleOn, type NextAttempt } from './attempts.js';
import { abandon, unknownEnd } from './abandoned.js';
import { answerData, attemptFact, retryFact, scopeOf, startData } from './attempt-facts.js';
import { perform, targetOf, type Target } from './call.js';
import type { ActivityDeps } from './deps.js';
import { isAsWritten, loadRun, type LoadedRun } from './document.js';
import { grantProblem } from './grants.js';
import { keepable } from './keepable.js';
import { makeKit } from './kit.js';
import { aloneHere, leaseAttempt, leaseMs, otherUnderWay } from './leases.js';
import type { StoredStep } from './persist.js';
import { persistently, type Surroundings } from './persistently.js';
import { settle } from './settle.js';
import type { ExecuteInput, Stepped } from './types.js';

interface Begun {
  readonly kind: 'begun';
  readonly row: RunRow;
  readonly loaded: LoadedRun;
  readonly executing: Executing;
  readonly next: Extract<NextAttempt, { kind: 'attempt' }>;
  readonly target: Target;
  readonly startedAt: string;
  readonly owner: string;
}

/**
 * One attempt of an intended effect: intent and single-use grant first, then the effect, then outcome and the run's
 * next state in one transaction. When only that last write fails, the write is tried again, not the effect. It makes one
 * call at most, since its time-out is that of one: the next attempt is another try of this activity.
 */
export async function execute(
  deps: ActivityDeps,
  input: ExecuteInput,
  around: Surroundings,
): Promise<Stepped> {
  const lost = new Error('its call has taken longer than it may, and its outcome is not waited for');
  const onLost = (): void => deps.onInternalError(`action \`${input.action}\` of run \`${input.run}\``, lost);
  return aloneHere(input.action, { isLate: around.isLate, onLost }, () => executeAlone(deps, input, around));
}

async function executeAlone(deps: ActivityDeps, input: ExecuteInput, around: Surroundings): Promise<Stepped> {
  const begun = await withTransaction(deps.pool, (tx) => begin(deps, tx, input, around.owner));
  if (begun.kind === 'settled') return begun.result;
  around.allow(leaseMs(begun.executing));
  const result = keepable(
    await perform({ ...begun, run: begun.loaded.state }, around.shutdown),
    hasEffect(begun.executing, begun.next.executor),
  );
  const ended: Ended = await persistently(around, () =>
    withTransaction(deps.pool, (tx) => end(deps, tx, begun, result)),
  );
  if (ended.kind === 'settled') return ended.result;
  if (ended.kind === 'late') throw notExecuting(begun.row.id, begun.executing.action.id);
  throw retryLater(begun, ended.delayMs);
}

type Settled = { readonly kind: 'settled'; readonly result: Stepped };

/** What Temporal is told when another attempt follows. */
export const attemptFailed = 'ATTEMPT_FAILED';
/** Without a delay of its own, a failure would wait as long as one of our own code. */
const soonestMs = 1;

/** Temporal's own retry carries the wait between attempts. */
function retryLater(begun: Begun, delayMs: number): ApplicationFailure {
  return ApplicationFailure.create({
    message: `attempt ${begun.next.attempt} of \`${begun.executing.action.transition}\` failed; the next one follows`,
    type: attemptFailed,
    nonRetryable: false,
    nextRetryDelay: Math.max(delayMs, soonestMs),
  });
}

async function begin(
  deps: ActivityDeps,
  tx: Tx,
  input: ExecuteInput,
  owner: string,
): Promise<Begun | Settled> {
  const [row, attempts] = await Promise.all([lockRun(tx, input.run), listAttempts(tx, input.action)]);
  const loaded = row === null ? null : await loadUnchanged(deps, tx, row);
  if (row === null || loaded === null)
    throw ApplicationFailure.nonRetryable(`no run \`${input.run}\` in the store`, 'UNKNOWN_RUN');
  const { executing } = loaded.state;
  if (executing === null || executing.action.id !== input.action) {
    const stored = await findStep(tx, input.run, `outcome:${input.action}`);
    if (stored === null) throw notExecuting(input.run, input.action);
    return { kind: 'settled', result: (JSON.parse(stored.result) as StoredStep).result };
  }
  const other = await otherUnderWay(tx, executing, owner);
  if (other !== null) throw other;
  const startedAt = await storeTime(tx);
  const held: Held = { row, loaded, executing };
  if (isCalledOff(loaded.state, attempts, Date.parse(startedAt))) {
    const { result, fact } = await abandon(tx, input.action, attempts, null, startedAt);
    const facts = [fact(executing)];
    return { kind: 'settled', result: await settle(deps, tx, row, loaded, executing, result, facts) };
  }
  const next = nextAttempt(executing, attempts);
  if (next.kind === 'unknown') return lost(deps, tx, held, next, startedAt);
  const policySet = await deps.policySet(tx);
  const kit = makeKit(policySet, row.environment, await deps.people(tx, row));
  const refused = await grantProblem(deps, tx, kit, loaded.state, executing, attempts);
  if (refused !== null) return denied(deps, tx, held, next, refused, startedAt);
  await leaseAttempt(tx, executing, next, { owner, startedAt });
  if (!next.resumed) {
    const data = startData(executing, next);
    const fact = attemptFact(executing, next.attempt, 'executor.started', startedAt, data);
    await appendRun(tx, scopeOf(row), [{ ...fact, refs: executing.action.refs }]);
  }
  const target = targetOf(policySet, next.executor, row.environment);
  return { kind: 'begun', ...held, next, target, startedAt, owner };
}

/** Nothing is built on a document that somebody has changed: the next step makes its run stuck. */
async function loadUnchanged(deps: ActivityDeps, tx: Tx, row: RunRow): Promise<LoadedRun | null> {
  if (isAsWritten(row)) return loadRun(deps, tx, row);
  const message = `the document of run \`${row.id}\` is not the one that its step ${row.rev} wrote`;
  throw ApplicationFailure.nonRetryable(message, 'DOCUMENT_CHANGED');
}

type Held = Pick<Begun, 'row' | 'loaded' | 'executing'>;

/** The worker was lost after the intent, and doing it again might do it twice: a person decides. */
async function lost(
  deps: ActivityDeps,
  tx: Tx,
  { row, loaded, executing }: Held,
  { attempt, message }: Extract<NextAttempt, { kind: 'unknown' }>,
  time: string,
): Promise<Settled> {
  await finishAttempt(tx, { ...unknownEnd, action: executing.action.id, attempt, finishedAt: time });
  const fact = attemptFact(executing, attempt, 'executor.unknown', time, { message });
  const outcome: Outcome = { status: 'unknown', message, attempt };
  return { kind: 'settled', result: await settle(deps, tx, row, loaded, executing, outcome, [fact]) };
}

async function denied(
  deps: ActivityDeps,
  tx: Tx,
  { row, loaded, executing }: Held,
  next: Begun['next'],
  message: string,
  time: string,
): Promise<Settled> {
  const { attempt } = next;
  const refusal = { status: 'failed', errorClass: 'permanent', message } as const;
  const judged = judgeFailure(refusal, await doneBefore(tx, executing, next), 'final');
  if (next.resumed)
    await finishAttempt(tx, { ...unknownEnd, action: executing.action.id, attempt, finishedAt: time });
  const code = 'DIGEST_MISMATCH';
  const judgedOutcome = outcomeOf(judged, attempt);
  const outcome = judgedOutcome.status === 'unknown' ? judgedOutcome : ({ ...judgedOutcome, code } as const);
  const type = outcome.status === 'unknown' ? 'executor.unknown' : 'executor.failed';
  const fact = attemptFact(executing, attempt, type, time, { code, message: judged.message });
  return { kind: 'settled', result: await settle(deps, tx, row, loaded, executing, outcome, [fact]) };
}

function outcomeOf(
  { errorClass, message }: Extract<ExecutorResult, { status: 'failed' }>,
  attempt: number,
): Exclude<Outcome, { status: 'succeeded' }> {
  return errorClass === 'unknown_outcome'
    ? { status: 'unknown', message, attempt }
    : { status: 'failed', errorClass, message, attempt };
}

/** What other attempts under the key of this one may have done, this one before it was resumed included. */
async function doneBefore(tx: Tx, executing: Executing, next: Begun['next']): Promise<EarlierEffect> {
  if (next.resumed && hasEffect(executing, next.executor)) return 'possible';
  const { id: action, idempotencyKey } = executing.action;
  return earlierEffect(tx, idempotencyKey, { action, attempt: next.attempt });
}

type Ended =
  | Settled
  | { readonly kind: 'again'; readonly delayMs: number }
  /** Its run was told that this attempt is lost, and has gone on without it: the outcome stays unknown. */
  | { readonly kind: 'late' };

function notExecuting(run: string, action: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`run \`${run}\` does not execute \`${action}\``, 'NOT_EXECUTING');
}

async function end(deps: ActivityDeps, tx: Tx, begun: Begun, result: ExecutorResult): Promise<Ended> {
  const { executing, next } = begun;
  const action = executing.action.id;
  const [row, attempts] = await Promise.all([lockRun(tx, begun.row.id), listAttempts(tx, action)]);
  const loaded = row === null ? null : await loadUnchanged(deps, tx, row);
  if (row === null || loaded === null) throw new Error(`run ${begun.row.id} is gone from the store`);
  const finishedAt = await storeTime(tx);
  const before = await alreadyEnded(tx, loaded.state, begun, attempts, finishedAt);
  if (before?.kind === 'late') await endLease(tx, { action, attempt: next.attempt }, begun.owner);
  if (before !== null) return before;
  const timing: Timing = {
    startedAt: begun.startedAt,
    finishedAt,
    durationMs: Date.parse(finishedAt) - Date.parse(begun.startedAt),
  };
  const held: Held = { row, loaded, executing };
  return result.status === 'succeeded'
    ? endWell(deps, tx, held, next, result, timing)
    : endBadly(deps, tx, held, next, attempts, result, timing);
}

interface Timing {
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly durationMs: number;
}

async function endWell(
  deps: ActivityDeps,
  tx: Tx,
  { row, loaded, executing }: Held,
  { attempt, executor }: Begun['next'],
  result: Extract<ExecutorResult, { status: 'succeeded' }>,
  { finishedAt, ...timing }: Timing,
): Promise<Ended> {
  const { id: action } = executing.action;
  const text = JSON.stringify(result.output ?? null);
  const outputRef = await deps.payloads.put(tx, row.id, 'output', 'application/json', text);
  const effectPossible = hasEffect(executing, executor);
  const end = { outcome: 'succeeded', errorClass: null, effectPossible, nextAt: null } as const;
  await finishAttempt(tx, { ...end, action, attempt, finishedAt });
  const data = {
    ...timing,
    ...answerData(result),
    ...(loaded.state.mode === 'shadow' ? { mode: 'shadow' } : {}),
  };
  const fact = attemptFact(executing, attempt, 'executor.succeeded', finishedAt, data);
  const { output, response, evidence } = result;
  const outcome: Outcome = { status: 'succeeded', output, response, evidence, attempt, outputRef };
  const facts = [{ ...fact, refs: [outputRef] }];
  return { kind: 'settled', result: await settle(deps, tx, row, loaded, executing, outcome, facts) };
}

async function endBadly(
  deps: ActivityDeps,
  tx: Tx,
  { row, loaded, executing }: Held,
  next: Begun['next'],
  attempts: readonly AttemptRow[],
  result: Extract<ExecutorResult, { status: 'failed' }>,
  { finishedAt, ...timing }: Timing,
): Promise<Ended> {
  const { attempt } = next;
  const finishedMs = Date.parse(finishedAt);
  const before = await doneBefore(tx, executing, next);
  const { judged, then } = ruleOn(loaded.state, executing, attempts, result, before, finishedMs);
  const { errorClass, message } = judged;
  const unknown = errorClass === 'unknown_outcome';
  const delayMs = then.kind === 'retry' ? then.delayMs : 0;
  await finishAttempt(tx, {
    action: executing.action.id,
    attempt,
    finishedAt,
    outcome: unknown ? 'unknown' : 'failed',
    errorClass,
    effectPossible:
      unknown || result.effectPossible === true || (next.resumed && hasEffect(executing, next.executor)),
    effectInDoubt: result.effectInDoubt === true,
    nextAt: delayMs === 0 ? null : new Date(finishedMs + delayMs).toISOString(),
  });
  const type = unknown ? 'executor.unknown' : 'executor.failed';
  const facts = [
    attemptFact(executing, attempt, type, finishedAt, {
      ...timing,
      errorClass,
      message,
      ...answerData(result),
    }),
    ...retryFact(executing, attempt, finishedAt, then),
  ];
  if (then.kind !== 'final') {
    await appendRun(tx, scopeOf(row), facts);
    return { kind: 'again', delayMs };
  }
  const outcome = outcomeOf(judged, attempt);
  return { kind: 'settled', result: await settle(deps, tx, row, loaded, executing, outcome, facts) };
}

/** The write is repeated when its acknowledgement was lost: what it had committed is its answer. */
async function alreadyEnded(
  tx: Tx,
  run: RunState,
  begun: Begun,
  attempts: readonly AttemptRow[],
  now: string,
): Promise<Ended | null> {
  const action = begun.executing.action.id;
  if (run.executing?.action.id !== action) {
    const stored = await findStep(tx, run.run, `outcome:${action}`);
    if (stored === null) return { kind: 'late' };
    return { kind: 'settled', result: (JSON.parse(stored.result) as StoredStep).result };
  }
  const ended = attempts.find((one) => one.attempt === begun.next.attempt);
  if (ended === undefined || ended.outcome === null) return null;
  return { kind: 'again', delayMs: ended.nextAt === null ? 0 : Date.parse(ended.nextAt) - Date.parse(now) };
}
