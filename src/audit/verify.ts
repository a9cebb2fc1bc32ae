import { canonical } from '../model/values/canonical.js';
import { isObject, type JsonObject } from '../model/values/json.js';
import { closesRun } from '../model/records.js';
import type { Pool } from '../db/index.js';
import { hashText, leafHash } from './record/envelope.js';

export interface ChainReport {
  readonly ok: boolean;
  readonly records: number;
  /** Names the first bad record. Absent where there is none. */
  readonly problem?: string;
}

interface Row {
  readonly runseq: number;
  readonly body: Buffer;
  readonly hash: Buffer;
  readonly id: string;
  readonly type: string;
  readonly run: string;
  readonly about: string;
}

interface Place {
  readonly chain: string;
  readonly runseq: number;
  /** Leaf hash of the record before; null for the first. */
  readonly prev: string | null;
  /** The record before closed the chain. */
  readonly closed: boolean;
}

const pageSize = 1_000;

/**
 * Verifies a chain from the bytes alone. Every record must be canonical JSON, have the stored hash, follow the record before it
 * without a gap, and have query columns that agree with its bytes; the closing record must carry count and head; and the chain
 * must end where its head says.
 */
export async function verifyChain(pool: Pool, chain: string): Promise<ChainReport> {
  // The head is read first, so that records appended meanwhile do not look like a forged end.
  const { rows: heads } = await pool.query<{ size: number; head: Buffer | null; closed: boolean }>(
    'select size, head, closed from audit_chain where chain = $1',
    [chain],
  );
  const head = heads[0];
  if (head === undefined) return { ok: false, records: 0, problem: `there is no chain \`${chain}\`` };
  let place: Place = { chain, runseq: 0, prev: null, closed: false };
  for (;;) {
    const rows: Row[] = await readPage(pool, place, head.size);
    for (const row of rows) {
      const problem = recordProblem(row, place);
      if (problem !== null)
        return {
          ok: false,
          records: place.runseq,
          problem: `record ${place.runseq} of chain \`${chain}\`: ${problem}`,
        };
      place = { chain, runseq: place.runseq + 1, prev: hashText(leafHash(row.body)), closed: closes(row) };
    }
    if (rows.length < pageSize) break;
  }
  const problem = endProblem(place, head);
  return problem === null
    ? { ok: true, records: place.runseq }
    : { ok: false, records: place.runseq, problem };
}

async function readPage(pool: Pool, { chain, runseq }: Place, size: number): Promise<Row[]> {
  const { rows } = await pool.query<Row>(
    'select runseq, body, hash, id, type, run, about from audit_record where chain = $1 and runseq >= $2 and runseq < $3 order by runseq limit $4',
    [chain, runseq, size, pageSize],
  );
  return rows;
}

function endProblem(
  { chain, runseq, prev, closed }: Place,
  head: { size: number; head: Buffer | null; closed: boolean },
): string | null {
  if (head.size !== runseq)
    return `chain \`${chain}\` has ${runseq} records and its head says ${head.size}: records from ${runseq} on are missing`;
  if ((head.head === null ? null : hashText(head.head)) !== prev)
    return `chain \`${chain}\`: its last record, ${runseq - 1}, is not the one that its head names`;
  if (head.closed && !closed)
    return `chain \`${chain}\` is closed and its last record does not close it: records are missing at its end`;
  if (closed && !head.closed) return `chain \`${chain}\` was opened again after its closing record`;
  return null;
}

function closes(row: Row): boolean {
  return row.run !== '' && closesRun(row.type);
}

function recordProblem(row: Row, { chain, runseq, prev, closed }: Place): string | null {
  if (row.runseq !== runseq) return 'it is missing';
  if (!leafHash(row.body).equals(row.hash)) return 'its bytes do not have the hash that was stored';
  const body = parse(row.body);
  if (body === null) return 'its bytes are not canonical JSON';
  if (body['runseq'] !== runseq || body['chain'] !== chain) return 'it names another place than its own';
  if (body['prev'] !== prev) return 'it does not follow the record before it';
  if (closed) return 'it follows the record that closed the chain';
  const differs = (['id', 'type', 'run', 'about'] as const).find((name) => body[name] !== row[name]);
  if (differs !== undefined) return `its column \`${differs}\` is not what its bytes say`;
  const data = body['data'];
  if (closes(row) && !(isObject(data) && data['count'] === runseq && data['head'] === (prev ?? '')))
    return 'its count or head is not that of the chain';
  return null;
}

function parse(bytes: Buffer): JsonObject | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    return isObject(value) && canonical(value) === text ? value : null;
  } catch {
    return null;
  }
}
