import type { PayloadRef } from '../../model/records.js';
import { write, type Queryable } from '../../db/index.js';
import { withoutNul } from '../text.js';

export interface DecisionRow {
  readonly id: string;
  readonly approval: string;
  readonly run: string;
  readonly byId: string;
  readonly byKind: string;
  readonly decision: 'approve' | 'deny';
  readonly reasonRef: PayloadRef | null;
  readonly digest: string;
  readonly at: string;
  readonly status: 'accepted' | 'applied' | 'refused';
  readonly code: string | null;
}

const columns = `id, approval, run, by_id as "byId", by_kind as "byKind", decision, reason_ref as "reasonRef", digest, at, status, code`;

/** Stores a human's decision. A decision with a known id is the same decision and changes nothing. */
export async function insertDecision(q: Queryable, row: DecisionRow): Promise<void> {
  await write(
    q,
    `insert into decision (id, approval, run, by_id, by_kind, decision, reason_ref, digest, at, status, code)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (id) do nothing`,
    [
      row.id,
      row.approval,
      row.run,
      row.byId,
      row.byKind,
      row.decision,
      row.reasonRef === null ? null : JSON.stringify(row.reasonRef),
      row.digest,
      row.at,
      row.status,
      row.code,
    ],
  );
}

export async function getDecision(q: Queryable, id: string): Promise<DecisionRow | null> {
  const { rows } = await q.query<DecisionRow>(`select ${columns} from decision where id = $1`, [
    withoutNul(id),
  ]);
  return rows[0] ?? null;
}

export async function decisionsOf(q: Queryable, approvals: readonly string[]): Promise<DecisionRow[]> {
  const { rows } = await q.query<DecisionRow>(
    `select ${columns} from decision where approval = any($1) order by at, id`,
    [approvals],
  );
  return rows;
}

/** Stores the run's answer to a decision; the first answer stays. False: it was settled before. */
export async function settleDecision(
  q: Queryable,
  id: string,
  settled: { readonly status: 'applied' | 'refused'; readonly code: string | null },
): Promise<boolean> {
  const { rowCount } = await q.query(
    `update decision set status = $2, code = $3 where id = $1 and status = 'accepted'`,
    [id, settled.status, settled.code],
  );
  return rowCount === 1;
}
