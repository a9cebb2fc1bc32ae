import { ApplicationFailure } from '@temporalio/activity';
import type { Executing, Outcome, RunState } from '../engine/state.js';
import type { PayloadRef } from '../model/records.js';
import { resolveConnection } from '../model/policy-set.js';
import { buildCall, runCall } from '../executors/index.js';
import type { ExecutorResult, RunContext } from '../executors/types.js';
import { appendRun } from '../audit/index.js';
import { isUnavailable, withTransaction, type Tx } from '../db/index.js';
import { finishAttempt, listAttempts, startAttempt, type AttemptRow } from '../store/actions.js';
import { findStep, lockRun, type RunRow } from '../store/runs.js';
import { afterFailure, hasEffect, nextAttempt, type AfterFailure, type NextAttempt } from './attempts.js';
import { attemptFact, retryFact, scopeOf, startData } from './attempt-facts.js';
import type { ActivityDeps } from './deps.js';
import { isAsWritten, loadRun, type LoadedRun } from './document.js';
import { grantProblem } from './grants.js';
import { keepable } from './keepable.js';
import type { StoredStep } from './persist.js';
import { settle } from './settle.js';
import type { ExecuteInput, Stepped } from './types.js';

/** What the activity's surroundings give: signs of life, and the end of this worker. */
export interface Surroundings {
  /** Aborts when the worker shuts down; never because the run was cancelled: an outcome comes first. */
  readonly shutdown: AbortSignal;
}

interface Begun {
  readonly kind: 'begun';
  readonly row: RunRow;
  readonly loaded: LoadedRun;
  readonly executing: Executing;
  readonly next: Extract<NextAttempt, { kind: 'attempt' }>;
  readonly startedAt: string;
}

/**
 * One intended effect, until its outcome is recorded: intent and single-use grant first, then the
 * effect, then outcome and the run's next state in one transaction. When only that last write fails,
 * the write is tried again, not the effect.
 */
export async function execute(
  deps: ActivityDeps,
  input: ExecuteInput,
  around: Surroundings,
): Promise<Stepped> {
  for (;;) {
    const begun = await withTransaction(deps.pool, (tx) => begin(deps, tx, input));
    if (begun.kind === 'settled') return begun.result;
    const result = keepable(await perform(deps, begun, around));
    const ended: Ended = await persistently(around, () =>
      withTransaction(deps.pool, (tx) => end(deps, tx, begun, result)),
    );
    if (ended.kind === 'settled') return ended.result;
    if (ended.delayMs > 0) throw retryLater(begun, ended.delayMs);
  }
}

type Settled = { readonly kind: 'settled'; readonly result: Stepped };

/** Temporal's own retry carries the wait between attempts. */
function retryLater(begun: Begun, delayMs: number): ApplicationFailure {
  return ApplicationFailure.create({
    message: `attempt ${begun.next.attempt} of \`${begun.executing.action.transition}\` failed; the next one follows`,
    type: 'ATTEMPT_FAILED',
    nonRetryable: false,
    nextRetryDelay: delayMs,
  });
}

async function begin(deps: ActivityDeps, tx: Tx, input: ExecuteInput): Promise<Begun | Settled> {
  const [row, attempts] = await Promise.all([lockRun(tx, input.run), listAttempts(tx, input.action)]);
  const loaded = row === null ? null : await loadUnchanged(deps, tx, row);
  if (row === null || loaded === null)
    throw ApplicationFailure.nonRetryable(`no run \`${input.run}\` in the store`, 'UNKNOWN_RUN');
  const { executing } = loaded.state;
  if (executing === null || executing.action.id !== input.action) {
    const stored = await findStep(tx, input.run, `outcome:${input.action}`);
    if (stored === null)
      throw ApplicationFailure.nonRetryable(
        `run \`${input.run}\` does not execute \`${input.action}\``,
        'NOT_EXECUTING',
      );
    return { kind: 'settled', result: (JSON.parse(stored.result) as StoredStep).result };
  }
  const next = nextAttempt(executing, attempts);
  const startedAt = new Date().toISOString();
  if (next.kind === 'unknown') return lost(deps, tx, { row, loaded, executing }, next.attempt, startedAt);
  const refused = await grantProblem(deps, tx, row, loaded.state, executing, attempts.length);
  if (refused !== null) return denied(deps, tx, { row, loaded, executing }, next.attempt, refused, startedAt);
  if (!next.resumed) {
    await startAttempt(tx, { action: input.action, attempt: next.attempt, startedAt });
    const fact = attemptFact(
      executing,
      next.attempt,
      'executor.started',
      startedAt,
      startData(executing, next),
    );
    await appendRun(tx, scopeOf(row), [{ ...fact, refs: executing.action.refs }]);
  }
  return { kind: 'begun', row, loaded, executing, next, startedAt };
}

