import { isObject, type JsonObject } from '../../model/values/json.js';
import type { Pool } from '../../db/index.js';
import type { Principal } from '../../model/principal.js';
import { documentOf, type HeldValue, type RunDocument } from '../../store/runs/document.js';
import { getRun, type ListedRun } from '../../store/runs/runs.js';
import type { ServiceDeps } from '../deps.js';
import { makeFairTurns } from '../seats.js';
import { parseValue, readAll } from '../values.js';

/** How many run documents are read at a time, in one process and for one principal: each may have megabytes. */
const mostDocuments = 8;
const mostOwnDocuments = 2;
const documentTurns = makeFairTurns({ each: mostOwnDocuments, all: mostDocuments });

/** On whose behalf runs are read; `principal` is null for the service itself. */
export interface Reader {
  readonly deps: Pick<ServiceDeps, 'pool'>;
  readonly principal: Principal | null;
}

/**
 * Gives what `read` makes of a run and its document; null: there is no such run. The document is parsed once, and not kept. It is
 * null where the run has taken no step.
 */
export function withDocument<T>(
  { deps: { pool }, principal }: Reader,
  id: string,
  read: (row: ListedRun, document: RunDocument | null) => T | Promise<T>,
): Promise<T | null> {
  return documentTurns(principal?.id ?? null, () => readDocument(pool, id, read));
}

/** As `withDocument`, for whom has taken a turn of another kind. */
export async function readDocument<T>(
  pool: Pool,
  id: string,
  read: (row: ListedRun, document: RunDocument | null) => T | Promise<T>,
): Promise<T | null> {
  const found = await getRun(pool, id);
  if (found === null) return null;
  const { doc, ...row } = found;
  return read(row, documentOf({ doc }));
}

/** A value that the run holds: empty where there is none, or it was erased. Null: it cannot be read, which is told to the operator. */
export async function readHeld(deps: ServiceDeps, held: HeldValue | null): Promise<JsonObject | null> {
  const ref = held?.payload ?? null;
  if (ref === null) return {};
  const read = await readAll(deps, [ref]);
  if (read.isDamaged(ref) || read.unopened(ref) !== null) return null;
  const text = read.text(ref);
  const value = text === null ? {} : await parseValue(text);
  return isObject(value) ? value : null;
}
