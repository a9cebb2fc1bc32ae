import type { Queryable } from '../../db/index.js';

/** Counts failures of the service's own code, together for all processes of a kind. */
export async function addInternalErrors(q: Queryable, process: string, count: number): Promise<void> {
  await q.query(
    `insert into internal_error (process, count) values ($1, $2)
      on conflict (process) do update set count = internal_error.count + excluded.count`,
    [process, count],
  );
}

export async function countInternalErrors(q: Queryable): Promise<{ process: string; count: number }[]> {
  const { rows } = await q.query<{ process: string; count: number }>(
    'select process, count from internal_error',
  );
  return rows;
}
