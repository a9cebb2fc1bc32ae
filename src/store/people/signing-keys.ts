import { boundLockWaits, write, type Queryable, type Tx } from '../../db/index.js';
import { withoutNul } from '../text.js';

// The service's own signing keys. Rows are never deleted, so that all that was signed stays verifiable.

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
  /** Null: not retired. May be in the future. */
  readonly retiredAt: string | null;
  /** By the store's clock. A message that arrives after this is refused if the key signed it. */
  readonly isRetired: boolean;
}

const columns = `key_id as "keyId", public_key as "publicKey", sealed, created_at as "createdAt", retired_at as "retiredAt",
  coalesce(retired_at <= clock_timestamp(), false) as "isRetired"`;

/** Stores a key. A known key stays as it is, also a retired one. */
export async function putSigningKey(q: Queryable, key: NewSigningKey): Promise<void> {
  await q.query(
    'insert into signing_key (key_id, public_key, sealed, created_at) values ($1, $2, $3, clock_timestamp()) on conflict do nothing',
    [key.keyId, key.publicKey, key.sealed],
  );
}

export async function getSigningKey(q: Queryable, keyId: string): Promise<SigningKeyRow | null> {
  const { rows } = await q.query<SigningKeyRow>(`select ${columns} from signing_key where key_id = $1`, [
    withoutNul(keyId),
  ]);
  return rows[0] ?? null;
}

/** All keys, the newest first. */
export async function listSigningKeys(q: Queryable): Promise<SigningKeyRow[]> {
  const { rows } = await q.query<SigningKeyRow>(
    `select ${columns} from signing_key order by created_at desc, key_id`,
  );
  return rows;
}

/** The advisory lock of all who sign messages or change the keys of a store. Any number, but always the same. */
const signingLock = 7_202_611_292;

/**
 * The keys that may sign, the newest first. Until the transaction ends nobody retires a key, so that a message signed in it is stored
 * before its key is retired. The lock is a separate statement, because the read must begin after it.
 */
export async function unretiredSigningKeys(q: Queryable): Promise<SigningKeyRow[]> {
  await write(q, 'select pg_advisory_xact_lock_shared($1)', [signingLock]);
  return readUnretired(q);
}

async function readUnretired(q: Queryable): Promise<SigningKeyRow[]> {
  const { rows } = await q.query<SigningKeyRow>(
    `select ${columns} from signing_key where retired_at is null order by created_at desc, key_id`,
  );
  return rows;
}

/**
 * Until the transaction ends, nobody else changes the keys and nobody signs. Gives the keys that are not retired, the newest first. The wait
 * for the lock is bounded, because all who want to sign wait behind it.
 */
export async function lockSigningKeys(tx: Tx): Promise<readonly SigningKeyRow[]> {
  await boundLockWaits(tx);
  await write(tx, 'select pg_advisory_xact_lock($1)', [signingLock]);
  return readUnretired(tx);
}

/** Retires keys after so many seconds. A key that was to be retired sooner still is. */
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
