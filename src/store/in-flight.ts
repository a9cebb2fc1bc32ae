import type { AttestedMessage } from '../model/message.js';
import type { Queryable } from '../db/index.js';

export interface InFlightRow {
  readonly run: string;
  readonly kind: string;
  readonly payload: AttestedMessage;
  /** Null until the run has taken it. */
  readonly deliveredAt: string | null;
}

/** A message that went by the outbox, because no worker answered in time. */
export async function findMessage(q: Queryable, id: string): Promise<InFlightRow | null> {
  const { rows } = await q.query<InFlightRow>(
    'select run, kind, payload, delivered_at as "deliveredAt" from outbox where id = $1',
    [id],
  );
  return rows[0] ?? null;
}
