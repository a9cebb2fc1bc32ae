import type { Json } from '../../model/values/json.js';
import type { ErrorClass } from '../../model/contract/errors.js';
import type { ExecutorAborted, ExecutorResult, RunContext } from '../types.js';
import type { Place } from './places.js';

export type Failure = Extract<ExecutorResult, { status: 'failed' }>;

/** The most bytes that are read of a call's output: a REST body, a tool's result, each of a command's streams. */
export const maxOutputBytes = 1_048_576;

/** The longest time of a Node timer: a longer one would fire at once. */
export const maxTimerMs = 2_147_483_647;

/** What is kept of the answer to a failed call. */
export interface Said {
  readonly retryAfterMs?: number;
  readonly response?: Json;
}

/** A call that was answered, with the evidence of it. `response`: where it is another value than the output. */
export function success(
  evidence: string,
  output: Json,
  { response = output, exact = [] }: { readonly response?: Json; readonly exact?: readonly Place[] } = {},
): ExecutorResult {
  const places = exact.length === 0 ? {} : { exact };
  return { status: 'succeeded', output, response, evidence: [evidence], ...places };
}

export function failure(
  errorClass: ErrorClass,
  message: string,
  more: Said & Pick<Failure, 'effectPossible' | 'effectInDoubt'> = {},
): Failure {
  return { status: 'failed', errorClass, message, ...more };
}

/** Is the outcome unknown when a call is lost? Where it has an effect, and no key under which it can be made again. */
function losesOutcome(context: Pick<RunContext, 'hasEffect' | 'idempotencyKey'>): boolean {
  return context.hasEffect && context.idempotencyKey === null;
}

/** A failure after the call was sent: of the class `usual`, or an unknown outcome where its effect may have happened unseen. */
export function failureAfterSending(
  context: Pick<RunContext, 'hasEffect' | 'idempotencyKey'>,
  usual: ErrorClass,
  message: string,
  said: Said = {},
): Failure {
  if (!losesOutcome(context)) return failure(usual, message, { ...said, effectPossible: context.hasEffect });
  return makeUnknownOutcome(`${message}; whether its effect happened is not known`, said);
}

/**
 * The target has done what it was asked, or was doing it, and its answer cannot be read: too large, cut off, packed wrongly, not in
 * the protocol. The call is not tried again, with or without a key, and no fallback does it elsewhere.
 */
export function unusableAnswer(context: Pick<RunContext, 'hasEffect'>, message: string): Failure {
  if (!context.hasEffect) return failure('permanent', message);
  return makeUnknownOutcome(`${message}; its effect may have happened`);
}

/**
 * The target's answer can be read, but is none that it may give. With a key a person may have the call made again; without a key
 * that could do it twice, so the outcome counts as unknown and a person has to check it.
 */
export function unfitAnswer(
  context: Pick<RunContext, 'hasEffect' | 'idempotencyKey'>,
  message: string,
  said: Said = {},
): Failure {
  if (!context.hasEffect) return failure('permanent', message, said);
  const doubtful = `${message}; its effect may have happened`;
  if (losesOutcome(context)) return makeUnknownOutcome(doubtful, said);
  return failure('permanent', doubtful, { ...said, effectPossible: true });
}

function makeUnknownOutcome(message: string, said: Said = {}): Failure {
  const check = `${message}, check it before a retry`;
  return failure('unknown_outcome', check, { ...said, effectPossible: true });
}

export function makeAbortedError(unknownOutcome: boolean): ExecutorAborted {
  const error = new Error('the call was aborted');
  return Object.assign(error, { name: 'AbortError' as const, unknownOutcome });
}

export function isExecutorAborted(error: unknown): error is ExecutorAborted {
  return error instanceof Error && error.name === 'AbortError' && 'unknownOutcome' in error;
}

export interface Deadline {
  /** Aborts at the attempt's timeout or when the caller aborts, whichever is first. */
  readonly signal: AbortSignal;
  whyStopped(): 'timeout' | 'abort' | null;
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
    whyStopped: () => why,
    dispose() {
      clearTimeout(timer);
      context.signal.removeEventListener('abort', onAbort);
    },
  };
}

/** The failure of a call that was stopped by its timeout; throws `ExecutorAborted` where the caller has stopped it. */
export function stoppedResult(
  context: RunContext,
  why: 'timeout' | 'abort',
  sent: boolean,
  what: string,
): Failure {
  if (why === 'abort') throw makeAbortedError(sent && losesOutcome(context));
  const message = `${what} did not answer within ${context.timeoutMs} ms`;
  return sent
    ? failureAfterSending(context, 'timeout', message)
    : failure('timeout', `${message}; nothing was sent`);
}
