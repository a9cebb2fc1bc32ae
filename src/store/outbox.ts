import { write, type Queryable, type Tx } from '../db/index.js';
import { findable } from './text.js';

export interface OutboxRow {
  readonly id: string;
  readonly run: string;
  readonly kind: string;
  readonly payload: unknown;
}

/** A message that must reach its run. It first comes due after the direct way has had its time. */
export async function put(q: Queryable, row: OutboxRow): Promise<void> {
  await write(
    q,
    `insert into outbox (id, run, kind, payload, next_at) values ($1, $2, $3, $4, now() + interval '5 seconds') on conflict (id) do nothing`,
    [row.id, row.run, row.kind, JSON.stringify(row.payload)],
  );
}

/** Takes what is due, each once over all processes, and puts its next time off: 2 s, doubling to 2 minutes. */
export async function due(tx: Tx, limit: number): Promise<OutboxRow[]> {
  const { rows } = await tx.query<OutboxRow>(
    `update outbox set attempts = attempts + 1, next_at = now() + least(120, 2 ^ least(attempts + 1, 7)) * interval '1 second'
      where id in (select id from outbox where delivered_at is null and next_at <= now() order by next_at limit $1 for update skip locked)
      returning id, run, kind, payload`,
    [limit],
  );
  return rows;
}

export async function markDelivered(q: Queryable, id: string): Promise<void> {
  await write(q, 'update outbox set delivered_at = now() where id = $1 and delivered_at is null', [id]);
}

/** It is kept, and has not reached its run as far as anybody knows. */
export async function isUndelivered(q: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await q.query('select from outbox where id = $1 and delivered_at is null', [id]);
  return rowCount === 1;
}

/** The start message as it was kept with its run; null where there is none of that id. */
export async function getStart(q: Queryable, run: string, id: string): Promise<unknown> {
  const { rows } = await q.query<{ payload: unknown }>(
    `select payload from outbox where id = $1 and run = $2 and kind = 'start'`,
    [findable(id), run],
  );
  return rows[0]?.payload ?? null;
}
