import { isRepeatable } from '../../executors/index.js';
import type { Executor } from '../../engine/plan.js';
import type { Executing, Outcome, RunState } from '../../engine/state.js';
import type { ErrorClass } from '../../model/contract/errors.js';
import type { ExecutorResult } from '../../executors/types.js';
import type { AttemptRow, EarlierEffect } from '../../store/runs/actions.js';

// Which attempt comes next, decided by what is stored: a lost worker is not a failed attempt.

export type NextAttempt =
  | {
      readonly kind: 'attempt';
      readonly attempt: number;
      readonly executor: Executor;
      /** 0 is the step's own executor, n its nth fallback. */
      readonly position: number;
      /** It was begun before, by a worker that was lost: its effect may have happened. */
      readonly resumed: boolean;
    }
  /** It is not known what happened, so no attempt follows by itself. */
  | { readonly kind: 'unknown'; readonly attempt: number; readonly message: string };

type Tried = Pick<AttemptRow, 'attempt' | 'executor'>;

export function chooseNextAttempt(executing: Executing, attempts: readonly AttemptRow[]): NextAttempt {
  const last = attempts.at(-1);
  if (last === undefined) return attemptOf(executing, 1, 0, false);
  if (last.outcome === null) {
    const executor = executorAt(executing, last.executor);
    if (executor !== undefined && isRepeatable(executing, executor))
      return attemptOf(executing, last.attempt, last.executor, true);
    const message = 'the worker was lost during the call, and repeating it might do it twice';
    return { kind: 'unknown', attempt: last.attempt, message };
  }
  const then = executorAfterFailure(executing, attempts, last);
  if (then !== null) return attemptOf(executing, last.attempt + 1, then, false);
  const message = 'the record of its attempts has no next attempt; check what the target did before a retry';
  return { kind: 'unknown', attempt: last.attempt, message };
}

function attemptOf(executing: Executing, attempt: number, position: number, resumed: boolean): NextAttempt {
  const executor = executorAt(executing, position);
  if (executor !== undefined) return { kind: 'attempt', attempt, executor, position, resumed };
  return { kind: 'unknown', attempt, message: `the step has no executor at position ${position}` };
}

function executorAfterFailure(
  executing: Executing,
  attempts: readonly AttemptRow[],
  last: AttemptRow,
): number | null {
  if (last.outcome !== 'failed' || last.errorClass === null) return null;
  const then = decideAfterFailure(executing, attempts, { errorClass: last.errorClass as ErrorClass });
  if (then.kind === 'final') return null;
  return then.kind === 'retry' ? last.executor : then.position;
}

function executorAt({ executor, reliability }: Executing, position: number): Executor | undefined {
  return position === 0 ? executor : reliability.fallback[position - 1];
}

// --- after a failure -----------------------------------------------------------------------------

export type AfterFailure =
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'fallback'; readonly position: number }
  | { readonly kind: 'final' };

type Failed = Extract<ExecutorResult, { status: 'failed' }>;

/** Longest wait that a target can ask for. */
const maxWaitMs = 3_600_000;

/**
 * What follows the last of `attempts`, which has failed. Only the step's own executor is retried; a fallback has a single
 * attempt. `auth`, `permanent` and an unknown outcome are never retried; after the first two the next fallback follows, unless
 * their effect may have happened. No wait is longer than `leftMs`, what is left of the run's time.
 */
export function decideAfterFailure(
  executing: Executing,
  attempts: readonly Tried[],
  { errorClass, retryAfterMs, effectPossible = false }: Partial<Failed> & Pick<Failed, 'errorClass'>,
  leftMs: number | null = null,
): AfterFailure {
  const { reliability } = executing;
  const position = attempts.at(-1)?.executor ?? 0;
  const retryable = (reliability.retryOn as readonly string[]).includes(errorClass);
  const over = leftMs !== null && leftMs <= 0;
  if (errorClass === 'unknown_outcome' || over) return { kind: 'final' };
  const own = attempts.filter(({ executor }) => executor === 0).length;
  if (position === 0 && own < reliability.maxAttempts && retryable) {
    const asked = Math.max(backoffMs(executing, own), retryAfterMs ?? 0);
    const delayMs = Math.min(asked, reliability.maxDelayMs, maxWaitMs, leftMs ?? maxWaitMs);
    return { kind: 'retry', delayMs };
  }
  if (effectPossible && neverRetried.includes(errorClass)) return { kind: 'final' };
  return position < reliability.fallback.length
    ? { kind: 'fallback', position: position + 1 }
    : { kind: 'final' };
}

const neverRetried: readonly ErrorClass[] = ['auth', 'permanent'];

function backoffMs({ reliability }: Executing, attempt: number): number {
  const { backoff, initialDelayMs } = reliability;
  if (backoff === 'none') return 0;
  return backoff === 'fixed' ? initialDelayMs : initialDelayMs * 2 ** (attempt - 1);
}

