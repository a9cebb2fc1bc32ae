import type { Queryable } from '../../db/index.js';

export interface StoreWaits {
  readonly count: number;
  readonly seconds: number;
}

/** Adds times in which the store did not answer, together for all processes of a kind. */
export async function addStoreWaits(
  q: Queryable,
  process: string,
  { count, seconds }: StoreWaits,
): Promise<void> {
  await q.query(
    `insert into store_wait (process, count, seconds) values ($1, $2, $3)
      on conflict (process) do update
        set count = store_wait.count + excluded.count, seconds = store_wait.seconds + excluded.seconds`,
    [process, count, seconds],
  );
}

export async function countStoreWaits(q: Queryable): Promise<(StoreWaits & { readonly process: string })[]> {
  const { rows } = await q.query<StoreWaits & { process: string }>(
    'select process, count, seconds from store_wait',
  );
  return rows;
}
