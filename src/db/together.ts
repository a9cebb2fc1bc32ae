import { isUnavailable } from './unavailable.js';

type Answers<T extends readonly unknown[]> = { -readonly [K in keyof T]: Awaited<T[K]> };
type Either<T extends readonly unknown[]> = {
  -readonly [K in keyof T]: PromiseSettledResult<Awaited<T[K]>>;
};

/**
 * What was asked of the store at once: one round trip for statements that do not wait for each other. Rejects only when all of
 * it has ended: with `Promise.all`, what the others ask next would come into the transaction after this one.
 */
export async function together<const T extends readonly unknown[]>(asked: T): Promise<Answers<T>> {
  const settled = await Promise.allSettled(asked);
  throwCause(reasonsIn(settled));
  return settled.map(valueOf) as Answers<T>;
}

/**
 * The same for answers of which not each may be needed: who needs one takes it with `valueOf`, which throws an error of our own.
 * Rejects where the store failed, since nothing more can be asked in that transaction.
 */
export async function settleTogether<const T extends readonly unknown[]>(asked: T): Promise<Either<T>> {
  const settled = await Promise.allSettled(asked);
  throwCause(reasonsIn(settled).filter(isOfStore));
  return settled;
}

/** Throws what it was rejected with. */
export function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}

function reasonsIn(settled: readonly PromiseSettledResult<unknown>[]): unknown[] {
  return settled.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
}

/** Throws the first of them that says why: a statement in a transaction that has failed already is told only that. */
function throwCause(reasons: readonly unknown[]): void {
  const [first] = reasons;
  const cause = reasons.find((reason) => codeOf(reason) !== failedBefore) ?? first;
  if (reasons.length > 0) throw cause;
}

/** Postgres's code for a statement in a transaction in which another has failed. */
const failedBefore = '25P02';

function isOfStore(error: unknown): boolean {
  return codeOf(error) !== null || isUnavailable(error);
}

function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}
