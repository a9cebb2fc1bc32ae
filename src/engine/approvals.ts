import type { JsonObject } from '../model/json.js';
import type { Message } from '../model/message.js';
import type { Transition } from './plan.js';
import type { Action, ApprovalState, ApprovalStatus, GateState, Refusal } from './state.js';
import { approved } from './approved.js';
import { decidersNow, gatesDecidedBy, mayDecide, wantsReason } from './deciders.js';
import {
  actingPrincipal,
  actionFact,
  actorOf,
  answer,
  derivedId,
  project,
  record,
  refuse,
  type Draft,
} from './draft.js';
import { ruleText, type Applying } from './gates.js';
import { findState } from './links.js';
import { newApproval } from './opening.js';
import { allApproved } from './quorum.js';
import { lastMoment, standingOf } from './standing.js';
import { isOpen, moveTo, remain, settle } from './flow.js';

// The life of an approval inside a run: open, attach, decide, revoke. Its end by time is expiry.ts, what follows an approval approved.ts.

type Decide = Extract<Message['body'], { kind: 'decide' }>;

export function openApproval(draft: Draft, transition: Transition, action: Action, applying: Applying): void {
  const { run } = draft;
  const same = run.approvals.find((one) => isOpen(one.status) && one.action.digest === action.digest);
  if (same !== undefined) return attach(draft, same, action);
  const id = derivedId(draft, 'apr', action.id);
  const parked = { ...action, approval: id };
  const approval = newApproval(draft, transition, parked, applying);
  run.approvals = [...run.approvals, approval];
  project(draft, parked, 'pending');
  record(draft, 'human.approval.requested', {
    actor: actorOf(actingPrincipal(action)),
    action: actionFact(parked),
    approval: id,
    refs: action.refs,
    data: {
      roles: [...approval.roles],
      quorum: Math.max(...approval.gates.map(({ rule }) => rule.quorum.count)),
      expiresAt: new Date(approval.expiresAt).toISOString(),
      because: approval.asked.map(({ rule }) => rule),
      ...(action.byRuntime === true ? { requesters: [...approval.requesters] } : {}),
    },
  });
  draft.effects.push({ kind: 'arm', approval: id, at: approval.timer });
  if (action.messageId !== null) {
    answer(draft, action.messageId, {
      status: 'pending',
      transition: transition.name,
      action: parked.id,
      approval: id,
    });
  }
  settle(draft);
}

/** The same transition with the same arguments joins the open approval; its caller may not decide it either. */
function attach(draft: Draft, approval: ApprovalState, action: Action): void {
  const id = action.requester?.id;
  if (id !== undefined && !approval.requesters.includes(id)) {
    change(draft, approval.id, { requesters: [...approval.requesters, id] });
  }
  if (action.messageId !== null) {
    answer(draft, action.messageId, {
      status: 'pending',
      transition: action.transition,
      action: approval.action.id,
      approval: approval.id,
    });
  }
}

export function change(draft: Draft, id: string, fields: Partial<ApprovalState>): ApprovalState | undefined {
  draft.run.approvals = draft.run.approvals.map((one) => (one.id === id ? { ...one, ...fields } : one));
  return draft.run.approvals.find((one) => one.id === id);
}

/** Its gates stand otherwise: so does what is told of all of them together, and while one waits its timer goes on. */
export function setGates(
  draft: Draft,
  approval: ApprovalState,
  gates: readonly GateState[],
  fields: Partial<ApprovalState> = {},
): ApprovalState {
  const changed = { ...approval, ...fields, gates };
  const waits = !allApproved(changed, draft.kit);
  const next = waits ? { ...changed, ...standingOf(changed, draft.kit) } : changed;
  change(draft, approval.id, next);
  if (waits) draft.effects.push({ kind: 'arm', approval: approval.id, at: next.timer });
  return next;
}

const settled: Readonly<Record<Exclude<ApprovalStatus, 'open' | 'escalated'>, Refusal['code']>> = {
  approved: 'ALREADY_DECIDED',
  denied: 'ALREADY_DECIDED',
  consumed: 'ALREADY_DECIDED',
  expired: 'APPROVAL_EXPIRED',
  revoked: 'APPROVAL_REVOKED',
};

/** Still open, approver, digest, reason: in this order (API.md). Null: the decision counts. */
function refusalOf(
  { kit }: Draft,
  approval: ApprovalState,
  body: Decide,
  message: Message,
): Omit<Refusal, 'status'> | null {
  if (!(approval.status === 'open' || approval.status === 'escalated')) {
    return { code: settled[approval.status], message: `the approval is ${approval.status}` };
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

export function decideApproval(draft: Draft, message: Message, body: Decide): void {
  const approval = draft.run.approvals.find((one) => one.id === body.approval);
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
      ...cameBy(message, body),
    },
  });
  answer(draft, message.id, { status: 'accepted' });
  if (body.decision !== 'approve') {
    change(draft, approval.id, decided);
    return deny(draft, decided);
  }
  noteApprover(draft, decided, principal.id);
  const next = setGates(draft, decided, gates);
  if (allApproved(next, draft.kit)) approved(draft, next);
}

/** The door, and who acted for the human where one did. */
function cameBy(message: Message, body: Decide): JsonObject {
  const { actedBy } = message.principal;
  return {
    ...(body.via === undefined ? {} : { via: body.via }),
    ...(actedBy === undefined ? {} : { actedBy }),
  };
}

/** Who approves here has approved in this run: what else is open in it may ask for somebody else. */
function noteApprover(draft: Draft, { id }: ApprovalState, by: string): void {
  const { run } = draft;
  run.approvers = [...new Set([...(run.approvers ?? []), by])];
  for (const other of run.approvals) {
    if (other.id !== id && isOpen(other.status))
      change(draft, other.id, { gates: other.gates.map(without(by)) });
  }
}

function without(id: string): (gate: GateState) => GateState {
  return (gate) => {
    const { excluded = [], rule } = gate;
    if (rule.separation.approvers !== true || excluded.some((one) => one.id === id)) return gate;
    return { ...gate, excluded: [...excluded, { id, why: 'approver' }] };
  };
}

function deny(draft: Draft, approval: ApprovalState): void {
  change(draft, approval.id, { status: 'denied' });
  draft.effects.push({ kind: 'disarm', approval: approval.id });
  project(draft, approval.action, 'denied');
  const onDeny = transitionOf(draft, approval)?.onDeny ?? null;
  if (onDeny !== null && draft.run.executing === null && approval.human) {
    return moveTo(draft, onDeny, approval.action.transition, approval.action);
  }
  remain(draft);
}

export function transitionOf(draft: Draft, approval: ApprovalState): Transition | undefined {
  return findState(draft.plan, draft.run.state)?.transitions.find(
    (one) => one.name === approval.action.transition,
  );
}

/** The run left the state or ended: what was asked in it can no longer be decided. */
export function revokeOpen(draft: Draft, why: string): void {
  for (const approval of draft.run.approvals) {
    if (!isOpen(approval.status) && !approval.queued) continue;
    change(draft, approval.id, { status: 'revoked', queued: false });
    draft.effects.push({ kind: 'disarm', approval: approval.id });
    project(draft, approval.action, 'revoked');
    record(draft, 'approval.revoked', {
      action: actionFact(approval.action),
      approval: approval.id,
      data: { reason: why },
    });
  }
}
