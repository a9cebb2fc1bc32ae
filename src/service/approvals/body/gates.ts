import { gateViews, isOpen, outOfReach } from '../../../engine/index.js';
import type { ApprovalState, GateView } from '../../../engine/state.js';
import type { ApprovalJson } from '../../../model/contract/answer-types.js';
import type { PolicySet } from '../../../model/policy-set.js';
import { withRolePermissions, type Principal } from '../../../model/principal.js';
import { queuesIn } from '../../../schema/kit.js';
import type { ApprovalRow } from '../../../store/approvals/approvals.js';
import type { DecisionRow } from '../../../store/approvals/decisions.js';
import { humanCredentials, mostCredentials } from '../../../store/people/people.js';
import type { PayloadKeyUnopened } from '../../../audit/index.js';
import type { ServiceDeps } from '../../deps.js';
import {
  argumentsGone,
  argumentsUnopened,
  judge,
  keyUnopened,
  previewGone,
  previewUnopened,
  reasonGone,
  reasonUnopened,
  requiredReasons,
  unopenedText,
  type Judged,
  type QueueKit,
} from '../judge.js';

// The gates of an approval as its body shows them, and what its reader may do about it.

/** Who decides in queues now, and who is known here. */
export interface Deciders {
  readonly kit: QueueKit;
  /** A principal for each human credential; null: too many to look through, or no approval is open. */
  readonly people: readonly Principal[] | null;
}

export async function readDeciders(deps: ServiceDeps, rows: readonly ApprovalRow[]): Promise<Deciders> {
  const policySet = await deps.policies.policySet();
  const people = rows.some((row) => isOpen(row.status)) ? await readKnownHumans(deps, policySet) : null;
  return { kit: queuesIn(policySet), people };
}

async function readKnownHumans(
  deps: ServiceDeps,
  policySet: PolicySet | null,
): Promise<readonly Principal[] | null> {
  const found = await humanCredentials(deps.pool);
  if (found.length >= mostCredentials) return null;
  return found.map((credential) => withRolePermissions(policySet, { ...credential, kind: 'human' }));
}

export interface GateStatus extends GateView {
  /** All people who are known here together could not satisfy this gate. */
  readonly outOfReach: boolean;
}

export function gateStatuses(
  { status, doc }: ApprovalRow,
  state: ApprovalState | null,
  { kit, people }: Deciders,
  decisions: readonly DecisionRow[],
): readonly GateStatus[] {
  if (state === null)
    return doc.gates.map((gate) => ({ ...gateAtEnd(gate, status, decisions), outOfReach: false }));
  const lost = people === null || !isOpen(status) ? [] : outOfReach(state, people, kit);
  return gateViews(state, kit).map((gate, index) => ({ ...gate, outOfReach: lost.includes(index) }));
}

/** A gate of an approval that its run no longer holds: if approved, then at every gate; else by the decisions in the store. */
function gateAtEnd(
  gate: GateView,
  status: ApprovalRow['status'],
  decisions: readonly DecisionRow[],
): GateView {
  const { count, perRole } = gate.quorum;
  if (status !== 'approved' && status !== 'consumed') {
    const counted = decisions.filter((row) => row.decision === 'approve' && row.status === 'applied');
    const approved = Math.min(new Set(counted.map(({ byId }) => byId)).size, count);
    return { ...gate, quorum: { ...gate.quorum, approved } };
  }
  const shares = perRole?.map((share) => ({ ...share, approved: share.count }));
  return {
    ...gate,
    quorum: { count, approved: count, ...(shares === undefined ? {} : { perRole: shares }) },
    missing: [],
  };
}

export function gatesJson(
  gates: readonly GateStatus[],
): Pick<ApprovalJson, 'quorum' | 'reasonRequired' | 'gates'> {
  const [first] = gates;
  // The gate with the largest quorum; of two equal ones, a gate that still waits.
  const largest = gates.reduce<GateStatus | undefined>(
    (best, gate) =>
      best === undefined ||
      gate.quorum.count > best.quorum.count ||
      (gate.quorum.count === best.quorum.count && best.missing.length === 0)
        ? gate
        : best,
    first,
  );
  return {
    quorum: largest?.quorum ?? { count: 1, approved: 0 },
    reasonRequired: gates.some((gate) => gate.reasonRequired),
    gates: gates.map(({ byPermission: _byPermission, ...gate }, index) => ({
      ...gate,
      text: gateText(gates[index] ?? gate),
    })),
  };
}

/** `one of the roles cfo; 0 of 1 have approved`, and which roles are still missing where each role has a share. */
function gateText(gate: Omit<GateStatus, 'byPermission'> & { readonly byPermission?: boolean }): string {
  const { roles, byPermission = false, quorum, outOfReach: lost } = gate;
  const who = [
    ...(roles.length === 0 ? [] : [`one of the roles ${roles.join(', ')}`]),
    ...(byPermission ? ['whoever holds approval.decide'] : []),
  ];
  const decides = who.length === 0 ? 'nobody: its queue names no role any more' : who.join(', or ');
  const share = `${quorum.approved} of ${quorum.count} have approved`;
  const left = quorum.perRole === undefined ? '' : missingText(gate.missing);
  return `${decides}; ${share}${left}${lost ? '; nobody who is known here could, so it waits for people who are not' : ''}`;
}

function missingText(missing: GateStatus['missing']): string {
  const each = missing.map(({ roles, count }) => `${count} of ${roles.join(' or ')}`);
  return each.length === 0 ? '' : `; it waits for ${each.join(' and ')}`;
}

/**
 * What the reader may do about the approval now. Nobody approves what cannot be shown any more, and a run whose arguments cannot be
 * read takes no decision.
 */
export function mayOf(
  judged: Judged,
  reader: Principal,
  {
    unreadable,
    unopened,
    isClosed,
  }: {
    readonly unreadable: readonly ('arguments' | 'preview')[];
    /** Why it cannot be read is that its key does not open here; null: it is another reason. */
    readonly unopened: PayloadKeyUnopened | null;
    /** No reason can be kept, where something is unreadable. */
    readonly isClosed: boolean;
  },
): NonNullable<ApprovalJson['may']> {
  const may = judge(judged, reader);
  if (may.status === 'no')
    return { decide: false, verbs: [], why: may.why ?? 'closed', message: may.message };
  const lacksReason = isClosed && requiredReasons(judged, reader).deny;
  if (unopened !== null) {
    const hasArguments = !unreadable.includes('arguments');
    const isDeniable = hasArguments && !lacksReason;
    const what = isDeniable ? previewUnopened : hasArguments ? reasonUnopened : argumentsUnopened;
    return {
      decide: isDeniable,
      verbs: isDeniable ? ['deny'] : [],
      why: keyUnopened,
      message: unopenedText(what, unopened),
    };
  }
  if (unreadable.includes('arguments'))
    return { decide: false, verbs: [], why: 'arguments_gone', message: argumentsGone(judged.row) };
  if (lacksReason) return { decide: false, verbs: [], why: 'preview_gone', message: reasonGone(judged.row) };
  return unreadable.length === 0
    ? { decide: true, verbs: ['approve', 'deny'], why: null, message: null }
    : {
        decide: true,
        verbs: ['deny'],
        why: 'preview_gone',
        message: `${previewGone}, so it can only be denied`,
      };
}
