import type { Json } from '../../model/json.js';
import type { ErrorClass } from '../../model/errors.js';
import type { ExecutorAborted, ExecutorResult, RunContext } from '../types.js';

export type Failure = Extract<ExecutorResult, { status: 'failed' }>;

/** Longest output of one call that is read: a REST body, a tool's result, each of a command's streams. */
export const maxOutputBytes = 1_048_576;

/** Node's timers fire at once beyond this. */
const maxTimerMs = 2_147_483_647;

/** What the answer of a failed call said. */
export interface Said {
  readonly retryAfterMs?: number;
  readonly response?: Json;
}

export function failure(
  errorClass: ErrorClass,
  message: string,
  more: Said & Pick<Failure, 'effectPossible' | 'effectInDoubt'> = {},
): Failure {
  return { status: 'failed', errorClass, message, ...more };
}

/** Sent, with an effect, and no key under which to ask again: nobody can know by themselves what happened. */
function losesOutcome(context: Pick<RunContext, 'hasEffect' | 'idempotencyKey'>): boolean {
  return context.hasEffect && context.idempotencyKey === null;
}

/** A failure after sending: `usual`, unless its effect may have happened unseen. */
export function failureAfterSending(
  context: Pick<RunContext, 'hasEffect' | 'idempotencyKey'>,
  usual: ErrorClass,
  message: string,
  said: Said = {},
): Failure {
  if (!losesOutcome(context)) return failure(usual, message, { ...said, effectPossible: context.hasEffect });
  return unknownOutcome(`${message}; whether its effect happened is not known`, said);
}

/**
 * The target has done what it was asked, or was at it, and its answer cannot be read: too large, cut, packed wrongly, in no
 * language of its kind. Nothing is tried again by itself, key or not, and no fallback does it elsewhere.
 */
export function unusableAnswer(context: Pick<RunContext, 'hasEffect'>, message: string): Failure {
  if (!context.hasEffect) return failure('permanent', message);
  return unknownOutcome(`${message}; its effect may have happened`);
}

/**
 * The target has answered in good order, and what it answered is none of what it may answer. With a key, asking again is
 * safe for whoever wants to; without one it would be done again, so the outcome counts as unknown and a person looks.
 */
export function unfitAnswer(
  context: Pick<RunContext, 'hasEffect' | 'idempotencyKey'>,
  message: string,
  said: Said = {},
): Failure {
  if (!context.hasEffect) return failure('permanent', message, said);
  const told = `${message}; its effect may have happened`;
  if (losesOutcome(context)) return unknownOutcome(told, said);
  return failure('permanent', told, { ...said, effectPossible: true });
}

function unknownOutcome(message: string, said: Said = {}): Failure {
  const check = `${message}, check it before a retry`;
  return failure('unknown_outcome', check, { ...said, effectPossible: true });
}

export function abortedError(unknownOutcome: boolean): ExecutorAborted {
  const error = new Error('the call was aborted');
  return Object.assign(error, { name: 'AbortError' as const, unknownOutcome });
}

export function isExecutorAborted(error: unknown): error is ExecutorAborted {
  return error instanceof Error && error.name === 'AbortError' && 'unknownOutcome' in error;
}

export interface Deadline {
  /** Aborts at the attempt's timeout and when the caller aborts, whichever is first. */
  readonly signal: AbortSignal;
  stopped(): 'timeout' | 'abort' | null;
  dispose(): void;
}

export function startDeadline(context: Pick<RunContext, 'timeoutMs' | 'signal'>): Deadline {
  const controller = new AbortController();
  let why: 'timeout' | 'abort' | null = null;
  const stop = (reason: 'timeout' | 'abort') => (): void => {
    why ??= reason;
    controller.abort();
  };
  const onAbort = stop('abort');
  const timer = setTimeout(stop('timeout'), Math.min(context.timeoutMs, maxTimerMs));
  context.signal.addEventListener('abort', onAbort, { once: true });
  if (context.signal.aborted) onAbort();
  return {
    signal: controller.signal,
    stopped: () => why,
    dispose() {
      clearTimeout(timer);
      context.signal.removeEventListener('abort', onAbort);
    },
  };
}

/** The result of a call that its deadline stopped; rejects when it was the caller who did. */
export function stoppedResult(
  context: RunContext,
  why: 'timeout' | 'abort',
  sent: boolean,
  what: string,
): Failure {
  if (why === 'abort') throw abortedError(sent && losesOutcome(context));
  const message = `${what} did not answer within ${context.timeoutMs} ms`;
  return sent
    ? failureAfterSending(context, 'timeout', message)
    : failure('timeout', `${message}; nothing was sent`);
}
