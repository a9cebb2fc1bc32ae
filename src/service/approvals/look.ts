import { isOpen } from '../../engine/index.js';
import type { ApprovalState } from '../../engine/state.js';
import { getApproval, type ApprovalRow } from '../../store/approvals.js';
import { getRun, type RunRow } from '../../store/runs.js';
import type { Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';
import { inLanes } from '../lanes.js';
import { notFound, type Refusal } from '../refusal.js';
import { stateOf, visibleRun } from '../runs/body.js';
import { makeTurns } from '../seats.js';

/** As its run has it; `state`: null where the run has it no more. */
export interface Approval {
  readonly row: ApprovalRow;
  readonly state: ApprovalState | null;
}

export interface FoundApproval extends Approval {
  readonly kind: 'approval';
  readonly run: RunRow;
}

/** For those who may see its run. */
export async function visibleApproval(caller: Caller, id: string): Promise<FoundApproval | Refusal> {
  const row = await getApproval(caller.deps.pool, id);
  if (row === null) return notFound('approval', id);
  const found = await visibleRun(caller, row.run);
  if (found.kind === 'refusal') return notFound('approval', id);
  return { kind: 'approval', run: found.row, ...(await asItStands(caller.deps, row)) };
}

type Looking = Pick<ServiceDeps, 'pool'>;

export async function asItStands(deps: Looking, row: ApprovalRow): Promise<Approval> {
  const [found] = await asTheyStand(deps, [row]);
  if (found === undefined) throw new Error('one approval stands in one way');
  return found;
}

/** As their runs have them: rows say it. Of one that was written before rows did, and is open, its run's document does. */
export async function asTheyStand(deps: Looking, rows: readonly ApprovalRow[]): Promise<Approval[]> {
  const silent = rows.filter(({ status, state }) => isOpen(status) && (state ?? null) === null);
  const found = new Map((await readFromRuns(deps, silent)).map((one) => [one.row.id, one]));
  return rows.map((row) => found.get(row.id) ?? { row, state: row.state });
}

/**
 * The runs are read after the rows. What a run's document no longer has has ended, perhaps since the row was read: the row says
 * how by now.
 */
async function readFromRuns({ pool }: Looking, rows: readonly ApprovalRow[]): Promise<Approval[]> {
  const states = new Map<string, ApprovalState>();
  for (const run of new Set(rows.map((row) => row.run))) {
    const ids = new Set(rows.filter((row) => row.run === run).map(({ id }) => id));
    for (const state of await statesIn(pool, run, ids)) states.set(state.id, state);
  }
  return inLanes(rows, 1, async (row) => {
    const state = states.get(row.id) ?? null;
    if (state !== null) return { row: { ...row, status: state.status, roles: state.roles }, state };
    const now = (await getApproval(pool, row.id)) ?? row;
    return { row: now, state: now.state ?? null };
  });
}

/** Documents of runs that are read at a time by one process: each may be megabytes. */
const documents = makeTurns(4);

/** Of a document, which is parsed once, these approvals alone are kept. */
function statesIn(
  pool: Looking['pool'],
  run: string,
  ids: ReadonlySet<string>,
): Promise<readonly ApprovalState[]> {
  return documents(async () => {
    const row = await getRun(pool, run);
    const state = row === null ? null : stateOf(row);
    return state?.approvals.filter(({ id }) => ids.has(id)) ?? [];
  });
}

/** It is neither approved nor ended. */
export function waits({ row }: Approval): boolean {
  return isOpen(row.status);
}
