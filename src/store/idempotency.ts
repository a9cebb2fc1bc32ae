import type { Queryable, Tx } from '../db/index.js';
import type { JsonObject } from '../model/values/json.js';

export interface ClaimKey {
  readonly principal: string;
  readonly method: string;
  readonly path: string;
  readonly key: string;
}

/** A key and the attempt that holds it. Only the holder can renew the hold, store an answer or release the key. */
export interface HeldKey extends ClaimKey {
  readonly holder: string;
}

interface Ask {
  readonly bodyHash: string;
  readonly idBase: string;
  readonly holdMs: number;
  /** False: no new key is added; only a known key is answered. */
  readonly mayAdd?: boolean;
}

/** The answer that was given; `response` is encrypted. */
export interface KeptAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly response: string;
}

export type Claim =
  /** `idBase` is that of the first attempt, also if that attempt died and this one took over. */
  | { readonly kind: 'claimed'; readonly idBase: string }
  | ({ readonly kind: 'replay' } & KeptAnswer)
  | { readonly kind: 'reused' }
  | { readonly kind: 'in_progress' }
  /** The key is new, and no new key may be added. */
  | { readonly kind: 'full' };

interface Row {
  readonly bodyHash: string;
  readonly idBase: string;
  readonly status: number | null;
  readonly headers: Record<string, string> | null;
  readonly response: string | null;
}

const where = 'principal = $1 and method = $2 and path = $3 and key = $4';
const values = (key: ClaimKey): string[] => [key.principal, key.method, key.path, key.key];
const own = `${where} and holder = $5 and status is null`;
const ownValues = (key: HeldKey): string[] => [...values(key), key.holder];

/** Claims a key for one holder at a time. A holder that has not renewed its hold for `holdMs` counts as dead, and the next one takes over. */
export async function claimKey(q: Queryable, key: HeldKey, ask: Ask): Promise<Claim> {
  const { mayAdd = true } = ask;
  const add = async (): Promise<boolean> => mayAdd && (await insertRow(q, key, ask));
  if ((await add()) || ((await forgetOld(q, key)) && (await add())))
    return { kind: 'claimed', idBase: ask.idBase };
  const row = await findRow(q, key);
  if (row === undefined) return { kind: mayAdd ? 'in_progress' : 'full' };
  if (row.bodyHash !== ask.bodyHash) return { kind: 'reused' };
  const kept = answerOf(row);
  if (kept !== null) return { kind: 'replay', ...kept };
  const taken = await q.query(
    `update idempotency set held_until = now() + $5 * interval '1 millisecond', holder = $6
      where ${where} and status is null and held_until < now()`,
    [...values(key), ask.holdMs, key.holder],
  );
  return taken.rowCount === 1 ? { kind: 'claimed', idBase: row.idBase } : { kind: 'in_progress' };
}

/** Deletes a key that is too old to count. False: there is none, or it still counts. */
async function forgetOld(q: Queryable, key: ClaimKey): Promise<boolean> {
  const { rowCount } = await q.query(
    `delete from idempotency where ${where} and created_at < now() - interval '24 hours'`,
    values(key),
  );
  return rowCount === 1;
}

async function findRow(q: Queryable, key: ClaimKey): Promise<Row | undefined> {
  const { rows } = await q.query<Row>(
    `select body_hash as "bodyHash", effect_id as "idBase", status, headers, response from idempotency where ${where}`,
    values(key),
  );
  return rows[0];
}

function answerOf({ status, headers, response }: Row): KeptAnswer | null {
  return status === null ? null : { status, headers: headers ?? {}, response: response ?? '' };
}

/** The stored answer, whichever attempt gave it; null: there is none yet. */
export async function findKeptAnswer(q: Queryable, key: ClaimKey): Promise<KeptAnswer | null> {
  const row = await findRow(q, key);
  return row === undefined ? null : answerOf(row);
}

async function insertRow(q: Queryable, key: HeldKey, ask: Ask): Promise<boolean> {
  const { rowCount } = await q.query(
    `insert into idempotency (principal, method, path, key, body_hash, effect_id, held_until, holder)
     values ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 millisecond', $8) on conflict do nothing`,
    [...values(key), ask.bodyHash, ask.idBase, ask.holdMs, key.holder],
  );
  return rowCount === 1;
}

