import type { Answer } from '../../engine/state.js';
import type { Bell, MessageKind, SealedMessage } from '../../model/message.js';
import { write, type Queryable, type Tx } from '../../db/index.js';
import { withoutNul } from '../text.js';

// Messages to runs. A message is written once, before its caller hears that it is stored, and answered once, by the step that takes it.

export interface MessageRow extends SealedMessage {
  /** By the store's clock. */
  readonly createdAt: string;
  /** The step that took the message; null: none yet. */
  readonly rev: number | null;
  readonly answer: Answer | null;
  readonly isWithdrawn: boolean;
}

/** A message with the key that it names, and whether that key was retired before the message was stored. `key` is null where the store has no such key. */
export interface LockedMessage extends MessageRow {
  readonly key: { readonly publicKey: string; readonly wasRetired: boolean } | null;
}

interface StoredRow extends Omit<MessageRow, 'answer'> {
  readonly answer: string | null;
}

interface LockedRow extends StoredRow {
  readonly publicKey: string | null;
  readonly wasRetired: boolean;
}

const columns = `id, run, kind, text, digest, key_id as "keyId", signature, created_at as "createdAt", rev, answer,
  withdrawn_at is not null as "isWithdrawn"`;

const withKey = `m.id, m.run, m.kind, m.text, m.digest, m.key_id as "keyId", m.signature, m.created_at as "createdAt", m.rev, m.answer,
  m.withdrawn_at is not null as "isWithdrawn", k.public_key as "publicKey",
  coalesce(k.retired_at <= m.created_at, false) as "wasRetired"
  from message m left join signing_key k on k.key_id = m.key_id`;

function rowOf({ answer, ...row }: StoredRow): MessageRow {
  return { ...row, answer: answer === null ? null : (JSON.parse(answer) as Answer) };
}

function lockedRowOf({ publicKey, wasRetired, ...row }: LockedRow): LockedMessage {
  return { ...rowOf(row), key: publicKey === null ? null : { publicKey, wasRetired } };
}

