import { makeTurns } from '../../model/give-way.js';
import { closesRun, type Fact } from '../../model/records.js';
import { truncate } from '../../model/values/text.js';
import { together, write, type Tx } from '../../db/index.js';
import {
  bytesOf,
  eventKey,
  factHash,
  hashText,
  leafHash,
  recordId,
  type Place,
  type RunScope,
} from './envelope.js';

/** An event key came again with another fact: somebody is rewriting history, or this program has a fault. */
export class AuditConflict extends Error {
  override readonly name = 'AuditConflict';
}

export interface Placed {
  readonly fact: Fact;
  readonly place: Place;
}

export interface ChainHead {
  readonly size: number;
  /** `sha256:<hex>`; empty while the chain is empty. */
  readonly head: string;
}

/**
 * Appends to a run's own chain. The closing record carries the count of the records before it and
 * their head; nothing follows it.
 */
export async function appendRun(
  tx: Tx,
  scope: RunScope,
  facts: readonly Fact[],
  { isFirst = false }: { readonly isFirst?: boolean } = {},
): Promise<ChainHead> {
  const place: Place = { ...scope, chain: scope.run, about: '' };
  const placed = facts.map((fact) => ({ fact, place }));
  return appendChain(tx, { id: scope.run, run: true, isFirst }, placed);
}

interface Chain {
  readonly id: string;
  /** False: a service chain. */
  readonly run: boolean;
  /** The chain is expected to be new: it is inserted before it is read. */
  readonly isFirst: boolean;
}

interface ChainRow {
  readonly size: number;
  readonly head: Buffer | null;
  readonly closed: boolean;
  readonly now: string;
}

interface Row {
  readonly id: string;
  readonly runseq: number;
  readonly key: string;
  readonly factHash: Buffer;
  readonly body: Buffer;
  readonly hash: Buffer;
  readonly placed: Placed;
}

/** Appends the facts under one lock on the chain, with one insert. A fact that the chain already has is not written again. */
export async function appendChain(tx: Tx, chain: Chain, placed: readonly Placed[]): Promise<ChainHead> {
  const [row, known] = await lockChain(tx, chain, placed);
  const fresh = withoutKnown(known, placed);
  if (fresh.length === 0) return { size: row.size, head: row.head === null ? '' : hashText(row.head) };
  const end = fresh.findIndex((entry) => closesChain(chain, entry));
  const beyond = row.closed ? fresh[0] : end === -1 ? undefined : fresh[end + 1];
  if (beyond !== undefined) {
    throw new Error(
      `audit chain \`${chain.id}\` is closed: \`${beyond.fact.type}\` (\`${beyond.fact.key}\`) cannot be appended to it`,
    );
  }
  const made = await makeRows(chain, row, fresh);
  const last = made.at(-1);
  if (last === undefined) throw new Error('a batch that is not empty made no records');
  const size = last.runseq + 1;
  await insert(tx, chain.id, made, { size, head: last.hash, closed: end !== -1 });
  return { size, head: hashText(last.hash) };
}

function closesChain(chain: Chain, { fact }: Placed): boolean {
  return chain.run && closesRun(fact.type);
}

/** Locks the chain, and gives its end and the facts that the store already has. Both are read under the lock, in one round trip. */
async function lockChain(
  tx: Tx,
  { id, run, isFirst }: Chain,
  placed: readonly Placed[],
): Promise<[ChainRow, Map<string, Buffer>]> {
  const lock = async (): Promise<[ChainRow | undefined, Map<string, Buffer>]> => {
    const found = tx.query<ChainRow>(
      'select size, head, closed, clock_timestamp() as now from audit_chain where chain = $1 for update',
      [id],
    );
    const [{ rows }, known] = await together([found, knownFacts(tx, placed)]);
    return [rows[0], known];
  };
  if (!isFirst) {
    const [found, known] = await lock();
    if (found !== undefined) return [found, known];
  }
  await write(tx, 'insert into audit_chain (chain, run, size) values ($1, $2, 0) on conflict do nothing', [
    id,
    run,
  ]);
  const [made, known] = await lock();
  if (made === undefined) throw new Error(`audit chain \`${id}\` is gone`);
  return [made, known];
}

