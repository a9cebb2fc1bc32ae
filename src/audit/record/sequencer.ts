import { boundLockWaits, withTransaction, type Pool } from '../../db/index.js';

const batch = 5_000;

/**
 * Gives the next global indexes, without gaps, to all durable records that have none; one sequencer at a time does so.
 * Records of a chain keep their order. Returns the size of the log.
 */
export async function sequence(pool: Pool): Promise<number> {
  for (;;) {
    const { moved, size } = await moveBatch(pool);
    if (moved < batch) return size;
  }
}

async function moveBatch(pool: Pool): Promise<{ moved: number; size: number }> {
  const { rows: pending } = await pool.query<{ some: boolean; size: number }>(
    'select exists (select 1 from audit_pending) as some, size from audit_head',
  );
  if (pending[0]?.some !== true) return { moved: 0, size: pending[0]?.size ?? 0 };
  return withTransaction(pool, async (tx) => {
    await boundLockWaits(tx);
    const { rows } = await tx.query<{ size: number }>('select size from audit_head for update');
    const size = rows[0]?.size ?? 0;
    const { rowCount } = await tx.query(
      `with taken as (
         delete from audit_pending where seq in (select seq from audit_pending order by seq limit $2) returning seq)
       insert into audit_log (index, seq) select $1 + row_number() over (order by seq) - 1, seq from taken`,
      [size, batch],
    );
    const moved = rowCount ?? 0;
    if (moved === 0) return { moved, size };
    await tx.query('update audit_head set size = size + $1', [moved]);
    await tx.query(`select pg_notify('countersign_feed', $1)`, [String(size + moved)]);
    return { moved, size: size + moved };
  });
}
