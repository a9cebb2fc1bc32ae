import type { ErrorClass } from '../../model/errors.js';
import { failure, failureAfterSending, unfitAnswer, type Failure, type Said } from '../answer/outcome.js';
import type { RunContext } from '../types.js';

// What an HTTP status that is no success means, for REST and for MCP over HTTP.

/** 499 and 598 are what proxies say when their wait was given up, the last three what networks of proxies say for 502 and 504. */
const openStatuses: ReadonlySet<number> = new Set([408, 499, 502, 504, 598, 520, 522, 524]);
/** With `Retry-After` and under a key: an earlier call of that key is under way, or this one came too early. */
const waitingStatuses: ReadonlySet<number> = new Set([409, 425]);

type Context = Pick<RunContext, 'hasEffect' | 'idempotencyKey'>;

/** `asksToWait`: it came with a `Retry-After` that can be read. */
export function classOfStatus(status: number, asksToWait: boolean, isKeyed: boolean): ErrorClass {
  if (status === 408 || status === 504) return 'timeout';
  if (status === 429 || (status === 403 && asksToWait)) return 'rate_limited';
  if (isKeyed && asksToWait && waitingStatuses.has(status)) return 'transient';
  if (status === 401 || status === 403) return 'auth';
  return status >= 500 && status <= 599 ? 'transient' : 'permanent';
}

/** These two say that nothing was done at this address, and that the same call is to be made at another (RFC 9110, 15.4.8 and 15.4.9). */
const sentOn: ReadonlySet<number> = new Set([307, 308]);

/**
 * Any other 3xx: 303 says that it was done, and with 301 and 302 most services and frameworks say the same of what was
 * posted, though they may also mean that it is done elsewhere. Which, nobody can tell from here.
 */
function mayAnswerWhatIsDone(status: number): boolean {
  return status >= 300 && status <= 399 && !sentOn.has(status);
}

/** What a redirect's message ends with; empty for any other status. */
export function redirectHint(status: number): string {
  return status >= 300 && status <= 399 ? ', and redirects are not followed' : '';
}

/**
 * The failure of a call that was sent and got this status. A gateway that lost its target, or gave up waiting for it, says
 * nothing about what the target did. A redirect is how services answer what they have done. Any other 5xx is a failure of
 * the target's own, which may have come after the effect: its class stays, and the doubt is kept.
 */
export function failureOfStatus(context: Context, status: number, message: string, said: Said): Failure {
  if (mayAnswerWhatIsDone(status))
    return unfitAnswer(context, `${message}; ${status} is how services answer what they have done`, said);
  const errorClass = classOfStatus(status, said.retryAfterMs !== undefined, context.idempotencyKey !== null);
  if (openStatuses.has(status)) return failureAfterSending(context, errorClass, message, said);
  const inDoubt = context.hasEffect && status >= 500;
  return failure(errorClass, message, { ...said, ...(inDoubt ? { effectInDoubt: true } : {}) });
}
