import type { Queryable, Tx } from '../db/index.js';
import type { JsonObject } from '../model/json.js';

export interface ClaimKey {
  readonly principal: string;
  readonly method: string;
  readonly path: string;
  readonly key: string;
}

/** A key, and the attempt that holds it: nobody else renews the hold, keeps an answer or lets the key go. */
export interface HeldKey extends ClaimKey {
  readonly holder: string;
}

interface Ask {
  readonly bodyHash: string;
  readonly effectId: string;
  readonly holdMs: number;
  /** False: only a key that is there already is answered. */
  readonly mayAdd?: boolean;
}

/** As it was given; `response` is sealed. */
export interface KeptAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly response: string;
}

export type Claim =
  /** `effectId` is the first attempt's, also when its holder died and this one took over. */
  | { readonly kind: 'claimed'; readonly effectId: string }
  | ({ readonly kind: 'replay' } & KeptAnswer)
  | { readonly kind: 'reused' }
  | { readonly kind: 'in_progress' }
  /** The key is new, and no new one was to be added. */
  | { readonly kind: 'full' };

interface Row {
  readonly bodyHash: string;
  readonly effectId: string;
  readonly status: number | null;
  readonly headers: Record<string, string> | null;
  readonly response: string | null;
}

const where = 'principal = $1 and method = $2 and path = $3 and key = $4';
const values = (key: ClaimKey): string[] => [key.principal, key.method, key.path, key.key];
const own = `${where} and holder = $5 and status is null`;
const ownValues = (key: HeldKey): string[] => [...values(key), key.holder];

/** One holder at a time. One that has not renewed its hold for `holdMs` is taken for dead, and followed. */
export async function claimKey(q: Queryable, key: HeldKey, ask: Ask): Promise<Claim> {
  const { mayAdd = true } = ask;
  const add = async (): Promise<boolean> => mayAdd && (await insertRow(q, key, ask));
  if ((await add()) || ((await forgetOld(q, key)) && (await add())))
    return { kind: 'claimed', effectId: ask.effectId };
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
  return taken.rowCount === 1 ? { kind: 'claimed', effectId: row.effectId } : { kind: 'in_progress' };
}

/** False: there is none, or it still counts. */
async function forgetOld(q: Queryable, key: ClaimKey): Promise<boolean> {
  const { rowCount } = await q.query(
    `delete from idempotency where ${where} and created_at < now() - interval '24 hours'`,
    values(key),
  );
  return rowCount === 1;
}

async function findRow(q: Queryable, key: ClaimKey): Promise<Row | undefined> {
  const { rows } = await q.query<Row>(
    `select body_hash as "bodyHash", effect_id as "effectId", status, headers, response from idempotency where ${where}`,
    values(key),
  );
  return rows[0];
}

function answerOf({ status, headers, response }: Row): KeptAnswer | null {
  return status === null ? null : { status, headers: headers ?? {}, response: response ?? '' };
}

/** Whoever has given it; null: the request has no answer yet. */
export async function keptAnswer(q: Queryable, key: ClaimKey): Promise<KeptAnswer | null> {
  const row = await findRow(q, key);
  return row === undefined ? null : answerOf(row);
}

async function insertRow(q: Queryable, key: HeldKey, ask: Ask): Promise<boolean> {
  const { rowCount } = await q.query(
    `insert into idempotency (principal, method, path, key, body_hash, effect_id, held_until, holder)
     values ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 millisecond', $8) on conflict do nothing`,
    [...values(key), ask.bodyHash, ask.effectId, ask.holdMs, key.holder],
  );
  return rowCount === 1;
}

/** The request is being handled still. False: another attempt has the key by now, or it is answered. */
export async function renewKey(q: Queryable, key: HeldKey, holdMs: number): Promise<boolean> {
  const { rowCount } = await q.query(
    `update idempotency set held_until = now() + $6 * interval '1 millisecond' where ${own}`,
    [...ownValues(key), holdMs],
  );
  return rowCount === 1;
}

/** False: another attempt took the key over, and its answer is the one that counts. */
export async function keepAnswer(q: Queryable, key: HeldKey, answer: KeptAnswer): Promise<boolean> {
  const { rowCount } = await q.query(
    `update idempotency set status = $6, headers = $7, response = $8 where ${own}`,
    [...ownValues(key), answer.status, JSON.stringify(answer.headers), answer.response],
  );
  return rowCount === 1;
}

export type FoundEffect =
  /** What an attempt of this request has done; null: nothing that was kept. */
  | { readonly kind: 'ours'; readonly effect: JsonObject | null }
  /** Another attempt has the key by now, or it is answered, or let go. */
  | { readonly kind: 'lost' };

/** In a transaction, whoever else would take the key or keep an effect under it waits for its end. */
export async function lockEffect(q: Queryable, key: HeldKey): Promise<FoundEffect> {
  const { rows } = await q.query<{ effect: JsonObject | null }>(
    `select effect from idempotency where ${own} for update`,
    ownValues(key),
  );
  const row = rows[0];
  return row === undefined ? { kind: 'lost' } : { kind: 'ours', effect: row.effect };
}

/** Is the key this attempt's? Until the transaction ends nobody takes it; a batch asks in several at once. */
export async function isKeyHeld(tx: Tx, key: HeldKey): Promise<boolean> {
  const { rows } = await tx.query(`select 1 from idempotency where ${own} for share`, ownValues(key));
  return rows.length === 1;
}

/** False: the key is another attempt's by now. */
export async function keepEffect(q: Queryable, key: HeldKey, effect: JsonObject): Promise<boolean> {
  const { rowCount } = await q.query(`update idempotency set effect = $6 where ${own}`, [
    ...ownValues(key),
    JSON.stringify(effect),
  ]);
  return rowCount === 1;
}

/** The answer is not kept: the next attempt may go on at once, with the same effect. False: another one has the key already. */
export async function releaseKey(q: Queryable, key: HeldKey): Promise<boolean> {
  const { rowCount } = await q.query(
    `update idempotency set held_until = now() - interval '1 second' where ${own}`,
    ownValues(key),
  );
  return rowCount === 1;
}

export interface KeyUse {
  readonly keys: number;
  /** Of the answers that are kept. */
  readonly bytes: number;
  /** When the oldest of them is let go; null where there is none. */
  readonly until: string | null;
}

/** What a principal has of the last 24 hours; no more than `limit` keys are looked at. */
export async function usedBy(q: Queryable, principal: string, limit: number): Promise<KeyUse> {
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

/** A piece at a time, so that nobody waits for it. */
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
