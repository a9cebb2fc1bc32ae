import type { Pool } from '../../src/db/index.js';
import { upsertAction } from '../../src/store/runs/actions.js';
import { upsertApproval, type ApprovalRow } from '../../src/store/approvals/approvals.js';
import { putPlan } from '../../src/store/flows/flows.js';
import { insertRun, type RunRow } from '../../src/store/runs/runs.js';
import { withTransaction } from '../../src/db/index.js';

const at = '2026-11-21T08:00:00.000Z';

export function runRow(id: string, change: Partial<RunRow> = {}): RunRow {
  return {
    id,
    flow: 'expense_approval',
    flowVersion: 1,
    planHash: 'sha256:plan',
    environment: 'dev',
    mode: 'live',
    namespace: 'countersign-dev',
    state: 'start',
    status: 'running',
    version: 0,
    rev: 0,
    traceId: `trc_${id}`,
    startedBy: 'employee',
    startedByKind: 'human',
    startedAt: at,
    updatedAt: at,
    ...{ problem: null, executing: null, doc: null, docDigest: null, openApprovals: 0, openBytes: 0 },
    leftTo: null,
    ...change,
  };
}

export async function putRun(pool: Pool, id: string, change: Partial<RunRow> = {}): Promise<void> {
  await putPlan(pool, 'sha256:plan', '{}');
  await insertRun(pool, runRow(id, change));
}

/** An action of the run, and the approval that it waits for. */
export async function putApproval(
  pool: Pool,
  run: string,
  id: string,
  change: Partial<ApprovalRow> = {},
): Promise<void> {
  const action = `act_${id}`;
  await withTransaction(pool, async (tx) => {
    const who = { requestedBy: 'agent', digest: 'sha256:digest' };
    const when = { createdAt: at, updatedAt: at };
    await upsertAction(tx, {
      id: action,
      run,
      transition: 'approve',
      tool: null,
      status: 'pending',
      ...who,
      approval: id,
      outputRef: null,
      error: null,
      ...when,
    });
    const doc = { summary: 'nul \0 and all' } as unknown as ApprovalRow['doc'];
    const row = {
      id,
      run,
      action,
      flow: 'expense_approval',
      environment: 'dev',
      transition: 'approve',
      status: 'open',
      roles: [],
      ...who,
    } as const;
    const byPermission = (change.roles ?? row.roles).length === 0;
    await upsertApproval(tx, {
      ...{ ...row, requestedAt: at, expiresAt: null, doc, state: null, updatedAt: at },
      ...{ ...change, byPermission },
    });
  });
}