/** Stores a message. False: there already is a message with this id, which stays as it is. */
export async function insertMessage(
  tx: Tx,
  { message, bytes }: { readonly message: SealedMessage; readonly bytes: number },
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into message (id, run, kind, text, digest, key_id, signature, bytes)
     values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (id) do nothing`,
    [
      message.id,
      message.run,
      message.kind,
      message.text,
      message.digest,
      message.keyId,
      message.signature,
      bytes,
    ],
  );
  return rowCount === 1;
}

export async function getMessage(q: Queryable, id: string): Promise<MessageRow | null> {
  const { rows } = await q.query<StoredRow>(`select ${columns} from message where id = $1`, [withoutNul(id)]);
  return rows[0] === undefined ? null : rowOf(rows[0]);
}

/** The answer to a message; null: there is none yet, or no such message. */
export async function getAnswer(q: Queryable, id: string): Promise<Answer | null> {
  const { rows } = await q.query<Pick<StoredRow, 'answer'>>('select answer from message where id = $1', [
    withoutNul(id),
  ]);
  const answer = rows[0]?.answer ?? null;
  return answer === null ? null : (JSON.parse(answer) as Answer);
}

/** Those of the messages that are the run's, in the order in which they were stored, locked until the transaction ends. */
export async function lockMessages(tx: Tx, run: string, ids: readonly string[]): Promise<LockedMessage[]> {
  if (ids.length === 0) return [];
  const { rows } = await tx.query<LockedRow>(
    `select ${withKey} where m.run = $1 and m.id = any($2) order by m.seq for update of m`,
    [run, ids.map(withoutNul)],
  );
  return rows.map(lockedRowOf);
}

/** Those of the messages that are the run's and that no step has taken, in the order in which they were stored. */
export async function getUntaken(
  q: Queryable,
  run: string,
  ids: readonly string[],
): Promise<LockedMessage[]> {
  const { rows } = await q.query<LockedRow>(
    `select ${withKey} where m.run = $1 and m.id = any($2) and m.rev is null order by m.seq`,
    [run, ids],
  );
  return rows.map(lockedRowOf);
}

/** Messages of the run that no step has taken, oldest first, locked until the transaction ends. */
export async function lockUntaken(
  tx: Tx,
  run: string,
  {
    kind,
    except,
    limit,
  }: { readonly kind: MessageKind | null; readonly except: readonly string[]; readonly limit: number },
): Promise<LockedMessage[]> {
  const { rows } = await tx.query<LockedRow>(
    `select ${withKey} where m.run = $1 and m.rev is null and m.answer is null and m.withdrawn_at is null
        and ($2::text is null or m.kind = $2) and m.id <> all ($3) order by m.seq limit $4 for update of m`,
    [run, kind, except, limit],
  );
  return rows.map(lockedRowOf);
}

/** Which of these ids are messages of other runs. */
export async function foreignMessages(
  q: Queryable,
  run: string,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const { rows } = await q.query<{ id: string }>('select id from message where run <> $1 and id = any($2)', [
    run,
    ids.map(withoutNul),
  ]);
  return new Set(rows.map((row) => row.id));
}

/** `bells`: how many bells of the message have come to the run up to the step that takes it. */
export async function markTaken(tx: Tx, id: string, rev: number, bells: number): Promise<void> {
  await write(tx, 'update message set rev = $2, bells = $3 where id = $1', [id, rev, bells]);
}

/**
 * Counts a bell of a message that was already taken. `replayed`: the run has now received one bell more than this service has rung,
 * so somebody has repeated a bell; this is said once for each message.
 */
export async function countBell(tx: Tx, id: string): Promise<'known' | 'replayed'> {
  const { rows } = await tx.query<{ beyond: number }>(
    'update message set bells = bells + 1 where id = $1 returning bells - attempts - 1 as beyond',
    [id],
  );
  return rows[0]?.beyond === 1 ? 'replayed' : 'known';
}

/** Stores the answer; the first answer stays. */
export async function answerMessage(tx: Tx, id: string, answer: Answer): Promise<void> {
  await write(
    tx,
    'update message set answer = $2, answered_at = clock_timestamp() where id = $1 and answer is null',
    [id, JSON.stringify(answer)],
  );
}

/** Withdraws a message so that no step takes it. False: a step has taken it, or it was already withdrawn. */
export async function withdrawMessage(q: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await q.query(
    'update message set withdrawn_at = clock_timestamp() where id = $1 and rev is null and answer is null and withdrawn_at is null',
    [id],
  );
  return rowCount === 1;
}

export interface Unanswered {
  readonly submits: number;
  /** Decisions, cancels and retries. */
  readonly others: number;
  /** Bytes of their values as canonical JSON. */
  readonly bytes: number;
  /** Which they are, but for a start, in the order in which they were stored. */
  readonly ids: readonly string[];
}

/** Counts the messages of a run that have no answer yet. */
export async function countUnanswered(q: Queryable, run: string): Promise<Unanswered> {
  const { rows } = await q.query<Unanswered>(
    `select count(*) filter (where kind = 'submit') as submits, count(*) filter (where kind not in ('submit', 'start')) as others,
            coalesce(sum(bytes), 0)::bigint as bytes,
            coalesce(array_agg(id order by seq) filter (where kind <> 'start'), '{}') as ids from message
      where run = $1 and answer is null and withdrawn_at is null`,
    [run],
  );
  return rows[0] ?? { submits: 0, others: 0, bytes: 0, ids: [] };
}

/** Takes the messages that are due to be rung for again, each for only one of all processes. Pauses begin at 2 s and double up to 2 minutes. */
export async function dueMessages(tx: Tx, limit: number): Promise<(MessageRow & { attempts: number })[]> {
  const { rows } = await tx.query<StoredRow & { attempts: number }>(
    `update message set attempts = attempts + 1, next_at = clock_timestamp() + least(120, 2 ^ least(attempts + 1, 7)) * interval '1 second'
      where id in (select id from message where rev is null and answer is null and withdrawn_at is null and next_at <= clock_timestamp()
                    order by next_at limit $1 for update skip locked)
      returning ${columns}, attempts`,
    [limit],
  );
  return rows.map(({ attempts, ...row }) => ({ ...rowOf(row), attempts }));
}

/** Counts, for operators, the messages that no step has taken although they were rung for again. */
export async function countUndeliveredMessages(
  q: Queryable,
): Promise<{ environment: string; count: number }[]> {
  const { rows } = await q.query<{ environment: string; count: number }>(
    `select r.environment, count(*) as count from message m join run r on r.id = m.run
      where m.rev is null and m.answer is null and m.withdrawn_at is null and m.attempts > 0 group by 1`,
  );
  return rows;
}

/** The bells of all messages of a run. */
export async function bellsOfMessages(q: Queryable, run: string): Promise<Bell[]> {
  const { rows } = await q.query<Bell>(
    'select id, kind, digest, key_id as "keyId", signature from message where run = $1',
    [withoutNul(run)],
  );
  return rows;
}
