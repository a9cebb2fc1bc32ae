import { isOpen } from '../../engine/index.js';
import type { ApprovalState } from '../../engine/state.js';
import { getApproval, type ApprovalRow } from '../../store/approvals.js';
import { stateWithoutValues } from '../../store/document.js';
import type { ListedRun } from '../../store/runs.js';
import type { Caller } from '../caller.js';
import { inLanes } from '../lanes.js';
import { notFound, type Refusal } from '../refusal.js';
import { visibleRun, withDocument, type Reader } from '../runs/body.js';

/** As its run has it; `state`: null where the run has it no more. */
export interface Approval {
  readonly row: ApprovalRow;
  readonly state: ApprovalState | null;
}

interface SeenApproval {
  readonly kind: 'approval';
  readonly row: ApprovalRow;
  readonly run: ListedRun;
}

export interface FoundApproval extends SeenApproval, Approval {}

/** As its row has it, for those who may see its run. */
export async function seenApproval(caller: Caller, id: string): Promise<SeenApproval | Refusal> {
  const row = await getApproval(caller.deps.pool, id);
  if (row === null) return notFound('approval', id);
  const found = await visibleRun(caller, row.run);
  if (found.kind === 'refusal') return notFound('approval', id);
  return { kind: 'approval', row, run: found.row };
}

/** For those who may see its run. */
export async function visibleApproval(caller: Caller, id: string): Promise<FoundApproval | Refusal> {
  const seen = await seenApproval(caller, id);
  return seen.kind === 'refusal' ? seen : { ...seen, ...(await asItStands(caller, seen.row)) };
}

/** As its run's document has it: what is done about one approval is judged by what its run vouches for, and by no copy of that. */
export async function asItStands(reader: Reader, row: ApprovalRow): Promise<Approval> {
  const [found] = await readFromRuns(reader, [row]);
  if (found === undefined) throw new Error('one approval stands in one way');
  return found;
}

/** As their runs have them, for lists: rows say it. Of one that was written before rows did, and is open, its run's document does. */
export async function asTheyStand(reader: Reader, rows: readonly ApprovalRow[]): Promise<Approval[]> {
  const silent = rows.filter(({ status, state }) => isOpen(status) && state === null);
  const found = new Map((await readFromRuns(reader, silent)).map((one) => [one.row.id, one]));
  return rows.map((row) => found.get(row.id) ?? { row, state: row.state });
}

/**
 * The runs are read after the rows. What a run's document no longer has has ended, perhaps since the row was read: the row says
 * how by now.
 */
async function readFromRuns(reader: Reader, rows: readonly ApprovalRow[]): Promise<Approval[]> {
  const states = new Map<string, ApprovalState>();
  for (const run of new Set(rows.map((row) => row.run))) {
    const ids = new Set(rows.filter((row) => row.run === run).map(({ id }) => id));
    for (const state of await statesIn(reader, run, ids)) states.set(state.id, state);
  }
  return inLanes(rows, 1, async (row) => {
    const state = states.get(row.id) ?? null;
    if (state !== null) return { row: { ...row, status: state.status, roles: state.roles }, state };
    const now = (await getApproval(reader.deps.pool, row.id)) ?? row;
    return { row: now, state: now.state };
  });
}

/** These approvals alone of all that the run has. */
async function statesIn(
  reader: Reader,
  run: string,
  ids: ReadonlySet<string>,
): Promise<readonly ApprovalState[]> {
  const states = await withDocument(reader, run, (_row, document) =>
    document === null ? [] : stateWithoutValues(document).approvals.filter(({ id }) => ids.has(id)),
  );
  return states ?? [];
}

/** It is neither approved nor ended. */
export function waits({ row }: Approval): boolean {
  return isOpen(row.status);
}
