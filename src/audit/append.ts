import type { Fact } from '../model/records.js';
import type { Tx } from '../db/index.js';
import { bytesOf, factHash, hashText, leafHash, recordId, type Place } from './envelope.js';

export interface RunScope {
  readonly run: string;
  readonly environment: string;
  readonly flow: string;
  readonly planHash: string;
  readonly traceId: string;
  readonly workflowId: string;
  readonly firstRunId: string;
}

/** The same event key came with another fact: somebody is rewriting history, or we are wrong. */
export class AuditConflict extends Error {
  override readonly name = 'AuditConflict';
}

export interface Placed {
  readonly fact: Fact;
  readonly place: Place;
}

const closing: readonly Fact['type'][] = ['run.completed', 'run.cancelled', 'run.failed', 'run.timed_out'];

/** Appends to a run's own chain; the closing record carries count and head. */
export async function appendRun(tx: Tx, scope: RunScope, facts: readonly Fact[]): Promise<{ size: number; head: string }> {
  const place: Place = { ...scope, chain: scope.run, about: '' };
  return appendChain(tx, scope.run, true, facts.map((fact) => ({ fact, place })));
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

/** One lock on the chain, one insert for the batch. A fact that is already there is left as it is. */
export async function appendChain(tx: Tx, chain: string, isRun: boolean, placed: readonly Placed[]): Promise<{ size: number; head: string }> {
  await tx.query('insert into audit_chain (chain, run, size) values ($1, $2, 0) on conflict do nothing', [chain, isRun]);
  const { rows } = await tx.query<ChainRow>(`select size, head, closed, clock_timestamp() as now from audit_chain where chain = $1 for update`, [chain]);
  const row = rows[0];
  if (row === undefined) throw new Error(`audit chain \`${chain}\` is gone`);
  const fresh = await withoutKnown(tx, chain, placed);
  if (fresh.length === 0) return { size: row.size, head: row.head === null ? '' : hashText(row.head) };
  if (row.closed) throw new Error(`audit chain \`${chain}\` is closed: \`${fresh[0]?.fact.type ?? ''}\` cannot be appended`);
  const { made, size, head } = link(chain, row, fresh);
  await insert(tx, chain, made);
  const closed = isRun && fresh.some(({ fact }) => closing.includes(fact.type));
  await tx.query('update audit_chain set size = $2, head = $3, closed = $4 where chain = $1', [chain, size, head, closed]);
  return { size, head: head === null ? '' : hashText(head) };
}

function eventKey(chain: string, fact: Fact): string {
  return `${chain}/${fact.key}`;
}

async function withoutKnown(tx: Tx, chain: string, placed: readonly Placed[]): Promise<Placed[]> {
  const keys = placed.map(({ fact }) => eventKey(chain, fact));
  const { rows } = await tx.query<{ event_key: string; fact: Buffer }>('select event_key, fact from audit_record where event_key = any($1)', [keys]);
  const known = new Map(rows.map((row) => [row.event_key, row.fact]));
  return placed.filter(({ fact }) => {
    const there = known.get(eventKey(chain, fact));
    if (there === undefined) return true;
    if (there.equals(factHash(fact))) return false;
    console.error(`ALARM: audit record \`${eventKey(chain, fact)}\` exists with another content`);
    throw new AuditConflict(`audit record \`${eventKey(chain, fact)}\` exists with another content`);
  });
}

function link(chain: string, row: ChainRow, placed: readonly Placed[]): { made: Row[]; size: number; head: Buffer | null } {
  let { size, head } = row;
  const made = placed.map((one): Row => {
    const prev = head === null ? null : hashText(head);
    const ends = closing.includes(one.fact.type) && one.place.run !== '';
    const fact = ends ? { ...one.fact, data: { ...one.fact.data, count: size, head: prev ?? '' } } : one.fact;
    const body = bytesOf(fact, one.place, { runseq: size, prev, recordedtime: row.now });
    const hash = leafHash(body);
    const made: Row = { id: recordId(chain, fact.key), runseq: size, key: eventKey(chain, fact), factHash: factHash(one.fact), body, hash, placed: one };
    size += 1;
    head = hash;
    return made;
  });
  return { made, size, head };
}

async function insert(tx: Tx, chain: string, rows: readonly Row[]): Promise<void> {
  const column = <T>(read: (row: Row) => T): T[] => rows.map(read);
  await tx.query(
    `with made as (
       insert into audit_record (id, chain, runseq, event_key, fact, body, hash, run, about, type, time, flow, environment, trace_id, actor, actor_kind, verdict)
       select id, $2, runseq, event_key, fact, body, hash, run, about, type, time::timestamptz, flow, environment, trace_id, actor, actor_kind, verdict
         from unnest($1::text[], $3::bigint[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[])
           as t (id, runseq, event_key, fact, body, hash, run, about, type, time, flow, environment, trace_id, actor, actor_kind, verdict)
        order by runseq
       returning seq)
     insert into audit_pending (seq) select seq from made`,
    [
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
      column((row) => row.placed.place.flow),
      column((row) => row.placed.place.environment),
      column((row) => row.placed.place.traceId),
      column((row) => row.placed.fact.actor.id),
      column((row) => row.placed.fact.actor.kind),
      column((row) => row.placed.fact.policy?.verdict ?? ''),
    ],
  );
}