/**
 * What a failure means after earlier attempts under its key. It says nothing about an earlier attempt with an unknown outcome:
 * after such an attempt, a definite refusal still is an unknown outcome, and so is the last failure; a failure that is tried again
 * keeps its class. After an attempt at which the target itself failed (5xx), a definite refusal is an unknown outcome too, and
 * any other failure keeps its class.
 */
export function judgeFailure(result: Failed, before: EarlierEffect, then: AfterFailure['kind']): Failed {
  const isRefusal = neverRetried.includes(result.errorClass);
  const isUnknown =
    before === 'possible' ? isRefusal || then === 'final' : before === 'in_doubt' && isRefusal;
  if (!isUnknown) return result;
  return {
    ...result,
    errorClass: 'unknown_outcome',
    message: `${result.message}; an earlier attempt may have had its effect, check it before a retry`,
  };
}

const inDoubtText = 'its target failed at an earlier attempt, which does not say that nothing happened';

/**
 * What it means that the next attempt is refused here, and not by its target. After an attempt at which the target itself failed
 * (5xx), no more is known of that attempt than before, and the message says so.
 */
export function judgeDenial(message: string, before: EarlierEffect): Failed {
  const denial = { status: 'failed', errorClass: 'permanent' } as const;
  if (before === 'in_doubt') return { ...denial, message: `${message}; ${inDoubtText}` };
  return judgeFailure({ ...denial, message }, before, 'final');
}

/** A run that is to end makes no further call under the key, so it stays unknown what came of its last call. */
function judgeLast(result: Failed): Failed {
  if (result.effectPossible !== true) return result;
  const message = `${result.message}; its effect may have happened, and its run is to end: check it`;
  return { ...result, errorClass: 'unknown_outcome', message };
}

/** What the failure of the last of `attempts` means, and what follows it. */
export function judgeAndFollow(
  run: Pick<RunState, 'cancelRequested' | 'timeoutDue' | 'deadline'>,
  executing: Executing,
  attempts: readonly Tried[],
  result: Failed,
  before: EarlierEffect,
  nowMs: number,
): { readonly judged: Failed; readonly then: AfterFailure } {
  const leftMs = run.deadline === null ? null : run.deadline - nowMs;
  const isOver = run.cancelRequested !== null || run.timeoutDue || (leftMs !== null && leftMs <= 0);
  // Judged before what follows is decided: no fallback follows a refusal after an effect in doubt.
  const refused = judgeFailure(result, before, 'retry');
  const then: AfterFailure = isOver
    ? { kind: 'final' }
    : decideAfterFailure(executing, attempts, refused, leftMs);
  const judged = refused === result ? judgeFailure(result, before, then.kind) : refused;
  return { judged: isOver && judged === result ? judgeLast(result) : judged, then };
}

// --- between two attempts ------------------------------------------------------------------------

/** Milliseconds until the next attempt may be made, however early Temporal tries. */
export function waitMsOf(attempts: readonly Pick<AttemptRow, 'nextAt'>[], nowMs: number): number {
  const nextAt = attempts.at(-1)?.nextAt ?? null;
  return nextAt === null ? 0 : Math.max(Date.parse(nextAt) - nowMs, 0);
}

/** Has the run been cancelled, or its time run out, before the attempt that would come now? */
export function isCalledOff(run: RunState, attempts: readonly AttemptRow[], nowMs: number): boolean {
  // An attempt under way is not cut off. (Where there is none yet, no intent is recorded either.)
  if (attempts.at(-1)?.outcome === null) return false;
  return run.cancelRequested !== null || run.timeoutDue || (run.deadline !== null && run.deadline <= nowMs);
}

/**
 * The outcome of an effect that ends before its next attempt. `earlier`: what attempts of other actions under its key may have
 * done. `why`: why no further attempt is made; null: because the run is to end.
 */
export function outcomeOfAbandoned(
  attempts: readonly AttemptRow[],
  why: string | null,
  earlier: EarlierEffect,
): Exclude<Outcome, { status: 'succeeded' }> {
  const last = attempts.at(-1);
  if (last !== undefined && last.outcome === null) {
    const because = why === null ? '' : `: ${why}`;
    const message = `the attempt was lost and its outcome is unknown${because}`;
    return { status: 'unknown', message, attempt: last.attempt };
  }
  // The outcome is that of the attempt that is not begun: what is on record of the attempt before stays as it is.
  const attempt = (last?.attempt ?? 0) + 1;
  const message =
    why === null
      ? `the run was cancelled or its time ran out before ${last === undefined ? 'it was begun' : 'the next attempt'}`
      : `attempt ${attempt} could not be begun: ${why}`;
  if (earlier !== 'possible' && !attempts.some(({ effectPossible }) => effectPossible)) {
    const failed = { status: 'failed', errorClass: 'permanent', attempt } as const;
    if (earlier === 'none' && !attempts.some(({ effectInDoubt }) => effectInDoubt))
      return { ...failed, message };
    return { ...failed, message: `${message}; ${inDoubtText}`, effectPossible: true };
  }
  return { status: 'unknown', message: `${message}, and an earlier one may have had its effect`, attempt };
}
