import type { Executor } from '../engine/plan.js';
import type { Executing } from '../engine/state.js';
import type { ErrorClass } from '../model/errors.js';
import type { AttemptRow } from '../store/actions.js';

// Which attempt comes next, read off what is durable: a lost worker is not a failed attempt.

export type NextAttempt =
  | {
      readonly kind: 'attempt';
      readonly attempt: number;
      readonly executor: Executor;
      readonly resumed: boolean;
    }
  /** An attempt was lost after its start was recorded, and doing it again might do it twice. */
  | { readonly kind: 'unknown'; readonly attempt: number };

export function nextAttempt(executing: Executing, attempts: readonly AttemptRow[]): NextAttempt {
  const last = attempts.at(-1);
  if (last !== undefined && last.outcome === null) {
    const executor = executorAt(executing, last.attempt);
    return repeatable(executing, executor)
      ? { kind: 'attempt', attempt: last.attempt, executor, resumed: true }
      : { kind: 'unknown', attempt: last.attempt };
  }
  const attempt = attempts.length + 1;
  return { kind: 'attempt', attempt, executor: executorAt(executing, attempt), resumed: false };
}

/** The main executor's attempts first, then one for each fallback. */
function executorAt(executing: Executing, attempt: number): Executor {
  const { reliability, executor } = executing;
  return reliability.fallback[attempt - reliability.maxAttempts - 1] ?? executor;
}

/** May a lost attempt be done again? With an idempotency key, or where nothing is changed by it. */
function repeatable(executing: Executing, executor: Executor): boolean {
  return !hasEffect(executing, executor) || ('idempotencyKey' in executor && executor.idempotencyKey);
}

/** Fail closed: without a tier, everything but a GET or HEAD and a noop is taken to change something. */
export function hasEffect(executing: Executing, executor: Executor): boolean {
  if (executor.kind === 'noop' || executing.action.tier === 'read_only') return false;
  return !(executor.kind === 'rest' && (executor.method === 'GET' || executor.method === 'HEAD'));
}

export type AfterFailure =
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'fallback' }
  | { readonly kind: 'final' };

/** `auth`, `permanent` and an unknown outcome are never tried again. */
export function afterFailure(
  executing: Executing,
  attempt: number,
  errorClass: ErrorClass,
  retryAfterMs: number | undefined,
): AfterFailure {
  const { reliability } = executing;
  if (errorClass === 'unknown_outcome') return { kind: 'final' };
  const retryable = (reliability.retryOn as readonly string[]).includes(errorClass);
  if (attempt < reliability.maxAttempts && retryable) {
    return { kind: 'retry', delayMs: Math.max(backoffMs(executing, attempt), retryAfterMs ?? 0) };
  }
  const tried = Math.max(attempt - reliability.maxAttempts, 0);
  return tried < reliability.fallback.length ? { kind: 'fallback' } : { kind: 'final' };
}

function backoffMs(executing: Executing, attempt: number): number {
  const { backoff, initialDelayMs, maxDelayMs } = executing.reliability;
  if (backoff === 'none') return 0;
  const delay = backoff === 'fixed' ? initialDelayMs : initialDelayMs * 2 ** (attempt - 1);
  return Math.min(delay, maxDelayMs);
}
