import type { z } from 'zod';
import type * as api from '../../model/contract/api.js';
import { readEntry, readRecords, type RecordFilter } from '../../audit/index.js';
import type { AuditItemJson } from '../../model/contract/answer-types.js';
import { asJson } from '../../model/values/json.js';
import { decodeCursor, encodeCursor } from '../../store/cursor.js';
import { toStorableTime } from '../../store/instant.js';
import type { Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';
import { badCursor, type Page } from '../page.js';
import { refuseCaller } from '../may.js';
import { notFound, type Refusal } from '../refusal.js';
import { visibleRun } from '../runs/visible.js';

export interface AuditPage extends Page<AuditItemJson> {
  /** Size of the log that the list is taken from. */
  readonly asOfSize: number;
}

/** A run's own chain and the service's records about it, for those who may see the run. */
export async function recordsOfRun(caller: Caller, run: string, query: Query): Promise<AuditPage | Refusal> {
  const refused = refuseCaller(caller, 'auditRun');
  if (refused !== null) return refused;
  const found = await visibleRun(caller, run);
  return found.kind === 'refusal' ? found : readPage(caller.deps, query, { run, includeAbout: true });
}

/** Records of all runs and of the service, by log index. */
export async function listRecords(
  caller: Caller,
  { run, flow, ...query }: z.output<typeof api.auditQuery>,
): Promise<AuditPage | Refusal> {
  const refused = refuseCaller(caller, 'audit');
  if (refused !== null) return refused;
  return readPage(caller.deps, query, {
    ...(run === undefined ? {} : { run, includeAbout: true }),
    ...(flow === undefined ? {} : { flow }),
  });
}

/** The exact bytes of one record, as they were hashed. */
export async function readRecord(
  caller: Caller,
  index: number,
): Promise<{ readonly kind: 'record'; readonly bytes: Buffer } | Refusal> {
  const refused = refuseCaller(caller, 'auditEntry');
  if (refused !== null) return refused;
  const bytes = await readEntry(caller.deps.pool, index);
  return bytes === null ? notFound('audit entry', String(index)) : { kind: 'record', bytes };
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
    ...(query.from === undefined ? {} : { from: toStorableTime(query.from) }),
    ...(query.to === undefined ? {} : { to: toStorableTime(query.to) }),
    afterIndex,
    ...(asOf < 0 ? {} : { asOfSize: asOf }),
    limit: query.limit,
  });
  const last = items.at(-1);
  const nextCursor = more && last !== undefined ? encodeCursor([last.index, asOfSize]) : null;
  return { kind: 'page', data: items.map(asJson), nextCursor, asOfSize };
}