/** Nothing is built on a document that somebody has changed: the next step makes its run stuck. */
async function loadUnchanged(deps: ActivityDeps, tx: Tx, row: RunRow): Promise<LoadedRun | null> {
  if (isAsWritten(row)) return loadRun(deps, tx, row);
  const message = `the document of run \`${row.id}\` is not the one that its step ${row.rev} wrote`;
  throw ApplicationFailure.nonRetryable(message, 'DOCUMENT_CHANGED');
}

type Held = Pick<Begun, 'row' | 'loaded' | 'executing'>;

/** The worker was lost after the intent, and doing it again might do it twice: a person decides. */
async function lost(deps: ActivityDeps, tx: Tx, held: Held, attempt: number, time: string): Promise<Settled> {
  const { row, loaded, executing } = held;
  const message = 'the worker was lost during the call, and repeating it might do it twice';
  const { id: action } = executing.action;
  await finishAttempt(tx, {
    action,
    attempt,
    finishedAt: time,
    outcome: 'unknown',
    errorClass: 'unknown_outcome',
  });
  const fact = attemptFact(executing, attempt, 'executor.unknown', time, { message });
  const outcome: Outcome = { status: 'unknown', message, attempt };
  return { kind: 'settled', result: await settle(deps, tx, row, loaded, executing, outcome, [fact]) };
}

async function denied(
  deps: ActivityDeps,
  tx: Tx,
  { row, loaded, executing }: Held,
  attempt: number,
  message: string,
  time: string,
): Promise<Settled> {
  const fact = attemptFact(executing, attempt, 'executor.failed', time, { message });
  const outcome: Outcome = { status: 'failed', errorClass: 'permanent', message, attempt };
  return { kind: 'settled', result: await settle(deps, tx, row, loaded, executing, outcome, [fact]) };
}

async function perform(deps: ActivityDeps, begun: Begun, around: Surroundings): Promise<ExecutorResult> {
  const { executing, next } = begun;
  const run = begun.loaded.state;
  const { action } = executing;
  const built = buildCall(
    next.executor,
    { arguments: action.arguments, context: run.context, input: run.input },
    executing.at,
  );
  if (built.status === 'unresolved')
    return { status: 'failed', errorClass: 'permanent', message: built.message };
  const effect = hasEffect(executing, next.executor);
  if (run.mode === 'shadow' && effect)
    return { status: 'succeeded', output: null, response: null, evidence: [] };
  const policySet = await deps.policySet(deps.pool);
  const connection =
    'connection' in next.executor
      ? resolveConnection(policySet, next.executor.connection, begun.row.environment)
      : null;
  if ('connection' in next.executor && connection === null) {
    return {
      status: 'failed',
      errorClass: 'permanent',
      message: `environment \`${begun.row.environment}\` has no connection \`${next.executor.connection}\``,
    };
  }
  const context: RunContext = {
    idempotencyKey:
      'idempotencyKey' in next.executor && next.executor.idempotencyKey ? action.idempotencyKey : null,
    timeoutMs: executing.reliability.timeoutMs,
    signal: around.shutdown,
    hasEffect: effect,
    connection,
    baseDirectory: policySet.baseDirectory,
  };
  return runCall(built.call, context);
}

type Ended = Settled | { readonly kind: 'again'; readonly delayMs: number };

