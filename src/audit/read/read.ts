import type { Json, JsonObject } from '../../model/values/json.js';
import { mostAnswerBytes } from '../../model/limits.js';
import { makeValues, queryPlanned, type Pool, type Values } from '../../db/index.js';
import { storedText } from '../record/append.js';
import { sequence } from '../record/sequencer.js';

/** The audit item of docs/spec/api.md, read from the exact bytes of the record. */
export interface AuditItem {
  readonly index: number;
  readonly chain: 'run' | 'service';
  readonly run: string;
  readonly about: string;
  readonly runSeq: number;
  readonly id: string;
  readonly type: string;
  readonly time: string;
  readonly traceId: string;
  readonly actor: JsonObject;
  readonly permission: string | null;
  readonly policy: JsonObject | null;
  readonly action: JsonObject | null;
  readonly approval: string | null;
  readonly attempt: number | null;
  readonly data: JsonObject;
  readonly refs: readonly Json[];
  readonly hash: string;
  readonly prev: string | null;
}

export interface RecordFilter {
  readonly run?: string;
  /** With `run`: also the service's records about that run. */
  readonly includeAbout?: boolean;
  readonly flow?: string;
  readonly actor?: string;
  readonly type?: readonly string[];
  readonly notType?: readonly string[];
  readonly verdict?: string;
  readonly from?: string;
  readonly to?: string;
  readonly afterIndex?: number;
  readonly asOfSize?: number;
  readonly limit: number;
}

export interface RecordPage {
  readonly items: AuditItem[];
  readonly asOfSize: number;
  /** More records follow: the page ended at its limit, or before it would exceed what one answer carries. */
  readonly more: boolean;
}

interface Row {
  readonly index: number;
  readonly body: Buffer;
  readonly hash: Buffer;
  readonly found: number;
}

/** Reads records in the order of the global index. Durable records are indexed first, so a caller finds what it has just done. */
export async function readRecords(pool: Pool, filter: RecordFilter): Promise<RecordPage> {
  const size = await sequence(pool);
  const asOfSize = Math.min(filter.asOfSize ?? size, size);
  const values = makeValues();
  const { name } = values;
  const asked = [
    `l.index > ${name(filter.afterIndex ?? -1)}`,
    `l.index < ${name(asOfSize)}`,
    ...conditions(filter, name),
  ];
  const next = name(filter.limit + 1);
  // Two selects, since a run's own records and the records about it have separate indexes in the store.
  const matching = runConditions(filter, name).map(
    (ofRun) =>
      `(select l.index, l.seq from audit_log l join audit_record r on r.seq = l.seq
         where ${[...asked, ofRun].join(' and ')} order by l.index limit ${next})`,
  );
  const rows = await queryPlanned<Row>(
    pool,
    `select index, body, hash, found from (
     select m.index, r.body, r.hash, count(*) over ()::int as found,
            sum(octet_length(r.body)) over (order by m.index) - octet_length(r.body) as before,
            row_number() over (order by m.index) as place
       from (select * from (${matching.join(' union ')}) m order by m.index limit ${next}) m join audit_record r on r.seq = m.seq) counted
      where place <= ${name(filter.limit)} and (place = 1 or before + octet_length(body) <= ${name(mostAnswerBytes)})
      order by index`,
    values,
  );
  return { items: rows.map(toItem), asOfSize, more: (rows[0]?.found ?? 0) > rows.length };
}

/** The exact bytes of the record at this index; null where the log is shorter. */
export async function readEntry(pool: Pool, index: number): Promise<Buffer | null> {
  await sequence(pool);
  const { rows } = await pool.query<{ body: Buffer }>(
    'select r.body from audit_log l join audit_record r on r.seq = l.seq where l.index = $1',
    [index],
  );
  return rows[0]?.body ?? null;
}

function toItem(row: Row): AuditItem {
  const body = JSON.parse(row.body.toString('utf8')) as Record<string, Json>;
  const text = (key: string): string => (typeof body[key] === 'string' ? body[key] : '');
  const valueOrNull = <T extends Json>(key: string): T | null =>
    body[key] === undefined || body[key] === '' ? null : (body[key] as T);
  return {
    index: row.index,
    chain: text('run') === '' ? 'service' : 'run',
    run: text('run'),
    about: text('about'),
    runSeq: Number(body['runseq']),
    id: text('id'),
    type: text('type'),
    time: text('time'),
    traceId: text('traceid'),
    actor: (body['actor'] ?? {}) as JsonObject,
    permission: valueOrNull('permission'),
    policy: valueOrNull('policy'),
    action: valueOrNull('action'),
    approval: valueOrNull('approval'),
    attempt: valueOrNull('attempt'),
    data: (body['data'] ?? {}) as JsonObject,
    refs: (body['refs'] ?? []) as readonly Json[],
    hash: `sha256:${row.hash.toString('hex')}`,
    prev: valueOrNull('prev'),
  };
}

function runConditions({ run, includeAbout }: RecordFilter, name: Values['name']): readonly string[] {
  if (run === undefined) return ['true'];
  const id = name(storedText(run));
  return [`r.run = ${id}`, ...(includeAbout === true ? [`r.about = ${id} and r.about <> ''`] : [])];
}

function conditions(filter: RecordFilter, name: Values['name']): readonly string[] {
  const { flow, actor, type, notType, verdict, from, to } = filter;
  const text = (value: string): string => name(storedText(value));
  const anyOf = (all: readonly string[]): string => `r.type = any(${name(all.map(storedText))}::text[])`;
  return [
    ...(flow === undefined ? [] : [`r.flow = ${text(flow)}`]),
    ...(actor === undefined ? [] : [`r.actor = ${text(actor)}`]),
    ...(type === undefined ? [] : [anyOf(type)]),
    ...(notType === undefined ? [] : [`not ${anyOf(notType)}`]),
    ...(verdict === undefined ? [] : [`r.verdict = ${text(verdict)}`]),
    ...(from === undefined ? [] : [`r.time >= ${name(from)}::timestamptz`]),
    ...(to === undefined ? [] : [`r.time <= ${name(to)}::timestamptz`]),
  ];
}
