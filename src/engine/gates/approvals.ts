import { isOpen, settledCode } from '../../model/approval-status.js';
import type { JsonObject } from '../../model/values/json.js';
import type { Message } from '../../model/message.js';
import {
  closedStatuses,
  type ApprovalState,
  type ApprovalStatus,
  type GateState,
  type Refusal,
} from '../state.js';
import { onApproved } from './approved.js';
import { changeApproval, setGates, transitionOf } from './changes.js';
import { decidersNow, gatesDecidedBy, mayDecide, wantsReason } from './deciders.js';
import { actionFact, actorOf, answer, project, record, refuse, type Draft } from '../run/draft.js';
import { noteDenial } from './denials.js';
import { ruleText } from './gates.js';
import { allApproved } from './quorum.js';
import { lastMoment } from './standing.js';
import { moveTo, remain } from '../run/flow.js';

// A decision about an approval, and what follows a denial. Approvals open in opening.ts and end by time in expiry.ts; what follows when all gates have approved is in approved.ts.

type Decide = Extract<Message['body'], { kind: 'decide' }>;

/** Why a decision does not count; null: it counts. Checked in this order: still open, approver, digest, in time, reason (docs/spec/api.md). */
function refusalOf(
  { kit }: Draft,
  approval: ApprovalState,
  body: Decide,
  message: Message,
): Omit<Refusal, 'status'> | null {
  if (!isOpen(approval.status)) {
    return { code: settledCode(approval.status), message: `the approval is ${approval.status}` };
  }
  const may = mayDecide(approval, message.principal, kit);
  if (may.status === 'no') {
    return {
      code: may.why === 'already_decided' ? 'ALREADY_DECIDED' : 'NOT_AN_APPROVER',
      message: may.message,
      why: may.why,
    };
  }
  if (body.digest !== approval.action.digest) {
    return {
      code: 'DIGEST_MISMATCH',
      message: `the decision names digest \`${body.digest}\`, the approval's is \`${approval.action.digest}\``,
    };
  }
  const end = lastMoment(approval, kit);
  if (end !== undefined && !(Date.parse(message.time) <= end)) {
    return {
      code: 'APPROVAL_EXPIRED',
      message: `the decision came after ${new Date(end).toISOString()}, when its time was up`,
    };
  }
  if (!body.reasonGiven && wantsReason(approval, message.principal, body.decision, kit)) {
    return { code: 'REASON_REQUIRED', message: 'this gate asks for a reason: send `reason`' };
  }
  return null;
}

export function decideApproval(
  draft: Draft,
  message: Message,
  body: Decide,
  settledAs: ApprovalStatus | null,
): void {
  const approval = draft.run.approvals.find((candidate) => candidate.id === body.approval);
  if (approval === undefined && settledAs !== null && !isOpen(settledAs)) {
    const code = settledCode(settledAs);
    return refuseDecision(draft, message, body, { code, message: `the approval is ${settledAs}` });
  }
  if (approval === undefined) {
    const text = `this run has no approval \`${body.approval}\``;
    return refuseDecision(draft, message, body, { code: 'NOT_FOUND', message: text });
  }
  const refusal = refusalOf(draft, approval, body, message);
  if (refusal === null) return accept(draft, approval, message, body);
  refuseDecision(draft, message, body, refusal);
}

function refuseDecision(draft: Draft, message: Message, body: Decide, said: Omit<Refusal, 'status'>): void {
  record(draft, 'approval.refused', {
    actor: actorOf(message.principal),
    approval: body.approval,
    causation: message.id,
    data: {
      code: said.code,
      decision: body.decision,
      decisionId: message.id,
      ...(said.why === undefined ? {} : { why: said.why }),
    },
  });
  refuse(draft, message.id, said);
}

