import type { z } from 'zod';
import type * as api from '../../model/api.js';
import { readEntry, readRecords, type RecordFilter } from '../../audit/index.js';
import type { AuditItemJson } from '../../model/answer-types.js';
import { asJson } from '../../model/json.js';
import { decodeCursor, encodeCursor } from '../../store/cursor.js';
import { storable } from '../../store/instant.js';
import type { Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';
import { badCursor, type Page } from '../page.js';
import type { Refusal } from '../refusal.js';
import { visibleRun } from '../runs/body.js';

export interface AuditPage extends Page<AuditItemJson> {
  /** Size of the log that the list is taken from. */
  readonly asOfSize: number;
}

/** A run's own chain and the service's records about it, for those who may see the run. */
export async function recordsOfRun(caller: Caller, run: string, query: Query): Promise<AuditPage | Refusal> {
  const found = await visibleRun(caller, run);
  return found.kind === 'refusal' ? found : readPage(caller.deps, query, { run, includeAbout: true });
}

/** Records of all runs and of the service, by log index. */
export function listRecords(
  { deps }: Caller,
  { run, flow, ...query }: z.output<typeof api.auditQuery>,
): Promise<AuditPage | Refusal> {
  return readPage(deps, query, {
    ...(run === undefined ? {} : { run, includeAbout: true }),
    ...(flow === undefined ? {} : { flow }),
  });
}

/** The exact bytes of a record, as they were hashed; null: there is no such record. */
export function readRecord({ deps }: Caller, index: number): Promise<Buffer | null> {
  return readEntry(deps.pool, index);
}

/** Types that are listed only where `type` asks for them. */
export const unlistedTypes: readonly string[] = ['api.called'];

type Query = Omit<z.output<typeof api.auditQuery>, 'run' | 'flow'>;

/** All pages are taken from the log at the size that it had for the first page: records that come meanwhile move nothing. */
async function readPage(
  { pool }: ServiceDeps,
  query: Query,
  scope: Pick<RecordFilter, 'run' | 'includeAbout' | 'flow'>,
): Promise<AuditPage | Refusal> {
  const from = query.cursor === undefined ? [-1, query.asOf ?? -1] : decodeCursor(query.cursor, 2);
  const [afterIndex, asOf] = from ?? [];
  if (typeof afterIndex !== 'number' || typeof asOf !== 'number') return badCursor();
  const { actor, type, verdict } = query;
  const { items, asOfSize, more } = await readRecords(pool, {
    ...scope,
    ...(actor === undefined ? {} : { actor }),
    ...(type === undefined ? { notType: unlistedTypes } : { type }),
    ...(verdict === undefined ? {} : { verdict }),
    ...(query.from === undefined ? {} : { from: storable(query.from) }),
    ...(query.to === undefined ? {} : { to: storable(query.to) }),
    afterIndex,
    ...(asOf < 0 ? {} : { asOfSize: asOf }),
    limit: query.limit,
  });
  const last = items.at(-1);
  const nextCursor = more && last !== undefined ? encodeCursor([last.index, asOfSize]) : null;
  return { kind: 'page', data: items.map(asJson), nextCursor, asOfSize };
}
