import type { JsonObject } from '../../model/values/json.js';
import type { Principal } from '../../model/principal.js';
import { documentOf, type HeldValue, type RunDocument } from '../../store/runs/document.js';
import { getRun, type ListedRun } from '../../store/runs/runs.js';
import type { ServiceDeps } from '../deps.js';
import { makeFairTurns } from '../seats.js';
import { readJson } from '../values.js';

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
  return documentTurns(principal?.id ?? null, async () => {
    const found = await getRun(pool, id);
    if (found === null) return null;
    const { doc, ...row } = found;
    return read(row, documentOf({ doc }));
  });
}

export async function readHeld(deps: ServiceDeps, held: HeldValue | null): Promise<JsonObject> {
  return ((await readJson(deps, held?.payload ?? null)) as JsonObject | null) ?? {};
}