function accept(draft: Draft, approval: ApprovalState, message: Message, body: Decide): void {
  const { principal } = message;
  const counted = gatesDecidedBy(approval, principal, draft.kit);
  const gates = approval.gates.map((gate) => ({ ...gate, roles: decidersNow(gate, draft.kit).roles }));
  const deciding = [...new Set(gates.flatMap((gate) => gate.roles))];
  const roles = deciding.filter((role) => principal.roles.includes(role));
  const decision = {
    id: message.id,
    by: { id: principal.id, kind: principal.kind },
    roles,
    permitted: principal.permissions.includes('approval.decide'),
    gates: counted,
    decision: body.decision,
    at: draft.time,
  };
  const decided = { ...approval, gates, decisions: [...approval.decisions, decision] };
  record(draft, 'approval.decided', {
    actor: actorOf(message.principal),
    action: actionFact(approval.action),
    approval: approval.id,
    causation: message.id,
    permission: roles.length > 0 ? `role:${roles.join(',')}` : 'approval.decide',
    policy: {
      rule: 'gate',
      verdict: body.decision,
      reason: body.reasonGiven ? 'a reason was given' : 'no reason was given',
    },
    refs: message.refs,
    data: {
      decision: body.decision,
      decisionId: message.id,
      digest: body.digest,
      gates: gates.flatMap(({ rule }, index) => (counted.includes(index) ? [ruleText(rule)] : [])),
      ...channelOf(message, body),
    },
  });
  answer(draft, message.id, { status: 'accepted' });
  if (body.decision !== 'approve') {
    changeApproval(draft, approval.id, decided);
    return deny(draft, decided, principal.id);
  }
  noteApprover(draft, decided, principal.id);
  const next = setGates(draft, decided, gates);
  if (allApproved(next, draft.kit)) onApproved(draft, next);
}

/** The door by which the decision came, and who acted for the human, if somebody did. */
function channelOf(message: Message, body: Decide): JsonObject {
  const { actedBy } = message.principal;
  return {
    ...(body.via === undefined ? {} : { via: body.via }),
    ...(actedBy === undefined ? {} : { actedBy }),
  };
}

/** Notes that this person has approved in the run: gates of other open approvals may ask for somebody who has not. */
function noteApprover(draft: Draft, { id }: ApprovalState, by: string): void {
  const { run } = draft;
  run.approvers = [...new Set([...(run.approvers ?? []), by])];
  for (const other of run.approvals) {
    if (other.id !== id && isOpen(other.status))
      changeApproval(draft, other.id, { gates: other.gates.map(excludeApprover(by)) });
  }
}

function excludeApprover(id: string): (gate: GateState) => GateState {
  return (gate) => {
    const { excluded = [], rule } = gate;
    if (rule.separation.approvers !== true || excluded.some((person) => person.id === id)) return gate;
    return { ...gate, excluded: [...excluded, { id, why: 'approver' }] };
  };
}

function deny(draft: Draft, approval: ApprovalState, by: string): void {
  const onDeny = transitionOf(draft, approval)?.onDeny ?? null;
  noteDenial(draft, approval.action, by);
  // While an effect is under way, or its outcome is unknown, the move waits: what becomes of the effect counts first.
  const moves = onDeny !== null && approval.repeats !== true;
  changeApproval(draft, approval.id, { status: 'denied', queued: moves });
  project(draft, approval.action, 'denied');
  if (!moveDenied(draft)) remain(draft);
}

/** Moves the run to the `onDeny` target of what was denied, once nothing executes. True: it has moved. */
export function moveDenied(draft: Draft): boolean {
  const { run } = draft;
  let hasMoved = false;
  while (run.executing === null && run.status !== 'stuck' && !closedStatuses.includes(run.status)) {
    const next = run.approvals.find((approval) => approval.queued && approval.status === 'denied');
    if (next === undefined) break;
    changeApproval(draft, next.id, { queued: false });
    const onDeny = transitionOf(draft, next)?.onDeny ?? null;
    if (onDeny === null) continue;
    run.chainDepth = 0;
    run.chain = [];
    const deniers = next.decisions.flatMap(({ by, decision }) => (decision === 'deny' ? [by.id] : []));
    moveTo(draft, onDeny, next.action.transition, next.action, deniers);
    hasMoved = true;
  }
  return hasMoved;
}
