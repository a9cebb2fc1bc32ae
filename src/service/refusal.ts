import type { ErrorCode } from '../model/errors.js';
import type { FieldError, JsonObject } from '../model/json.js';

/** Why a use case does nothing of what it was asked for. */
export interface Refusal {
  readonly kind: 'refusal';
  readonly code: ErrorCode;
  /** What refused, where, and what to do next. */
  readonly detail: string;
  /** `links`, `errors`, `permission`, `guard` and the like. */
  readonly extra: JsonObject;
  /** Seconds after which the same may be asked again; null: asking again does not help. */
  readonly retryAfter: number | null;
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

/** What became of a request that was cut off in the middle. `hasKey`: under its idempotency key it is done once, however often it is sent. */
export function uncertain(why: string, hasKey: boolean): string {
  const unsure = `${why}, and it is not certain whether this was done`;
  return hasKey
    ? `${unsure}: repeat the request under the same Idempotency-Key, which does it once`
    : `${unsure}: look before you send it again`;
}

/** The store or the engine did not answer: asking again may help, and the detail says whether anything was kept. */
export function isUnavailable({ code }: Refusal): boolean {
  return code === 'AUDIT_UNAVAILABLE' || code === 'ENGINE_UNAVAILABLE';
}
