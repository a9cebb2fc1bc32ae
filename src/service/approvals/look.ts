import { isOpen } from '../../engine/index.js';
import type { ApprovalState } from '../../engine/state.js';
import { getApproval, type ApprovalRow } from '../../store/approvals.js';
import type { RunRow } from '../../store/runs.js';
import type { Caller } from '../caller.js';
import type { ServiceDeps } from '../deps.js';
import { notFound, type Refusal } from '../refusal.js';
import { stateOf, visibleRun } from '../runs/body.js';

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
  return { kind: 'approval', run: found.row, ...(await asItStands(caller.deps, row, found.row)) };
}

/**
 * As its run has it, which is read after its row. What the run's document no longer has has ended, perhaps since the row was
 * read: the row says how by now.
 */
export async function asItStands(
  { pool }: Pick<ServiceDeps, 'pool'>,
  row: ApprovalRow,
  run: RunRow,
): Promise<Approval> {
  const state = stateOf(run)?.approvals.find((one) => one.id === row.id) ?? null;
  if (state !== null) return { row: { ...row, status: state.status, roles: state.roles }, state };
  return { row: isOpen(row.status) ? ((await getApproval(pool, row.id)) ?? row) : row, state };
}

/** It is neither approved nor ended. */
export function waits({ row }: Approval): boolean {
  return isOpen(row.status);
}
