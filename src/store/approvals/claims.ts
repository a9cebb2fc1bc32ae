import type { PayloadRef } from '../../model/records.js';
import type { Queryable, Tx } from '../../db/index.js';

// Who has read an approval, who is looking at it, and to whom it was handed. None of this decides or blocks anything.

export interface ClaimRow {
  readonly approval: string;
  readonly principal: string;
  readonly claimedAt: string;
  readonly until: string;
}

export interface DelegationRow {
  readonly approval: string;
  readonly delegate: string;
  readonly delegatedBy: string;
  readonly noteRef: PayloadRef | null;
  readonly at: string;
}

/** Notes that a person has read an approval. True: for the first time. */
export async function insertSeen(
  tx: Tx,
  seen: { readonly approval: string; readonly principal: string; readonly at: string },
): Promise<boolean> {
  const { rowCount } = await tx.query(
    'insert into approval_seen (approval, principal, at) values ($1, $2, $3) on conflict do nothing',
    [seen.approval, seen.principal, seen.at],
  );
  return rowCount === 1;
}

export async function hasSeen(q: Queryable, approval: string, principal: string): Promise<boolean> {
  const { rowCount } = await q.query('select 1 from approval_seen where approval = $1 and principal = $2', [
    approval,
    principal,
  ]);
  return rowCount === 1;
}

/** Stores a claim; a second claim of the same person sets a new end. */
export async function putClaim(tx: Tx, claim: ClaimRow): Promise<void> {
  await tx.query(
    `insert into approval_claim (approval, principal, claimed_at, until) values ($1, $2, $3, $4)
     on conflict (approval, principal) do update set until = excluded.until,
       claimed_at = case when approval_claim.until > excluded.claimed_at then approval_claim.claimed_at else excluded.claimed_at end`,
    [claim.approval, claim.principal, claim.claimedAt, claim.until],
  );
}

/** True: there was a claim that had not run out. */
export async function deleteClaim(
  tx: Tx,
  {
    approval,
    principal,
    now,
  }: { readonly approval: string; readonly principal: string; readonly now: string },
): Promise<boolean> {
  const { rows } = await tx.query<{ held: boolean }>(
    'delete from approval_claim where approval = $1 and principal = $2 returning until > $3::timestamptz as held',
    [approval, principal, now],
  );
  return rows[0]?.held ?? false;
}

/** The claims that have not run out. */
export async function claimsOf(
  q: Queryable,
  approvals: readonly string[],
  now: string,
): Promise<readonly ClaimRow[]> {
  const { rows } = await q.query<ClaimRow>(
    `select approval, principal, claimed_at as "claimedAt", until from approval_claim
      where approval = any($1) and until > $2 order by claimed_at, principal`,
    [approvals, now],
  );
  return rows;
}

/** False: `delegatedBy` has already handed the approval to `delegate`. */
export async function insertDelegation(tx: Tx, row: Omit<DelegationRow, 'noteRef'>): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into approval_delegation (approval, delegate, delegated_by, at) values ($1, $2, $3, $4) on conflict do nothing`,
    [row.approval, row.delegate, row.delegatedBy, row.at],
  );
  return rowCount === 1;
}

export type DelegationKey = Pick<DelegationRow, 'approval' | 'delegate' | 'delegatedBy'>;

/** The note of a delegation that exists; nobody else changes it before the transaction ends. */
export async function lockDelegationNote(tx: Tx, row: DelegationKey): Promise<PayloadRef | null> {
  const { rows } = await tx.query<Pick<DelegationRow, 'noteRef'>>(
    `select note_ref as "noteRef" from approval_delegation
      where approval = $1 and delegate = $2 and delegated_by = $3 for update`,
    [row.approval, row.delegate, row.delegatedBy],
  );
  return rows[0]?.noteRef ?? null;
}

export async function setDelegationNote(tx: Tx, row: DelegationKey, noteRef: PayloadRef): Promise<void> {
  await tx.query(
    'update approval_delegation set note_ref = $4 where approval = $1 and delegate = $2 and delegated_by = $3',
    [row.approval, row.delegate, row.delegatedBy, JSON.stringify(noteRef)],
  );
}

export async function delegationsOf(
  q: Queryable,
  approvals: readonly string[],
): Promise<readonly DelegationRow[]> {
  const { rows } = await q.query<DelegationRow>(
    `select approval, delegate, delegated_by as "delegatedBy", note_ref as "noteRef", at from approval_delegation
      where approval = any($1) order by at, delegate`,
    [approvals],
  );
  return rows;
}
