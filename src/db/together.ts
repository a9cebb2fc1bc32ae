import { isUnavailable } from './unavailable.js';

type Answers<T extends readonly unknown[]> = { -readonly [K in keyof T]: Awaited<T[K]> };
type Either<T extends readonly unknown[]> = {
  -readonly [K in keyof T]: PromiseSettledResult<Awaited<T[K]>>;
};

/**
 * Awaits queries that were made at the same time, which share a round trip. Rejects only when all of them have ended: with
 * `Promise.all`, code that follows one of the others could still send statements into a transaction that was given up.
 */
export async function together<const T extends readonly unknown[]>(asked: T): Promise<Answers<T>> {
  const settled = await Promise.allSettled(asked);
  throwCause(rejectionsIn(settled));
  return settled.map(valueOf) as Answers<T>;
}

/**
 * As `together`, where not every answer may be needed: `valueOf` takes an answer, or throws the error that this program raised.
 * Rejects if the store failed, since nothing more can be asked in that transaction.
 */
export async function settleTogether<const T extends readonly unknown[]>(asked: T): Promise<Either<T>> {
  const settled = await Promise.allSettled(asked);
  throwCause(rejectionsIn(settled).filter(isOfStore));
  return settled;
}

/** The value; throws the reason where it was rejected. */
export function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

function rejectionsIn(settled: readonly PromiseSettledResult<unknown>[]): unknown[] {
  return settled.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
}

/** Throws the first reason that explains the failure. Statements after a failed one only report that the transaction has failed. */
function throwCause(reasons: readonly unknown[]): void {
  const [first] = reasons;
  const cause = reasons.find((reason) => codeOf(reason) !== failedBefore) ?? first;
  if (reasons.length > 0) throw cause;
}

/** Postgres's code for a statement in a transaction that has already failed. */
const failedBefore = '25P02';

function isOfStore(error: unknown): boolean {
  return codeOf(error) !== null || isUnavailable(error);
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
