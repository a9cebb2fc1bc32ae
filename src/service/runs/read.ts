import type { z } from 'zod';
import type * as api from '../../model/contract/api.js';
import type { RunJson, RunStandingJson } from '../../model/contract/answer-types.js';
import * as runs from '../../store/runs/runs.js';
import { viewer, type Caller } from '../caller.js';
import { badCursor, type Page } from '../page.js';
import { refuseCaller } from '../may.js';
import type { Refusal } from '../refusal.js';
import { readStanding, runJson } from './standing.js';
import { visibleRun } from './visible.js';

/** The runs that the caller may see, the newest first. */
export async function listRuns(
  caller: Caller,
  { cursor, ...filter }: z.output<typeof api.runsQuery>,
): Promise<Page<RunJson> | Refusal> {
  const refused = refuseCaller(caller, 'listRuns');
  if (refused !== null) return refused;
  const page = await runs.listRuns(caller.deps.pool, {
    ...filter,
    viewer: viewer(caller),
    cursor: cursor ?? null,
  });
  if (page === null) return badCursor();
  return { kind: 'page', data: page.items.map(runJson), nextCursor: page.nextCursor };
}

/** A run with the legal next steps for the caller. */
export async function readRun(
  caller: Caller,
  id: string,
): Promise<{ readonly kind: 'run'; readonly body: RunStandingJson } | Refusal> {
  const refused = refuseCaller(caller, 'getRun');
  if (refused !== null) return refused;
  const found = await visibleRun(caller, id);
  if (found.kind === 'refusal') return found;
  return { kind: 'run', body: (await readStanding(caller, id)).body };
}
