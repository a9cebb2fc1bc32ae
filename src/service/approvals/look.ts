import { isOpen } from '../../engine/index.js';
import type { ApprovalState } from '../../engine/state.js';
import { getApproval, type ApprovalRow } from '../../store/approvals/approvals.js';
import { stateWithoutValues, type HeldValue } from '../../store/runs/document.js';
import type { ListedRun } from '../../store/runs/runs.js';
import type { Caller } from '../caller.js';
import { inLanes } from '../lanes.js';
import { notFound, type Refusal } from '../refusal.js';
import { visibleRun } from '../runs/visible.js';
import { withDocument, type Reader } from '../runs/document.js';

/** An approval as its run holds it; `state`: null where the run no longer holds it. */
export interface Approval {
  readonly row: ApprovalRow;
  readonly state: ApprovalState | null;
}

export interface HeldApproval extends Approval {
  /** The arguments, as the run's document names them; null: it has none. Undefined: the document was not read, or holds no such approval. */
  readonly held: HeldValue | null | undefined;
}

type Held = Pick<HeldApproval, 'held'> & { readonly state: ApprovalState };

interface SeenApproval {
  readonly kind: 'approval';
  readonly row: ApprovalRow;
  readonly run: ListedRun;
}

export interface FoundApproval extends SeenApproval, HeldApproval {}

/** The row of an approval, for those who may see its run. */
export async function visibleApprovalRow(caller: Caller, id: string): Promise<SeenApproval | Refusal> {
  const row = await getApproval(caller.deps.pool, id);
  if (row === null) return notFound('approval', id);
  const found = await visibleRun(caller, row.run);
  if (found.kind === 'refusal') return notFound('approval', id);
  return { kind: 'approval', row, run: found.row };
}

/** An approval as its run holds it, for those who may see the run. */
export async function visibleApproval(caller: Caller, id: string): Promise<FoundApproval | Refusal> {
  const seen = await visibleApprovalRow(caller, id);
  return seen.kind === 'refusal' ? seen : { ...seen, ...(await readApproval(caller, seen.row)) };
}

/** An approval from its run's document: what is done about it is judged by what the run itself vouches for, not by a copy. */
export async function readApproval(reader: Reader, row: ApprovalRow): Promise<HeldApproval> {
  const [found] = await readFromRuns(reader, [row]);
  if (found === undefined) throw new Error('the approval was not read');
  return found;
}

/**
 * Approvals for lists, by the state in their rows. Old rows without a state are read from their run's document while they are
 * open.
 */
export async function readApprovals(reader: Reader, rows: readonly ApprovalRow[]): Promise<HeldApproval[]> {
  const rowsWithoutState = rows.filter(({ status, state }) => isOpen(status) && state === null);
  const found = new Map(
    (await readFromRuns(reader, rowsWithoutState)).map((approval) => [approval.row.id, approval]),
  );
  return rows.map((row) => found.get(row.id) ?? { row, state: row.state, held: undefined });
}

/**
 * The runs are read after the rows. An approval that the document no longer holds has ended, perhaps since its row was read: so
 * the row is read again, and says how.
 */
async function readFromRuns(reader: Reader, rows: readonly ApprovalRow[]): Promise<HeldApproval[]> {
  const holding = new Map<string, Held>();
  for (const run of new Set(rows.map((row) => row.run))) {
    const ids = new Set(rows.filter((row) => row.run === run).map(({ id }) => id));
    for (const held of await heldIn(reader, run, ids)) holding.set(held.state.id, held);
  }
  return inLanes(rows, 1, async (row) => {
    const found = holding.get(row.id);
    if (found !== undefined)
      return { row: { ...row, status: found.state.status, roles: found.state.roles }, ...found };
    const now = (await getApproval(reader.deps.pool, row.id)) ?? row;
    return { row: now, state: now.state, held: undefined };
  });
}

/** These approvals, as the run's document holds them. */
async function heldIn(reader: Reader, run: string, ids: ReadonlySet<string>): Promise<readonly Held[]> {
  const found = await withDocument(reader, run, (_row, document) => {
    if (document === null) return [];
    const { approvals } = stateWithoutValues(document);
    return approvals
      .map((state, index) => ({ state, held: document.approvals[index]?.action.held }))
      .filter(({ state }) => ids.has(state.id));
  });
  return found ?? [];
}

/** The approval is neither approved nor ended. */
export function isUndecided({ row }: Approval): boolean {
  return isOpen(row.status);
}
