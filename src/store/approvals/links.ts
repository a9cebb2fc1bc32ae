import type { PrincipalKind } from '../../model/principal.js';
import { write, type Queryable, type Tx } from '../../db/index.js';
import { withoutNul } from '../text.js';

export interface LinkRow {
  readonly id: string;
  readonly approval: string;
  readonly recipient: string;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  /** Null: it was not used, or by a click that has decided nothing (`isUsed`). */
  readonly usedAt: string | null;
  readonly revokedAt: string | null;
}

/** For so long a click by which nothing is decided yet may still be deciding. */
const longestUseMs = 120_000;

const hasDecided = `exists (select 1 from decision d where d.approval = l.approval and d.by_id = l.recipient and d.status <> 'refused')`;
/** A click that ended before anything was decided, as in a process that was killed, does not use the link up. */
const isUsed = `(l.used_at is not null and (l.used_at > now() - ${longestUseMs} * interval '1 millisecond' or ${hasDecided}))`;

const columns = `l.id, l.approval, l.recipient, l.created_by as "createdBy", l.created_at as "createdAt", l.expires_at as "expiresAt",
  case when ${isUsed} then l.used_at end as "usedAt", l.revoked_at as "revokedAt"`;

export async function insertLink(
  q: Queryable,
  link: Pick<LinkRow, 'id' | 'approval' | 'recipient' | 'createdBy' | 'expiresAt'> & {
    readonly hash: Buffer;
  },
): Promise<void> {
  await q.query(
    'insert into approval_link (id, hash, approval, recipient, created_by, expires_at) values ($1, $2, $3, $4, $5, $6)',
    [link.id, link.hash, link.approval, link.recipient, link.createdBy, link.expiresAt],
  );
}

export async function findLink(q: Queryable, hash: Buffer): Promise<LinkRow | null> {
  const { rows } = await q.query<LinkRow>(`select ${columns} from approval_link l where l.hash = $1`, [hash]);
  return rows[0] ?? null;
}

export async function linksOf(q: Queryable, approval: string, recipient: string): Promise<LinkRow[]> {
  const { rows } = await q.query<LinkRow>(
    `select ${columns} from approval_link l where l.approval = $1 and l.recipient = $2 order by l.created_at, l.id limit 100`,
    [withoutNul(approval), withoutNul(recipient)],
  );
  return rows;
}

/** Lets only one transaction at a time make links of this person to this approval. */
export async function lockLinks(tx: Tx, approval: string, recipient: string): Promise<void> {
  const key = `links:${withoutNul(approval)}:${withoutNul(recipient)}`;
  await write(tx, 'select pg_advisory_xact_lock(hashtextextended($1, 0))', [key]);
}

/** How many of a person's links to an approval can still be used. */
export async function countOpenLinks(q: Queryable, approval: string, recipient: string): Promise<number> {
  const { rows } = await q.query<{ count: number }>(
    `select count(*)::int as count from approval_link l
      where l.approval = $1 and l.recipient = $2 and not ${isUsed} and l.revoked_at is null and l.expires_at > now()`,
    [withoutNul(approval), withoutNul(recipient)],
  );
  return rows[0]?.count ?? 0;
}

/** Uses a link up. True for exactly one of all who try, and only while the link is valid. */
export async function takeLink(q: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await q.query(
    `update approval_link l set used_at = now()
      where l.id = $1 and not ${isUsed} and l.revoked_at is null and l.expires_at > now()`,
    [id],
  );
  return rowCount === 1;
}

/** Makes a link usable again, unless a decision of its recipient is kept. */
export async function giveLinkBack(q: Queryable, id: string): Promise<void> {
  await q.query(`update approval_link l set used_at = null where l.id = $1 and not ${hasDecided}`, [id]);
}

/** Revokes a person's link to an approval. `before`: it was already revoked. Null: there is no such link. */
export async function revokeLink(
  q: Queryable,
  { id, approval, recipient }: Pick<LinkRow, 'id' | 'approval' | 'recipient'>,
): Promise<'revoked' | 'before' | null> {
  const own = 'id = $1 and approval = $2 and recipient = $3';
  const values = [withoutNul(id), withoutNul(approval), withoutNul(recipient)];
  const { rowCount } = await q.query(
    `update approval_link set revoked_at = now() where ${own} and revoked_at is null`,
    values,
  );
  if (rowCount === 1) return 'revoked';
  const { rows } = await q.query(`select 1 from approval_link where ${own}`, values);
  return rows.length === 1 ? 'before' : null;
}

export interface StoredPrincipal {
  readonly id: string;
  readonly kind: PrincipalKind;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
}

/**
 * A principal with the rights of its valid keys; null: it has none, so its rights come from elsewhere. `heldAt`: only of those
 * keys that it had at that time; null: of all.
 */
export async function principalByKeys(
  q: Queryable,
  id: string,
  heldAt: string | null,
): Promise<StoredPrincipal | null> {
  const { rows } = await q.query<StoredPrincipal>(
    `select p.id, p.kind, k.roles, k.permissions from principal p join api_key k on k.principal_id = p.id
      where p.id = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
        and ($2::timestamptz is null or date_trunc('milliseconds', k.created_at) <= $2)
      order by k.created_at`,
    [withoutNul(id), heldAt],
  );
  const [first] = rows;
  if (first === undefined) return null;
  return {
    id: first.id,
    kind: first.kind,
    roles: [...new Set(rows.flatMap((row) => row.roles))],
    permissions: [...new Set(rows.flatMap((row) => row.permissions))],
  };
}