/** Renews the hold while the request is still handled. False: another attempt has the key by now, or it is answered. */
export async function renewKey(q: Queryable, key: HeldKey, holdMs: number): Promise<boolean> {
  const { rowCount } = await q.query(
    `update idempotency set held_until = now() + $6 * interval '1 millisecond' where ${own}`,
    [...ownValues(key), holdMs],
  );
  return rowCount === 1;
}

/** Stores the answer. False: another attempt has taken the key over, and its answer counts. */
export async function keepAnswer(q: Queryable, key: HeldKey, answer: KeptAnswer): Promise<boolean> {
  const { rowCount } = await q.query(
    `update idempotency set status = $6, headers = $7, response = $8 where ${own}`,
    [...ownValues(key), answer.status, JSON.stringify(answer.headers), answer.response],
  );
  return rowCount === 1;
}

export type FoundResult =
  /** What an attempt of this request has done, as far as it was stored; null: nothing. */
  | { readonly kind: 'ours'; readonly result: JsonObject | null }
  /** Another attempt has the key by now, or the key is answered or released. */
  | { readonly kind: 'lost' };

/** Reads the stored result. Until the transaction ends, nobody else can take the key or store a result under it. */
export async function lockResult(q: Queryable, key: HeldKey): Promise<FoundResult> {
  const { rows } = await q.query<{ result: JsonObject | null }>(
    `select effect as result from idempotency where ${own} for update`,
    ownValues(key),
  );
  const row = rows[0];
  return row === undefined ? { kind: 'lost' } : { kind: 'ours', result: row.result };
}

/** Whether this attempt holds the key. Until the transaction ends nobody takes it; several transactions may ask at once. */
export async function isKeyHeld(tx: Tx, key: HeldKey): Promise<boolean> {
  const { rows } = await tx.query(`select 1 from idempotency where ${own} for share`, ownValues(key));
  return rows.length === 1;
}

/** Stores what the attempt has done. False: another attempt holds the key by now. */
export async function keepResult(q: Queryable, key: HeldKey, result: JsonObject): Promise<boolean> {
  const { rowCount } = await q.query(`update idempotency set effect = $6 where ${own}`, [
    ...ownValues(key),
    JSON.stringify(result),
  ]);
  return rowCount === 1;
}

/** Releases the key without an answer, so that the next attempt can go on at once, with the same `idBase` and result. False: another attempt has the key. */
export async function releaseKey(q: Queryable, key: HeldKey): Promise<boolean> {
  const { rowCount } = await q.query(
    `update idempotency set held_until = now() - interval '1 second' where ${own}`,
    ownValues(key),
  );
  return rowCount === 1;
}

/** Forgets the key, as if nobody had sent it. False: another attempt has the key. */
export async function forgetKey(q: Queryable, key: HeldKey): Promise<boolean> {
  const { rowCount } = await q.query(`delete from idempotency where ${own}`, ownValues(key));
  return rowCount === 1;
}

export interface KeyUse {
  readonly keys: number;
  /** Size of the stored answers. */
  readonly bytes: number;
  /** When the oldest key expires; null: there is none. */
  readonly until: string | null;
}

/** What a principal's keys of the last 24 hours take. Counts `limit` keys at most. */
export async function countKeyUse(q: Queryable, principal: string, limit: number): Promise<KeyUse> {
  const { rows } = await q.query<{ keys: number; bytes: number; until: string | null }>(
    `select count(*)::int as keys, coalesce(sum(octet_length(response)), 0)::bigint as bytes,
            min(created_at) + interval '24 hours' as until
       from (select response, created_at from idempotency
              where principal = $1 and created_at > now() - interval '24 hours' limit $2) used`,
    [principal, limit],
  );
  const [row] = rows;
  return { keys: row?.keys ?? 0, bytes: Number(row?.bytes ?? 0), until: row?.until ?? null };
}

const purged = 1_000;

/** Deletes old keys a few at a time, so that nobody waits for it. Gives how many. */
export async function purgeOldKeys(q: Queryable): Promise<number> {
  for (let total = 0; ;) {
    const { rowCount } = await q.query(
      `delete from idempotency where ctid = any(array(
         select ctid from idempotency where created_at < now() - interval '24 hours' limit ${purged}))`,
    );
    total += rowCount ?? 0;
    if ((rowCount ?? 0) < purged) return total;
  }
}
