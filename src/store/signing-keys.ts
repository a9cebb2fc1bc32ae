import { boundLockWaits, write, type Queryable, type Tx } from '../db/index.js';
import { findable } from './text.js';

// The service's own signing keys. Rows are never deleted: what was signed with a key stays verifiable.

export interface NewSigningKey {
  /** `sha256:<hex>` of the public half. */
  readonly keyId: string;
  /** base64 of the SPKI DER. */
  readonly publicKey: string;
  /** The private half under the KEK; null where the environment or a file has it. */
  readonly sealed: Buffer | null;
}

export interface SigningKeyRow extends NewSigningKey {
  readonly createdAt: string;
  /** Null: not retired. It may lie ahead. */
  readonly retiredAt: string | null;
  /** By the store's clock: nothing that comes now is taken with it. */
  readonly isRetired: boolean;
}

const columns = `key_id as "keyId", public_key as "publicKey", sealed, created_at as "createdAt", retired_at as "retiredAt",
  coalesce(retired_at <= clock_timestamp(), false) as "isRetired"`;

/** A key that is known stays as it is, retired ones too. */
export async function putSigningKey(q: Queryable, key: NewSigningKey): Promise<void> {
  await q.query(
    'insert into signing_key (key_id, public_key, sealed, created_at) values ($1, $2, $3, clock_timestamp()) on conflict do nothing',
    [key.keyId, key.publicKey, key.sealed],
  );
}

export async function getSigningKey(q: Queryable, keyId: string): Promise<SigningKeyRow | null> {
  const { rows } = await q.query<SigningKeyRow>(`select ${columns} from signing_key where key_id = $1`, [
    findable(keyId),
  ]);
  return rows[0] ?? null;
}

/** The newest first. */
export async function listSigningKeys(q: Queryable): Promise<SigningKeyRow[]> {
  const { rows } = await q.query<SigningKeyRow>(
    `select ${columns} from signing_key order by created_at desc, key_id`,
  );
  return rows;
}

/** Any number, the same for all who sign messages and all who change the keys of one store. */
const signingLock = 7_202_611_292;

/**
 * Those that may sign, the newest first. In a transaction they stay so until it ends: whoever retires one waits for those who
 * sign, so that what they keep was kept before. The lock is a statement of its own, since what reads must begin behind it.
 */
export async function unretiredSigningKeys(q: Queryable): Promise<SigningKeyRow[]> {
  await write(q, 'select pg_advisory_xact_lock_shared($1)', [signingLock]);
  const { rows } = await q.query<SigningKeyRow>(
    `select ${columns} from signing_key where retired_at is null order by created_at desc, key_id`,
  );
  return rows;
}

/**
 * One change of the keys at a time, and nobody signs, to the end of the transaction. Gives those that are not retired. Everybody
 * who would sign waits behind this, so it waits for a bounded time.
 */
export async function lockSigningKeys(tx: Tx): Promise<readonly string[]> {
  await boundLockWaits(tx);
  await write(tx, 'select pg_advisory_xact_lock($1)', [signingLock]);
  const { rows } = await tx.query<{ keyId: string }>(
    'select key_id as "keyId" from signing_key where retired_at is null order by key_id',
  );
  return rows.map((row) => row.keyId);
}

/** Taken no longer after so many seconds; what was to end sooner does. */
export async function retireSigningKeys(
  q: Queryable,
  keyIds: readonly string[],
  seconds: number,
): Promise<void> {
  await q.query(
    `update signing_key set retired_at = least(retired_at, clock_timestamp() + make_interval(secs => $2)) where key_id = any($1)`,
    [keyIds, seconds],
  );
}
