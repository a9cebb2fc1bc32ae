import { errorTable, type ErrorCode } from '../../model/contract/errors.js';
import type { FieldError, Json, JsonObject } from '../../model/values/json.js';
import type { Refusal } from '../../service/refusal.js';

export interface Problem {
  readonly kind: 'problem';
  readonly code: ErrorCode;
  /** What refused, where, and what to do next. */
  readonly detail: string;
  /** `links`, `errors`, `permission`, `guard` and the like. */
  readonly extra: JsonObject;
  readonly headers: Readonly<Record<string, string>>;
  /** As that of a `Refusal`. */
  readonly isUnkept?: boolean;
}

export function problem(
  code: ErrorCode,
  detail: string,
  extra: object = {},
  headers: Problem['headers'] = {},
): Problem {
  return { kind: 'problem', code, detail, extra: extra as JsonObject, headers };
}

/** The header of a 401, which says what credential is asked for (RFC 9110, 11.6.1). */
export const asksForCredential: Problem['headers'] = { 'WWW-Authenticate': 'Bearer realm="countersign"' };

/** The refusal of a use case as an answer. */
export function problemOf({ code, detail, extra, retryAfter, isUnkept }: Refusal): Problem {
  const asked = code === 'UNAUTHENTICATED' ? asksForCredential : {};
  const made = problem(code, detail, extra, { ...asked, ...retryHeader(retryAfter) });
  return isUnkept === true ? { ...made, isUnkept } : made;
}

/** The header that says after how many seconds the same request may be sent again. */
export function retryHeader(retryAfter: number | null): Problem['headers'] {
  return retryAfter === null ? {} : { 'Retry-After': String(retryAfter) };
}

export function invalid(detail: string, errors: readonly FieldError[]): Problem {
  return problem('REQUEST_INVALID', detail, { errors });
}

export function notFound(what: string, id: string): Problem {
  return problem('NOT_FOUND', `there is no ${what} \`${id}\`, or it is not for you to see`);
}

export function statusOf(found: Problem): number {
  return errorTable[found.code].status;
}

/** The body by RFC 9457. */
export function problemBody(
  { code, detail, extra }: Problem,
  traceId: string,
): { readonly [key: string]: Json } {
  const { status, title } = errorTable[code];
  return { type: `urn:countersign:problem:${code}`, title, status, detail, code, traceId, ...extra };
}

/** The first name that comes twice; null: none does. */
export function firstTwice(given: readonly (readonly [string, string])[]): string | null {
  const names = new Set<string>();
  for (const [name] of given) {
    if (names.has(name)) return name;
    names.add(name);
  }
  return null;
}