async function end(deps: ActivityDeps, tx: Tx, begun: Begun, result: ExecutorResult): Promise<Ended> {
  const { executing, next } = begun;
  const action = executing.action.id;
  const [row, attempts] = await Promise.all([lockRun(tx, begun.row.id), listAttempts(tx, action)]);
  const loaded = row === null ? null : await loadUnchanged(deps, tx, row);
  if (row === null || loaded === null) throw new Error(`run ${begun.row.id} is gone from the store`);
  const before = await alreadyEnded(tx, loaded.state, begun, attempts);
  if (before !== null) return before;
  const finishedAt = new Date().toISOString();
  const timing: Timing = {
    startedAt: begun.startedAt,
    finishedAt,
    durationMs: Date.parse(finishedAt) - Date.parse(begun.startedAt),
  };
  const held: Held = { row, loaded, executing };
  return result.status === 'succeeded'
    ? endWell(deps, tx, held, next.attempt, result, timing)
    : endBadly(deps, tx, held, next.attempt, result, timing);
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
  attempt: number,
  result: Extract<ExecutorResult, { status: 'succeeded' }>,
  { finishedAt, ...timing }: Timing,
): Promise<Ended> {
  const { id: action } = executing.action;
  const outputRef = await putOutput(deps, tx, row.id, result.output);
  await finishAttempt(tx, { action, attempt, finishedAt, outcome: 'succeeded', errorClass: null });
  const data = { ...timing, ...(loaded.state.mode === 'shadow' ? { mode: 'shadow' } : {}) };
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
  attempt: number,
  result: Extract<ExecutorResult, { status: 'failed' }>,
  { finishedAt, ...timing }: Timing,
): Promise<Ended> {
  const { errorClass, message } = result;
  const unknown = errorClass === 'unknown_outcome';
  const { id: action } = executing.action;
  await finishAttempt(tx, {
    action,
    attempt,
    finishedAt,
    outcome: unknown ? 'unknown' : 'failed',
    errorClass,
  });
  const then: AfterFailure =
    loaded.state.cancelRequested === null
      ? afterFailure(executing, attempt, errorClass, result.retryAfterMs)
      : { kind: 'final' };
  const type = unknown ? 'executor.unknown' : 'executor.failed';
  const facts = [
    attemptFact(executing, attempt, type, finishedAt, { ...timing, errorClass, message }),
    ...retryFact(executing, attempt, finishedAt, then),
  ];
  if (then.kind !== 'final') {
    await appendRun(tx, scopeOf(row), facts);
    return { kind: 'again', delayMs: then.kind === 'retry' ? then.delayMs : 0 };
  }
  const outcome: Outcome = unknown
    ? { status: 'unknown', message, attempt }
    : { status: 'failed', errorClass, message, attempt };
  return { kind: 'settled', result: await settle(deps, tx, row, loaded, executing, outcome, facts) };
}

/** The write is repeated when its acknowledgement was lost: what it had committed is its answer. */
async function alreadyEnded(
  tx: Tx,
  run: RunState,
  begun: Begun,
  attempts: readonly AttemptRow[],
): Promise<Ended | null> {
  const action = begun.executing.action.id;
  if (run.executing?.action.id !== action) {
    const stored = await findStep(tx, run.run, `outcome:${action}`);
    // Its run was told that this attempt is lost, and has gone on without it: the outcome stays unknown.
    if (stored === null)
      throw ApplicationFailure.nonRetryable(
        `run \`${run.run}\` has gone on without the outcome of \`${action}\``,
        'NOT_EXECUTING',
      );
    return { kind: 'settled', result: (JSON.parse(stored.result) as StoredStep).result };
  }
  const ended = attempts.find((one) => one.attempt === begun.next.attempt)?.outcome ?? null;
  return ended === null ? null : { kind: 'again', delayMs: 0 };
}

async function putOutput(deps: ActivityDeps, tx: Tx, run: string, output: unknown): Promise<PayloadRef> {
  return deps.payloads.put(tx, run, 'output', 'application/json', JSON.stringify(output ?? null));
}

/** Only the store's absence is waited out; anything else is a bug and ends the attempt. */
async function persistently<T>(around: Surroundings, write: () => Promise<T>): Promise<T> {
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
    try {
      return await write();
    } catch (error) {
      if (!isUnavailable(error) || around.shutdown.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}
