import type { ErrorClass } from '../../model/contract/errors.js';
import { failure, failureAfterSending, unfitAnswer, type Failure, type Said } from '../answer/outcome.js';
import type { RunContext } from '../types.js';

// What an HTTP status means that is no success, for REST and for MCP over HTTP.

/** Statuses that leave open what the target did. Proxies answer 499 and 598 when they gave up waiting; large networks of proxies answer 520, 522 and 524 instead of 502 and 504. */
const openStatuses: ReadonlySet<number> = new Set([408, 499, 502, 504, 598, 520, 522, 524]);
/** With `Retry-After` and an idempotency key: an earlier call under that key is still under way, or this call came too early. */
const waitingStatuses: ReadonlySet<number> = new Set([409, 425]);

type Context = Pick<RunContext, 'hasEffect' | 'idempotencyKey'>;

/** `asksToWait`: the answer had a `Retry-After` that can be read. */
export function classOfStatus(status: number, asksToWait: boolean, isKeyed: boolean): ErrorClass {
  if (status === 408 || status === 504) return 'timeout';
  if (status === 429 || (status === 403 && asksToWait)) return 'rate_limited';
  if (isKeyed && asksToWait && waitingStatuses.has(status)) return 'transient';
  if (status === 401 || status === 403) return 'auth';
  return status >= 500 && status <= 599 ? 'transient' : 'permanent';
}

/** Redirects that say that nothing was done here, and that the same call is to be made at another address (RFC 9110, 15.4.8 and 15.4.9). */
const repeatedElsewhere: ReadonlySet<number> = new Set([307, 308]);

/**
 * True for any other 3xx. 303 says that the call was done; with 301 and 302 most services and frameworks say the same of a POST,
 * though they may also mean that it is to be done elsewhere, which cannot be told from here.
 */
function mayAnswerWhatIsDone(status: number): boolean {
  return status >= 300 && status <= 399 && !repeatedElsewhere.has(status);
}

/** The end of the message for a redirect; empty for any other status. */
export function redirectHint(status: number): string {
  return status >= 300 && status <= 399 ? ', and redirects are not followed' : '';
}

/**
 * The failure of a call that was sent and got this status. A gateway that lost its target, or gave up waiting for it, says
 * nothing about what the target did. Services redirect to what they have done. Any other 5xx is the target's own failure, which
 * may have come after the effect: its class stays, and `effectInDoubt` is set.
 */
export function failureOfStatus(context: Context, status: number, message: string, said: Said): Failure {
  if (mayAnswerWhatIsDone(status))
    return unfitAnswer(context, `${message}; ${status} is how services answer what they have done`, said);
  const errorClass = classOfStatus(status, said.retryAfterMs !== undefined, context.idempotencyKey !== null);
  if (openStatuses.has(status)) return failureAfterSending(context, errorClass, message, said);
  const inDoubt = context.hasEffect && status >= 500;
  return failure(errorClass, message, { ...said, ...(inDoubt ? { effectInDoubt: true } : {}) });
}