/** The hashes of those facts that are in the store, by event key. */
async function knownFacts(tx: Tx, placed: readonly Placed[]): Promise<Map<string, Buffer>> {
  if (placed.length === 0) return new Map();
  const keys = placed.map(({ fact, place }) => eventKey(place, fact));
  const { rows } = await tx.query<{ event_key: string; fact: Buffer }>(
    'select event_key, fact from audit_record where event_key = any($1)',
    [keys],
  );
  return new Map(rows.map((row) => [row.event_key, row.fact]));
}

function withoutKnown(known: Map<string, Buffer>, placed: readonly Placed[]): Placed[] {
  return placed.filter(({ fact, place }) => {
    const key = eventKey(place, fact);
    const own = factHash(fact);
    const there = known.get(key);
    if (there === undefined) {
      known.set(key, own);
      return true;
    }
    if (there.equals(own)) return false;
    console.error(`ALARM: audit record \`${key}\` exists and says something else than \`${fact.type}\` now`);
    throw new AuditConflict(`audit record \`${key}\` exists with another content`);
  });
}

async function makeRows(
  chain: Chain,
  { size, head, now }: ChainRow,
  placed: readonly Placed[],
): Promise<Row[]> {
  let prev = head === null ? null : hashText(head);
  const made: Row[] = [];
  const turn = makeTurns();
  for (const [at, entry] of placed.entries()) {
    await turn();
    const { place } = entry;
    const runseq = size + at;
    const fact = closesChain(chain, entry)
      ? { ...entry.fact, data: { ...entry.fact.data, count: runseq, head: prev ?? '' } }
      : entry.fact;
    const body = bytesOf(fact, place, { runseq, prev, recordedtime: now });
    const hash = leafHash(body);
    prev = hashText(hash);
    made.push({
      id: recordId(place, fact),
      runseq,
      key: eventKey(place, fact),
      factHash: factHash(entry.fact),
      body,
      hash,
      placed: entry,
    });
  }
  return made;
}

/** A text for the query columns beside the bytes: without NUL, which Postgres refuses, and short enough for an index. */
export function storedText(text: string): string {
  return truncate(text.replaceAll('\0', '\uFFFD'), 500, '');
}

function verdictOf({ policy, data }: Fact): string {
  const own = data['verdict'];
  return policy?.verdict ?? (typeof own === 'string' ? own : '');
}

const insertRecords = `
  with made as (
    insert into audit_record (id, chain, runseq, event_key, fact, body, hash, run, about, type, time, flow, environment, trace_id, actor, actor_kind, verdict)
    select id, $2, runseq, event_key, fact, body, hash, run, about, type, time::timestamptz, flow, environment, trace_id, actor, actor_kind, verdict
      from unnest($1::text[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::text[], $9::text[], $10::text[],
                  $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[])
        as t (id, runseq, event_key, fact, body, hash, run, about, type, time, flow, environment, trace_id, actor, actor_kind, verdict)
     order by runseq
    returning seq),
  pending as (insert into audit_pending (seq) select seq from made)
  update audit_chain set size = $18, head = $19, closed = $20 where chain = $2`;

interface NewHead {
  readonly size: number;
  readonly head: Buffer;
  readonly closed: boolean;
}

async function insert(
  tx: Tx,
  chain: string,
  rows: readonly Row[],
  { size, head, closed }: NewHead,
): Promise<void> {
  const column = <T>(read: (row: Row) => T): T[] => rows.map(read);
  await write(tx, insertRecords, [
    column((row) => row.id),
    chain,
    column((row) => row.runseq),
    column((row) => row.key),
    column((row) => row.factHash),
    column((row) => row.body),
    column((row) => row.hash),
    column((row) => row.placed.place.run),
    column((row) => row.placed.place.about),
    column((row) => row.placed.fact.type),
    column((row) => row.placed.fact.time),
    column((row) => storedText(row.placed.place.flow)),
    column((row) => storedText(row.placed.place.environment)),
    column((row) => storedText(row.placed.place.traceId)),
    column((row) => storedText(row.placed.fact.actor.id)),
    column((row) => row.placed.fact.actor.kind),
    column((row) => storedText(verdictOf(row.placed.fact))),
    size,
    head,
    closed,
  ]);
}
