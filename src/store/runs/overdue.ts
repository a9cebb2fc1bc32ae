import type { Tx } from '../../db/index.js';
import type { RunRow } from './runs.js';

// Finds runs in which something was due a while ago and has not happened, because their workflow may be lost.

export type OverdueRun = Pick<RunRow, 'id' | 'namespace' | 'flow' | 'mode' | 'leftTo'>;

/**
 * Takes open runs in which something has been due for `graceMs`, each for only one of all processes. A run that is still overdue
 * after `againMs` is given again. A run that is taking a step is not overdue.
 */
export async function takeOverdueRuns(
  tx: Tx,
  { graceMs, againMs, limit }: { readonly graceMs: number; readonly againMs: number; readonly limit: number },
): Promise<OverdueRun[]> {
  const { rows } = await tx.query<OverdueRun>(
    `with now as (select extract(epoch from clock_timestamp())::double precision * 1000 as ms)
     update run set check_at = (select ms from now) + $2
      where id in (select id from run where check_at <= (select ms from now) - $1 and status in ('running', 'waiting', 'stuck')
                    order by check_at limit $3 for update skip locked)
      returning id, namespace, flow, mode, left_to as "leftTo"`,
    [graceMs, againMs, limit],
  );
  return rows;
}
