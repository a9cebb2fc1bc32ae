import type { ErrorCode } from '../model/contract/errors.js';
import type { FieldError, JsonObject } from '../model/values/json.js';

/** Why a use case does nothing of what it was asked for. */
export interface Refusal {
  readonly kind: 'refusal';
  readonly code: ErrorCode;
  /** What refused, where, and what to do next. */
  readonly detail: string;
  /** `links`, `errors`, `permission`, `guard` and the like. */
  readonly extra: JsonObject;
  /** Seconds after which the same request may be sent again; null: sending it again does not help. */
  readonly retryAfter: number | null;
  /** Nothing of this attempt is kept, which its code alone does not say. */
  readonly isUnkept?: boolean;
}

export function refusal(
  code: ErrorCode,
  detail: string,
  extra: object = {},
  retryAfter: number | null = null,
): Refusal {
  return { kind: 'refusal', code, detail, extra: extra as JsonObject, retryAfter };
}

export function invalid(detail: string, errors: readonly FieldError[]): Refusal {
  return refusal('REQUEST_INVALID', detail, { errors });
}

export function notFound(what: string, id: string): Refusal {
  return refusal('NOT_FOUND', `there is no ${what} \`${id}\`, or it is not for you to see`);
}

/** What a client may do whose request was cut off: repeat it under its idempotency key, get its rights back first, or look. */
const waysOn = {
  repeat: 'repeat the request under the same Idempotency-Key, which does it once',
  regain: 'ask who may see it; once you may again, the same request under its Idempotency-Key does it once',
  look: 'look before you send it again',
} as const;

/** Said of a credential that was taken when its request came: it has ended, or who has issued it cannot be asked just now. */
export const credentialEnded = 'your credential was taken before, and is not taken now';

/**
 * The detail of a refusal where nobody knows whether the request was done: `why` it was cut off, and what to do next. The command
 * line knows it by its words.
 */
export function uncertainDetail(why: string, wayOn: keyof typeof waysOn): string {
  return `${why}, and it is not certain whether this was done: ${waysOn[wayOn]}`;
}

/** The store or the engine did not answer: asking again may help. Whether anything was kept is said in the detail. */
export function isUnavailable({ code }: Refusal): boolean {
  return code === 'AUDIT_UNAVAILABLE' || code === 'ENGINE_UNAVAILABLE';
}

/**
 * A caller whose credential is not taken any more is told neither what was decided nor that nothing was. The answer is not kept
 * under the key, so that a repeat with a valid credential goes on.
 */
export function sayUncertain(denied: Refusal): Refusal {
  return { ...denied, detail: uncertainDetail(credentialEnded, 'repeat') };
}
