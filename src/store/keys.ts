import type { PrincipalKind } from '../model/principal.js';
import type { Queryable } from '../db/index.js';

/** Several keys may name one principal; its kind never changes. */
export async function insertPrincipal(
  q: Queryable,
  { id, kind }: { readonly id: string; readonly kind: PrincipalKind },
): Promise<{ readonly status: 'ok' } | { readonly status: 'kind_conflict'; readonly kind: string }> {
  await q.query('insert into principal (id, kind) values ($1, $2) on conflict do nothing', [id, kind]);
  const { rows } = await q.query<{ kind: string }>('select kind from principal where id = $1', [id]);
  const held = rows[0]?.kind ?? kind;
  return held === kind ? { status: 'ok' } : { status: 'kind_conflict', kind: held };
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

/** Revoked and expired keys too: the caller tells which, for the record. */
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

/** Whose key it was; null: there is none, or it is revoked already. */
export async function revokeKey(q: Queryable, keyId: string): Promise<string | null> {
  const { rows } = await q.query<{ principal: string }>(
    `update api_key set revoked_at = now() where key_id = $1 and revoked_at is null
     returning principal_id as principal`,
    [keyId],
  );
  return rows[0]?.principal ?? null;
}
