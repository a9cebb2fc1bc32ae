import type { JsonObject } from '../model/json.js';
import type { Message } from '../model/message.js';
import type { Gate, Transition } from './plan.js';
import {
  closedStatuses,
  type Action,
  type ApprovalState,
  type ApprovalStatus,
  type Excluded,
  type Refusal,
  type Shown,
} from './state.js';
import { asksTheSame } from './action.js';
import { approved } from './approved.js';
import { endOf, lastMoment, stageOf, stageTimes } from './deadlines.js';
import { actionFact, actorOf, answer, derivedId, project, record, refuse, type Draft } from './draft.js';
import { evaluateGuard } from './guards.js';
import { findState, guardContext } from './links.js';
import { gateRoles, mayDecide, type AskedGate } from './gates.js';
import { noteDenial } from './denials.js';
import { quorumReached } from './quorum.js';
import { nextTimer } from './expiry.js';
import { isOpen, moveTo, remain, settle, type From } from './flow.js';

// The life of an approval inside a run: open, attach, decide, revoke. Its end by time is expiry.ts, what follows an approval approved.ts.

type Decide = Extract<Message['body'], { kind: 'decide' }>;

export function openApproval(
  draft: Draft,
  transition: Transition,
  action: Action,
  { gate, asked, shown, repeatedBy }: AskedGate & From & { readonly shown: Shown },
): void {
  const { run } = draft;
  const same = run.approvals.find(
    (one) => isOpen(one.status) && asksTheSame(draft.kit, run, action, gate, one),
  );
  if (same !== undefined) return attach(draft, same, action, repeatedBy);
  const id = derivedId(draft, 'apr', action.id);
  const parked = { ...action, approval: id };
  const approval = newApproval(draft, transition, parked, gate, asked);
  run.approvals = [...run.approvals, repeatedBy === undefined ? approval : repeating(approval, repeatedBy)];
  project(draft, parked, 'pending', { shown });
  record(draft, 'human.approval.requested', {
    actor: actorOf(action.requester),
    action: actionFact(parked),
    approval: id,
    refs: action.refs,
    data: {
      roles: [...approval.roles],
      quorum: gate.quorum.count,
      expiresAt: new Date(approval.expiresAt).toISOString(),
      because: [...gate.because],
    },
  });
  draft.effects.push({ kind: 'arm', approval: id, at: nextTimer(approval) });
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

function newApproval(
  draft: Draft,
  transition: Transition,
  action: Action & { readonly approval: string },
  gate: Gate,
  asked: AskedGate['asked'],
): ApprovalState {
  const { run, kit } = draft;
  const at = guardContext(run, action.requester, action.arguments);
  const roles = gateRoles(gate, kit);
  const from = Date.parse(draft.time);
  const endsAt = endOf(gate, at, from, kit.gateTimeoutMs);
  const { expiresAt, reminders } = stageTimes(gate, stageOf(gate, 0), kit, from, roles, endsAt);
  const excluded = excludedFrom(draft, gate);
  return {
    id: action.approval,
    action,
    status: 'open',
    gate,
    roles,
    decisions: [],
    expiresAt,
    ...(reminders.length === 0 ? {} : { reminders }),
    ...(endsAt === undefined ? {} : { endsAt }),
    ...(excluded.length === 0 ? {} : { excluded }),
    asked,
    human: transition.executor?.kind === 'human',
    requesters: action.requester === null ? [] : [action.requester.id],
    queued: false,
    guards: transition.guards.map((guard, index) => {
      const { verdict, reason } = evaluateGuard(guard, at);
      return { index, kind: guard.kind, verdict, reason };
    }),
  };
}

/** Who has a part in this already, where the gate asks for somebody who has none. */
function excludedFrom({ run, kit }: Draft, { separation }: Gate): Excluded[] {
  const found: Excluded[] = [];
  if (separation.author && kit.author !== null) found.push({ id: kit.author, why: 'author' });
  if (separation.promoter && kit.promoter !== null) found.push({ id: kit.promoter, why: 'promoter' });
  if (separation.approvers !== true) return found;
  const earlier = run.evidence.filter((one) => one.kind === 'human_request').map((one) => one.by);
  for (const id of new Set(earlier)) if (id !== null) found.push({ id, why: 'approver' });
  return found;
}

/** The same requester's same request joins the open approval: the digest names who asked. */
function attach(draft: Draft, approval: ApprovalState, action: Action, repeatedBy: string | undefined): void {
  if (repeatedBy !== undefined) change(draft, approval.id, repeating(approval, repeatedBy));
  if (action.messageId !== null) {
    answer(draft, action.messageId, {
      status: 'pending',
      transition: action.transition,
      action: approval.action.id,
      approval: approval.id,
    });
  }
}

/** Whoever has it done again has a part in it, like who asked for it at first. */
function repeating(approval: ApprovalState, by: string): ApprovalState {
  return { ...approval, repeats: true, requesters: [...new Set([...approval.requesters, by])] };
}

export function change(draft: Draft, id: string, fields: Partial<ApprovalState>): ApprovalState | undefined {
  draft.run.approvals = draft.run.approvals.map((one) => (one.id === id ? { ...one, ...fields } : one));
  return draft.run.approvals.find((one) => one.id === id);
}

const settled: Readonly<Record<Exclude<ApprovalStatus, 'open' | 'escalated'>, Refusal['code']>> = {
  approved: 'ALREADY_DECIDED',
  denied: 'ALREADY_DECIDED',
  consumed: 'ALREADY_DECIDED',
  expired: 'APPROVAL_EXPIRED',
  revoked: 'APPROVAL_REVOKED',
};

/** Still open, approver, digest, reason: in this order (API.md). Null: the decision counts. */
function refusalOf(approval: ApprovalState, body: Decide, message: Message): Omit<Refusal, 'status'> | null {
  if (!(approval.status === 'open' || approval.status === 'escalated')) {
    return { code: settled[approval.status], message: `the approval is ${approval.status}` };
  }
  const may = mayDecide(approval, message.principal);
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
  const end = lastMoment(approval);
  if (end !== undefined && !(Date.parse(message.time) <= end)) {
    return {
      code: 'APPROVAL_EXPIRED',
      message: `the decision came after ${new Date(end).toISOString()}, when its time was up`,
    };
  }
  if (approval.gate.reason !== 'optional' && !body.reasonGiven) {
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
  const approval = draft.run.approvals.find((one) => one.id === body.approval);
  if (approval === undefined && settledAs !== null && !isOpen(settledAs)) {
    const code = settled[settledAs as Exclude<ApprovalStatus, 'open' | 'escalated'>];
    return refuseDecision(draft, message, body, { code, message: `the approval is ${settledAs}` });
  }
  if (approval === undefined) {
    const text = `this run has no approval \`${body.approval}\``;
    return refuseDecision(draft, message, body, { code: 'NOT_FOUND', message: text });
  }
  const refusal = refusalOf(approval, body, message);
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
  const roles = approval.roles.filter((role) => message.principal.roles.includes(role));
  const by = { id: message.principal.id, kind: message.principal.kind };
  const decision = { id: message.id, by, roles, decision: body.decision, at: draft.time };
  const decided = { ...approval, decisions: [...approval.decisions, decision] };
  change(draft, approval.id, decided);
  record(draft, 'approval.decided', {
    actor: actorOf(message.principal),
    action: actionFact(approval.action),
    approval: approval.id,
    causation: message.id,
    permission: approval.roles.length > 0 ? `role:${roles.join(',')}` : 'approval.decide',
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
      ...cameBy(message, body),
    },
  });
  answer(draft, message.id, { status: 'accepted' });
  if (body.decision !== 'approve') return deny(draft, decided, message.principal.id);
  noteApproval(draft, decided, message.principal.id);
  excludeElsewhere(draft, decided, message.principal.id);
  if (quorumReached(decided)) approved(draft, decided);
}

/** The door, and who acted for the human where one did. */
function cameBy(message: Message, body: Decide): JsonObject {
  const { actedBy } = message.principal;
  return {
    ...(body.via === undefined ? {} : { via: body.via }),
    ...(actedBy === undefined ? {} : { actedBy }),
  };
}

/** Evidence `human_request`; the requester's own carries no name, so it never counts. */
function noteApproval(draft: Draft, approval: ApprovalState, by: string): void {
  const own = approval.requesters.includes(by);
  const id = derivedId(draft, 'evd', `${approval.id}:${by}`);
  const { run } = draft;
  run.evidence = [
    ...run.evidence,
    { id, kind: 'human_request', at: draft.time, stay: run.stay, state: run.state, by: own ? null : by },
  ];
  record(draft, 'evidence.recorded', {
    actor: { kind: 'human', id: by },
    approval: approval.id,
    data: { kind: 'human_request', id },
  });
}

/** Who approves here has approved in this run: what else is open in it may ask for somebody else. */
function excludeElsewhere(draft: Draft, { id }: ApprovalState, by: string): void {
  for (const other of draft.run.approvals) {
    if (other.id === id || !isOpen(other.status) || other.gate.separation.approvers !== true) continue;
    const excluded = other.excluded ?? [];
    if (excluded.some((one) => one.id === by)) continue;
    change(draft, other.id, { excluded: [...excluded, { id: by, why: 'approver' }] });
  }
}

function deny(draft: Draft, approval: ApprovalState, by: string): void {
  const onDeny = transitionOf(draft, approval)?.onDeny ?? null;
  noteDenial(draft, approval.action, by);
  // While an effect is under way, or its outcome unknown, the move waits: it belongs to the run as that leaves it.
  const moves = onDeny !== null && approval.repeats !== true;
  change(draft, approval.id, { status: 'denied', queued: moves });
  draft.effects.push({ kind: 'disarm', approval: approval.id });
  project(draft, approval.action, 'denied');
  if (!moveDenied(draft)) remain(draft);
}

/** Moves where the `onDeny` of what was denied leads, once nothing executes: leaving the state has ended the wait. */
export function moveDenied(draft: Draft): boolean {
  const { run } = draft;
  let hasMoved = false;
  while (run.executing === null && run.status !== 'stuck' && !closedStatuses.includes(run.status)) {
    const next = run.approvals.find((one) => one.queued && one.status === 'denied');
    if (next === undefined) break;
    change(draft, next.id, { queued: false });
    const onDeny = transitionOf(draft, next)?.onDeny ?? null;
    if (onDeny === null) continue;
    run.chainDepth = 0;
    run.chain = [];
    moveTo(draft, onDeny, next.action.transition, next.action);
    hasMoved = true;
  }
  return hasMoved;
}

export function transitionOf(draft: Draft, approval: ApprovalState): Transition | undefined {
  return findState(draft.plan, draft.run.state)?.transitions.find(
    (one) => one.name === approval.action.transition,
  );
}

/** Of these, what waits can no longer be decided, or no longer run: the run left the state or ended, or it is done already. */
export function revokeOpen(
  draft: Draft,
  why: string,
  which: (approval: ApprovalState) => boolean = () => true,
): void {
  for (const approval of draft.run.approvals) {
    if ((!isOpen(approval.status) && !approval.queued) || !which(approval)) continue;
    if (approval.status === 'denied') {
      change(draft, approval.id, { queued: false });
      continue;
    }
    change(draft, approval.id, { status: 'revoked', queued: false });
    draft.effects.push({ kind: 'disarm', approval: approval.id });
    const error = { code: 'APPROVAL_REVOKED', message: why } as const;
    project(draft, approval.action, 'revoked', { error });
    record(draft, 'approval.revoked', {
      action: actionFact(approval.action),
      approval: approval.id,
      data: { reason: why },
    });
  }
}
