import { canonical } from '../model/canonical.js';
import { isObject, type JsonObject } from '../model/json.js';
import type { Pool } from '../db/index.js';
import { hashText, leafHash } from './envelope.js';

export interface ChainReport {
  readonly ok: boolean;
  readonly records: number;
  /** Names the first bad record. */
  readonly problem?: string;
}

interface Row {
  readonly runseq: number;
  readonly body: Buffer;
  readonly hash: Buffer;
}

const closing = ['run.completed', 'run.cancelled', 'run.failed', 'run.timed_out'];

/** Every link of one chain, from the bytes alone: gapless, linked, canonical, closed with count and head. */
export async function verifyChain(pool: Pool, chain: string): Promise<ChainReport> {
  const { rows } = await pool.query<Row>('select runseq, body, hash from audit_record where chain = $1 order by runseq', [chain]);
  const { rows: heads } = await pool.query<{ size: number; head: Buffer | null }>('select size, head from audit_chain where chain = $1', [chain]);
  const head = heads[0];
  if (head === undefined) return { ok: false, records: 0, problem: `there is no chain \`${chain}\`` };
  let prev = '';
  for (const [index, row] of rows.entries()) {
    const problem = recordProblem(row, index, prev, chain);
    if (problem !== null) return { ok: false, records: rows.length, problem: `record ${index} of chain \`${chain}\`: ${problem}` };
    prev = hashText(leafHash(row.body));
  }
  const complete = head.size === rows.length && (head.head === null ? '' : hashText(head.head)) === prev;
  return complete ? { ok: true, records: rows.length } : { ok: false, records: rows.length, problem: `chain \`${chain}\` has ${rows.length} records, its head says ${head.size}: the last ones are missing or changed` };
}

function recordProblem(row: Row, index: number, prev: string, chain: string): string | null {
  const body = parse(row.body);
  if (body === null) return 'its bytes are not canonical JSON';
  if (row.runseq !== index) return `it has number ${row.runseq}: one is missing before it`;
  if (!leafHash(row.body).equals(row.hash)) return 'its bytes do not have the hash that was stored';
  if (body['runseq'] !== index || body['chain'] !== chain) return 'it names another place than its own';
  if ((body['prev'] ?? '') !== prev) return 'it does not follow the record before it';
  const data = body['data'];
  if (closing.includes(String(body['type'])) && body['run'] === chain && isObject(data) && (data['count'] !== index || (data['head'] ?? '') !== prev)) return 'its count or head is not that of the chain';
  return null;
}

function parse(bytes: Buffer): JsonObject | null {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    return isObject(value) && canonical(value) === text ? value : null;
  } catch {
    return null;
  }
}
