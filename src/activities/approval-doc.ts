import type { PayloadRef } from '../model/records.js';
import type { ApprovalDoc, ApprovalState, Asked, Shown } from '../engine/state.js';
import type { NewApproval } from '../store/approvals.js';
import type { RunRow } from '../store/runs.js';
import { shown as readableText } from './approval-sentences.js';

/** Of an approval that is stored already: its row keeps what was shown when it opened. */
export const shownBefore: Shown = { summary: '', consequence: '', preview: null };

/** The row behind `GET /v1/approvals/{id}`: the exact action, why it is asked, and what follows. */
export function approvalRow(
  row: RunRow,
  approval: ApprovalState,
  shown: Shown,
  time: string,
  /** Where its arguments are kept; null: it has none. */
  argumentsRef: PayloadRef | null,
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
    doc: { ...approvalDoc(row, approval, shown), argumentsRef },
    updatedAt: time,
  };
}

function approvalDoc(row: RunRow, approval: ApprovalState, shown: Shown): Omit<ApprovalDoc, 'argumentsRef'> {
  const { action, gate } = approval;
  return {
    tier: action.tier,
    tool: action.tool,
    flowVersion: row.flowVersion,
    summary: shown.summary,
    requestedBy:
      action.requester === null
        ? { id: 'countersign', kind: 'runtime' }
        : { id: action.requester.id, kind: action.requester.kind },
    preview: shown.preview,
    refs: action.refs,
    guards: approval.guards,
    because: gate.because,
    ...(approval.asked === undefined ? {} : { asked: approval.asked.map(readable) }),
    quorum: { count: gate.quorum.count },
    separation: gate.separation,
    reasonRule: gate.reason,
    onTimeout: gate.timeout?.action ?? 'deny',
    consequence: shown.consequence,
  };
}

/** What a condition read comes from callers: it hides and turns around nothing. */
function readable(asked: Asked): Asked {
  return { ...asked, reason: asked.reason === null ? null : readableText(asked.reason) };
}
