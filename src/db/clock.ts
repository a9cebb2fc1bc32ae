import type { Queryable } from './types.js';

/**
 * The store's clock, ISO 8601 UTC, which all workers and API processes share: what is due is compared with it, and a
 * run's record is dated by it. Asked behind the lock on the run, it never goes back within a run.
 */
export async function storeTime(q: Queryable): Promise<string> {
  const { rows } = await q.query<{ now: string }>('select clock_timestamp() as now');
  const [row] = rows;
  if (row === undefined) throw new Error('the store does not say what time it is');
  return row.now;
}
