import { errorTable, type ErrorCode } from '../../model/errors.js';
import type { Json, JsonObject } from '../../model/json.js';

export interface Problem {
  readonly kind: 'problem';
  readonly code: ErrorCode;
  /** What refused, where, and what to do next. */
  readonly detail: string;
  /** `links`, `errors`, `permission`, `guard` and the like. */
  readonly extra: JsonObject;
  readonly headers: Readonly<Record<string, string>>;
}

export interface FieldError {
  readonly pointer: string;
  readonly message: string;
}

export function problem(
  code: ErrorCode,
  detail: string,
  extra: object = {},
  headers: Problem['headers'] = {},
): Problem {
  return { kind: 'problem', code, detail, extra: extra as JsonObject, headers };
}

export function invalid(detail: string, errors: readonly FieldError[]): Problem {
  return problem('REQUEST_INVALID', detail, { errors });
}

export function notFound(what: string, id: string): Problem {
  return problem('NOT_FOUND', `there is no ${what} \`${id}\`, or it is not for you to see`);
}

export function badCursor(): Problem {
  return invalid('the cursor is not one of this list', [
    { pointer: '/query/cursor', message: 'take it from `nextCursor`' },
  ]);
}

export function statusOf(found: Problem): number {
  return errorTable[found.code].status;
}

/** RFC 9457. */
export function problemBody(
  { code, detail, extra }: Problem,
  traceId: string,
): { readonly [key: string]: Json } {
  const { status, title } = errorTable[code];
  return { type: `urn:countersign:problem:${code}`, title, status, detail, code, traceId, ...extra };
}

export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** The first name that comes a second time. */
export function firstTwice(given: readonly (readonly [string, string])[]): string | null {
  const names = new Set<string>();
  for (const [name] of given) {
    if (names.has(name)) return name;
    names.add(name);
  }
  return null;
}
