import type { JsonObject } from '../../model/json.js';
import type { Message } from '../../model/message.js';
import type { Transition } from '../plan.js';
import {
  closedStatuses,
  type Action,
  type ApprovalState,
  type ApprovalStatus,
  type GateState,
  type Refusal,
  type Shown,
} from '../state.js';
import { asksTheSame } from '../effects/action.js';
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
  type Notes,
} from '../run/draft.js';
import { noteDenial } from './denials.js';
import { boundRules, ruleText, type Applying } from './gates.js';
import { findState } from '../links.js';
import { newApproval, partiesTo, refuseShowing, repeating, roomTaken } from './opening.js';
import { allApproved } from './quorum.js';
import { lastMoment, standingOf } from './standing.js';
import { isOpen, moveTo, remain, settle, type From } from '../run/flow.js';

// The life of an approval inside a run: open, attach, decide, revoke. Its end by time is expiry.ts, what follows an approval approved.ts.

type Decide = Extract<Message['body'], { kind: 'decide' }>;

export function openApproval(
  draft: Draft,
  transition: Transition,
  action: Action,
  { shown, repeatedBy, ...applying }: Applying & From & { readonly shown: Shown },
): void {
  const { run } = draft;
  const rules = boundRules(applying.gates);
  const same = run.approvals.find(
    (approval) => isOpen(approval.status) && asksTheSame(draft.kit, run, action, rules, approval),
  );
  if (same !== undefined) return attach(draft, same, action, repeatedBy);
  const id = derivedId(draft, 'apr', action.id);
  const parked = { ...action, approval: id };
  const opening = repeating(draft, newApproval(draft, transition, parked, applying), repeatedBy);
  const room = roomTaken(draft, opening, shown);
  if (room.status === 'full') return refuseShowing(draft, transition, action, room.message);
  const approval = { ...opening, ...room.taken };
  run.approvals = [...run.approvals, approval];
  project(draft, parked, 'pending', { shown });
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

/** The same requester's same request joins the open approval: the digest names who asked. */
function attach(draft: Draft, approval: ApprovalState, action: Action, repeatedBy: string | undefined): void {
  const requesters = [...new Set([...approval.requesters, ...partiesTo(draft.run, action)])];
  change(draft, approval.id, repeating(draft, { ...approval, requesters }, repeatedBy));
  if (action.messageId !== null) {
    answer(draft, action.messageId, {
      status: 'pending',
      transition: action.transition,
      action: approval.action.id,
      approval: approval.id,
    });
  }
  // What led here may be an effect of the runtime, and whoever waits for it.
  settle(draft);
}

export function change(draft: Notes, id: string, fields: Partial<ApprovalState>): ApprovalState | undefined {
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
  return next;
}

const settled: Readonly<Record<Exclude<ApprovalStatus, 'open' | 'escalated'>, Refusal['code']>> = {
  approved: 'ALREADY_DECIDED',
  denied: 'ALREADY_DECIDED',
  consumed: 'ALREADY_DECIDED',
  expired: 'APPROVAL_EXPIRED',
  revoked: 'APPROVAL_REVOKED',
};

/** Still open, approver, digest, reason: in this order (docs/spec/api.md). Null: the decision counts. */
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
    return deny(draft, decided, principal.id);
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

function deny(draft: Draft, approval: ApprovalState, by: string): void {
  const onDeny = transitionOf(draft, approval)?.onDeny ?? null;
  noteDenial(draft, approval.action, by);
  // While an effect is under way, or its outcome unknown, the move waits: it belongs to the run as that leaves it.
  const moves = onDeny !== null && approval.repeats !== true;
  change(draft, approval.id, { status: 'denied', queued: moves });
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
    const deniers = next.decisions.flatMap(({ by, decision }) => (decision === 'deny' ? [by.id] : []));
    moveTo(draft, onDeny, next.action.transition, next.action, deniers);
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
  draft: Notes,
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
    const error = { code: 'APPROVAL_REVOKED', message: why } as const;
    project(draft, approval.action, 'revoked', { error });
    record(draft, 'approval.revoked', {
      action: actionFact(approval.action),
      approval: approval.id,
      data: { reason: why },
    });
  }
}
