import type { Queryable, Tx } from '../../db/index.js';

/** While an absence lasts, the delegate is also shown what the principal could decide and the delegate may decide too. */
export interface AbsenceRow {
  readonly principal: string;
  readonly from: string;
  readonly until: string;
  readonly delegate: string;
  readonly setAt: string;
}

const columns = `principal, starts_at as "from", ends_at as "until", delegate, set_at as "setAt"`;

/** Stores a person's absence in place of an earlier one. */
export async function putAbsence(tx: Tx, row: AbsenceRow): Promise<void> {
  await tx.query(
    `insert into absence (principal, starts_at, ends_at, delegate, set_at) values ($1, $2, $3, $4, $5)
     on conflict (principal) do update set starts_at = excluded.starts_at, ends_at = excluded.ends_at,
       delegate = excluded.delegate, set_at = excluded.set_at`,
    [row.principal, row.from, row.until, row.delegate, row.setAt],
  );
}

export async function deleteAbsence(tx: Tx, principal: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from absence where principal = $1', [principal]);
  return rowCount === 1;
}

export async function getAbsence(q: Queryable, principal: string): Promise<AbsenceRow | null> {
  const { rows } = await q.query<AbsenceRow>(`select ${columns} from absence where principal = $1`, [
    principal,
  ]);
  return rows[0] ?? null;
}

/** The absences for which this person is the delegate now. */
export async function absencesFor(
  q: Queryable,
  delegate: string,
  now: string,
): Promise<readonly AbsenceRow[]> {
  const { rows } = await q.query<AbsenceRow>(
    `select ${columns} from absence where delegate = $1 and starts_at <= $2 and ends_at > $2 order by principal limit 100`,
    [delegate, now],
  );
  return rows;
}
