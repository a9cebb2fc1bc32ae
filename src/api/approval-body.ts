import type { ApprovalState } from '../engine/state.js';
import type { Json, JsonObject } from '../model/json.js';
import type { PayloadRef } from '../model/records.js';
import { getApproval, type ApprovalRow } from '../store/approvals.js';
import { decisionsOf, type DecisionRow } from '../store/decisions.js';
import type { Call } from './call.js';
import type { ApiDeps } from './deps.js';
import { notFound, type Problem } from './problem.js';
import { stateOf, visibleRun } from './run-body.js';

export interface FoundApproval {
  readonly kind: 'approval';
  readonly row: ApprovalRow;
  readonly state: ApprovalState | null;
}

/** For those who may see its run. */
export async function visibleApproval(call: Call, id: string): Promise<FoundApproval | Problem> {
  const row = await getApproval(call.deps.pool, id);
  if (row === null) return notFound('approval', id);
  const found = await visibleRun(call, row.run);
  if (found.kind === 'problem') return notFound('approval', id);
  // The run is read after the approval: as the run has it is how it stands.
  const state = stateOf(found.row)?.approvals.find((one) => one.id === id) ?? null;
  return {
    kind: 'approval',
    row: state === null ? row : { ...row, status: state.status, roles: state.roles },
    state,
  };
}

export async function bodyOf(
  deps: ApiDeps,
  { row, state }: Pick<FoundApproval, 'row' | 'state'>,
): Promise<JsonObject> {
  return approvalBody(deps, row, state, await decisionsOf(deps.pool, [row.id]));
}

/** Everything an approver needs: the exact action, why it waits, who may decide, and what follows. */
export async function approvalBody(
  deps: ApiDeps,
  row: ApprovalRow,
  state: ApprovalState | null,
  decisions: readonly DecisionRow[],
): Promise<JsonObject> {
  const { doc } = row;
  const trace = doc.refs.find((ref) => ref.role === 'trace');
  const approving = new Set(
    (state?.decisions ?? []).filter((one) => one.decision === 'approve').map((one) => one.by.id),
  );
  return {
    id: row.id,
    status: row.status,
    run: row.run,
    action: row.action,
    flow: row.flow,
    flowVersion: doc.flowVersion,
    environment: row.environment,
    transition: row.transition,
    tool: doc.tool,
    tier: doc.tier,
    summary: doc.summary,
    arguments:
      state?.action.arguments ?? ((await readJson(deps, doc.argumentsRef)) as JsonObject | null) ?? {},
    preview: doc.preview,
    digest: row.digest,
    requestedBy: { id: doc.requestedBy.id, kind: doc.requestedBy.kind },
    requestedAt: row.requestedAt,
    reason: doc.because.length === 0 ? null : doc.because.join('; '),
    reasonRequired: doc.reasonRule === 'required',
    trace: trace === undefined ? null : await readJson(deps, trace),
    guards: doc.guards as unknown as Json,
    roles: [...row.roles],
    quorum: { count: doc.quorum.count, approved: approving.size },
    decisions: await Promise.all(decisions.map((one) => listedDecision(deps, one))),
    expiresAt: row.expiresAt,
    onTimeout: doc.onTimeout,
    consequence: doc.consequence,
  };
}

export async function listedDecision(deps: ApiDeps, row: DecisionRow): Promise<JsonObject> {
  return {
    id: row.id,
    by: { id: row.byId, kind: row.byKind },
    decision: row.decision,
    reason: await readText(deps, row.reasonRef),
    at: row.at,
    status: row.status,
    ...(row.code === null ? {} : { code: row.code }),
  };
}

async function readText(deps: ApiDeps, ref: PayloadRef | null): Promise<string | null> {
  const bytes = ref === null ? null : await deps.payloads.get(deps.pool, ref);
  return bytes === null ? null : bytes.toString('utf8');
}

async function readJson(deps: ApiDeps, ref: PayloadRef | null): Promise<Json> {
  const text = await readText(deps, ref);
  return text === null ? null : (JSON.parse(text) as Json);
}
