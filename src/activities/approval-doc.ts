import type { Json } from '../model/json.js';
import type { Plan, Transition } from '../engine/plan.js';
import type { ApprovalDoc, ApprovalState, Asked, Kit, RunState } from '../engine/state.js';
import { gateViews } from '../engine/index.js';
import { buildCall, describeCall } from '../executors/index.js';
import type { NewApproval } from '../store/approvals.js';
import type { RunRow } from '../store/runs.js';
import { consequence, shown, summary } from './approval-sentences.js';

/** The row behind `GET /v1/approvals/{id}`: the exact action, why it is asked, and what follows. */
export function approvalRow(
  plan: Plan,
  row: RunRow,
  run: RunState,
  approval: ApprovalState,
  { time, kit }: { readonly time: string; readonly kit: Pick<Kit, 'queueRoles'> },
): NewApproval {
  const { action } = approval;
  return {
    id: approval.id,
    run: row.id,
    action: action.id,
    flow: row.flow,
    environment: row.environment,
    transition: action.transition,
    status: approval.status,
    roles: [...approval.roles],
    requestedBy: action.requester?.id ?? 'countersign',
    requestedAt: action.requestedAt,
    expiresAt: new Date(approval.expiresAt).toISOString(),
    digest: action.digest,
    doc: approvalDoc(plan, row, run, approval, kit),
    byPermission: approval.gates.some((gate) => gate.byPermission),
    updatedAt: time,
  };
}

function approvalDoc(
  plan: Plan,
  row: RunRow,
  run: RunState,
  approval: ApprovalState,
  kit: Pick<Kit, 'queueRoles'>,
): ApprovalDoc {
  const { action } = approval;
  const transition = transitionOf(plan, action.transition);
  return {
    tier: action.tier,
    tool: action.tool,
    flowVersion: row.flowVersion,
    summary: summary(transition, run, approval),
    requestedBy:
      action.requester === null
        ? { id: 'countersign', kind: 'runtime' }
        : { id: action.requester.id, kind: action.requester.kind },
    argumentsRef: action.refs.find((ref) => ref.role === 'args') ?? null,
    preview: preview(transition, run, approval),
    refs: action.refs,
    guards: approval.guards,
    asked: approval.asked.map(readable),
    state: approval.state,
    gates: gateViews(approval, kit),
    consequence: consequence(transition, run, approval),
  };
}

/** What a condition read comes from callers: it hides and turns around nothing. */
function readable(asked: Asked): Asked {
  return { ...asked, reason: asked.reason === null ? null : shown(asked.reason) };
}

function transitionOf(plan: Plan, name: string): Transition | undefined {
  return plan.states.flatMap((state) => state.transitions).find((one) => one.name === name);
}

function preview(transition: Transition | undefined, run: RunState, approval: ApprovalState): Json {
  const executor = transition?.executor ?? null;
  if (executor === null || executor.kind === 'human')
    return { kind: 'human', target: transition?.target ?? null };
  const built = buildCall(
    executor,
    { arguments: approval.action.arguments, context: run.context, input: run.input },
    'transition',
  );
  return built.status === 'built'
    ? describeCall(built.call)
    : { kind: executor.kind, unresolved: built.path };
}
