import type { PrincipalKind } from '../../model/principal.js';
import { foldedName } from '../../model/values/text.js';
import { withTransaction, type Pool, type Queryable, type Tx } from '../../db/index.js';

export interface NewPrincipal {
  readonly id: string;
  readonly kind: PrincipalKind;
}

export type InsertedPrincipal =
  | { readonly status: 'ok' }
  | { readonly status: 'kind_conflict'; readonly kind: string }
  /** The store knows the same name in another spelling, `known`. Two ids would count as two people. */
  | { readonly status: 'spelling_conflict'; readonly known: string };

/** Adds a principal if it is new. A known principal keeps its kind, and no principal is added in a second spelling. */
export async function insertPrincipal(tx: Tx, { id, kind }: NewPrincipal): Promise<InsertedPrincipal> {
  const before = await kindOf(tx, id);
  if (before === null) {
    const known = await spellingOf(tx, id);
    if (known !== null && known !== id) return { status: 'spelling_conflict', known };
    await tx.query('insert into principal (id, kind, folded) values ($1, $2, $3) on conflict do nothing', [
      id,
      kind,
      foldedName(id),
    ]);
  }
  const held = before ?? (await kindOf(tx, id)) ?? kind;
  return held === kind ? { status: 'ok' } : { status: 'kind_conflict', kind: held };
}

/** As `insertPrincipal`, in a transaction of its own. */
export async function ensurePrincipal(pool: Pool, principal: NewPrincipal): Promise<InsertedPrincipal> {
  return await withTransaction(pool, (tx) => insertPrincipal(tx, principal));
}

async function kindOf(tx: Tx, id: string): Promise<string | null> {
  const { rows } = await tx.query<{ kind: string }>('select kind from principal where id = $1', [id]);
  return rows[0]?.kind ?? null;
}

/** The advisory lock of all who add principals to a store. Any number, but always the same. */
const addingLock = 7_202_611_291;

/** The known spelling of this name, which may be the same; null: it is not known. Until the transaction ends, nobody else adds a principal. */
async function spellingOf(tx: Tx, id: string): Promise<string | null> {
  await tx.query('select pg_advisory_xact_lock($1)', [addingLock]);
  await foldKnown(tx);
  const { rows } = await tx.query<{ id: string }>(
    'select id from principal where folded = $1 order by id = $2 desc, created_at, id limit 1',
    [foldedName(id), id],
  );
  return rows[0]?.id ?? null;
}

/** Fills in the folded names of principals that an earlier version has added. */
async function foldKnown(tx: Tx): Promise<void> {
  const { rows } = await tx.query<{ id: string }>('select id from principal where folded is null');
  if (rows.length === 0) return;
  const ids = rows.map(({ id }) => id);
  await tx.query(
    'update principal p set folded = known.folded from unnest($1::text[], $2::text[]) as known (id, folded) where p.id = known.id',
    [ids, ids.map(foldedName)],
  );
}

export interface NewKey {
  readonly keyId: string;
  /** HMAC-SHA-256 of the key under the service's pepper. */
  readonly hash: Buffer;
  readonly principalId: string;
  readonly roles: readonly string[];
  readonly permissions: readonly string[];
  readonly expiresAt: string | null;
  readonly createdBy: string;
}

export interface KeyRow extends NewKey {
  readonly kind: PrincipalKind;
  readonly createdAt: string;
  readonly revokedAt: string | null;
}

const columns = `k.key_id as "keyId", k.hash, k.principal_id as "principalId", p.kind, k.roles, k.permissions, k.expires_at as "expiresAt",
  k.created_at as "createdAt", k.created_by as "createdBy", k.revoked_at as "revokedAt"`;

export async function insertKey(q: Queryable, key: NewKey): Promise<void> {
  await q.query(
    'insert into api_key (key_id, hash, principal_id, roles, permissions, expires_at, created_by) values ($1, $2, $3, $4, $5, $6, $7)',
    [key.keyId, key.hash, key.principalId, key.roles, key.permissions, key.expiresAt, key.createdBy],
  );
}

export async function getKey(q: Queryable, keyId: string): Promise<KeyRow | null> {
  const { rows } = await q.query<KeyRow>(
    `select ${columns} from api_key k join principal p on p.id = k.principal_id where k.key_id = $1`,
    [keyId],
  );
  return rows[0] ?? null;
}

/** Finds revoked and expired keys too, since the caller records why a key is refused. */
export async function findKeyByHash(q: Queryable, hash: Buffer): Promise<KeyRow | null> {
  const { rows } = await q.query<KeyRow>(
    `select ${columns} from api_key k join principal p on p.id = k.principal_id where k.hash = $1`,
    [hash],
  );
  return rows[0] ?? null;
}

export async function listKeys(q: Queryable, limit: number, after: string): Promise<KeyRow[]> {
  const { rows } = await q.query<KeyRow>(
    `select ${columns} from api_key k join principal p on p.id = k.principal_id where k.key_id > $1 order by k.key_id limit $2`,
    [after, limit],
  );
  return rows;
}

/** Revokes a key, and gives whose it was; null: there is no such key, or it was already revoked. */
export async function revokeKey(q: Queryable, keyId: string): Promise<string | null> {
  const { rows } = await q.query<{ principal: string }>(
    `update api_key set revoked_at = now() where key_id = $1 and revoked_at is null
     returning principal_id as principal`,
    [keyId],
  );
  return rows[0]?.principal ?? null;
}
