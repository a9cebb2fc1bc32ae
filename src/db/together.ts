type Answers<T extends readonly unknown[]> = { -readonly [K in keyof T]: Awaited<T[K]> };

/**
 * What was asked of the store at once: one round trip for statements that do not wait for each other. Rejects only when all of
 * it has ended: with `Promise.all`, what the others ask next would come into the transaction after this one.
 */
export async function together<const T extends readonly unknown[]>(asked: T): Promise<Answers<T>> {
  const settled = await Promise.allSettled(asked);
  return settled.map(valueOf) as Answers<T>;
}

/** Throws what it was rejected with. */
export function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}
