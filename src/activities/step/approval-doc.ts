import type { PayloadRef } from '../../model/records.js';
import { escapeUnseen } from '../../model/values/visible.js';
import type { ApprovalDoc, ApprovalState, Asked, Kit, Shown } from '../../engine/state.js';
import { gateViews, isWaiting } from '../../engine/index.js';
import type { NewApproval } from '../../store/approvals/approvals.js';
import type { RunRow } from '../../store/runs/runs.js';

/** For an approval that is stored already: its row keeps what was shown when it opened. */
export const shownBefore: Sentences = { summary: '', consequence: '' };

type Sentences = Pick<Shown, 'summary' | 'consequence'>;

/** The row behind `GET /v1/approvals/{id}`: the exact action, why it is asked, and what follows. */
export function makeApprovalRow(
  row: RunRow,
  approval: ApprovalState,
  shown: Sentences,
  {
    time,
    kit,
    argumentsRef,
    previewRef,
  }: {
    readonly time: string;
    readonly kit: Pick<Kit, 'queueRoles'>;
    /** The payload of the action's arguments; null: it has none. */
    readonly argumentsRef: PayloadRef | null;
    /** The payload of the preview; undefined: the row is stored already, and keeps its own. */
    readonly previewRef: PayloadRef | undefined;
  },
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
    doc: {
      ...makeApprovalDoc(row, approval, shown, kit),
      argumentsRef,
      ...(previewRef === undefined ? {} : { previewRef }),
    },
    byPermission: approval.gates.some((gate) => gate.byPermission),
    state: isWaiting(approval) ? { ...approval, action: { ...action, arguments: {} } } : null,
    updatedAt: time,
  };
}

function makeApprovalDoc(
  row: RunRow,
  approval: ApprovalState,
  shown: Sentences,
  kit: Pick<Kit, 'queueRoles'>,
): Omit<ApprovalDoc, 'argumentsRef' | 'previewRef'> {
  const { action } = approval;
  return {
    tier: action.tier,
    tool: action.tool,
    flowVersion: row.flowVersion,
    summary: shown.summary,
    requestedBy:
      action.requester === null
        ? { id: 'countersign', kind: 'runtime' }
        : { id: action.requester.id, kind: action.requester.kind },
    refs: action.refs,
    guards: approval.guards,
    asked: approval.asked.map(toReadable),
    state: approval.state,
    requesters: approval.requesters,
    gates: gateViews(approval, kit),
    consequence: shown.consequence,
  };
}

/** The values that a condition read come from callers: invisible and direction-changing characters are made visible. */
function toReadable(asked: Asked): Asked {
  return { ...asked, reason: asked.reason === null ? null : escapeUnseen(asked.reason) };
}
