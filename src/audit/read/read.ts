import type { Json, JsonObject } from '../../model/json.js';
import { mostAnswerBytes } from '../../model/limits.js';
import type { Pool } from '../../db/index.js';
import { storedText } from '../record/append.js';
import { sequence } from '../record/sequencer.js';

/** docs/spec/api.md's audit item: read from the exact bytes. */
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
  /** With `run`: the service's records about it too. */
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
  /** Others follow: the page ends at its limit, or where its records would be more than one answer carries. */
  readonly more: boolean;
}

interface Row {
  readonly index: number;
  readonly body: Buffer;
  readonly hash: Buffer;
  readonly found: number;
}

/** Records by global index. What is durable is indexed first, so a caller finds what it has just done. */
export async function readRecords(pool: Pool, filter: RecordFilter): Promise<RecordPage> {
  const size = await sequence(pool);
  const asOfSize = Math.min(filter.asOfSize ?? size, size);
  const { rows } = await pool.query<Row>(
    `select index, body, hash, found from (
     select index, body, hash, count(*) over ()::int as found,
            sum(octet_length(body)) over (order by index) - octet_length(body) as before,
            row_number() over (order by index) as place from (
     select l.index, r.body, r.hash
       from audit_log l join audit_record r on r.seq = l.seq
      where l.index > $1 and l.index < $2
        and ($3::text is null or r.run = $3 or ($4 and r.about = $3))
        and ($5::text is null or r.flow = $5)
        and ($6::text is null or r.actor = $6)
        and ($7::text[] is null or r.type = any($7))
        and ($8::text[] is null or not r.type = any($8))
        and ($9::text is null or r.verdict = $9)
        and ($10::timestamptz is null or r.time >= $10)
        and ($11::timestamptz is null or r.time <= $11)
      order by l.index
      limit $12 + 1) as matching) as counted
      where place <= $12 and (place = 1 or before + octet_length(body) <= $13)
      order by index`,
    [
      filter.afterIndex ?? -1,
      asOfSize,
      textOrNull(filter.run),
      filter.includeAbout ?? false,
      textOrNull(filter.flow),
      textOrNull(filter.actor),
      filter.type?.map(storedText) ?? null,
      filter.notType?.map(storedText) ?? null,
      textOrNull(filter.verdict),
      filter.from ?? null,
      filter.to ?? null,
      filter.limit,
      mostAnswerBytes,
    ],
  );
  return { items: rows.map(toItem), asOfSize, more: (rows[0]?.found ?? 0) > rows.length };
}

/** The exact bytes of one record; null where the log is shorter. */
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
  const orNull = <T extends Json>(key: string): T | null =>
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
    permission: orNull('permission'),
    policy: orNull('policy'),
    action: orNull('action'),
    approval: orNull('approval'),
    attempt: orNull('attempt'),
    data: (body['data'] ?? {}) as JsonObject,
    refs: (body['refs'] ?? []) as readonly Json[],
    hash: `sha256:${row.hash.toString('hex')}`,
    prev: orNull('prev'),
  };
}

function textOrNull(text: string | undefined): string | null {
  return text === undefined ? null : storedText(text);
}
