import type { JsonObject } from '../model/json.js';
import type { Message } from '../model/message.js';
import type { Gate, Transition } from './plan.js';
import type { Action, ApprovalState, ApprovalStatus, Refusal } from './state.js';
import { actionFact, actorOf, answer, derivedId, project, record, refuse, type Draft } from './draft.js';
import { evaluateGuard } from './guards.js';
import { findState, guardContext } from './links.js';
import { gateRoles, mayDecide, quorumReached } from './gates.js';
import { actionDigest } from './action.js';
import { isOpen, moveTo, perform, settle } from './flow.js';

// The life of an approval inside a run: open, attach, decide, expire, revoke, start what was approved.

type Decide = Extract<Message['body'], { kind: 'decide' }>;

export function openApproval(draft: Draft, transition: Transition, action: Action, gate: Gate): void {
  const { run } = draft;
  const same = run.approvals.find((one) => isOpen(one.status) && one.action.digest === action.digest);
  if (same !== undefined) return attach(draft, same, action);
  const id = derivedId(draft, 'apr', action.id);
  const parked: Action = { ...action, approval: id };
  const at = guardContext(run, action.requester, action.arguments);
  const approval: ApprovalState = {
    id,
    action: parked,
    status: 'open',
    gate,
    roles: gateRoles(gate, draft.kit),
    decisions: [],
    expiresAt: Date.parse(draft.time) + (gate.timeout?.afterMs ?? draft.kit.gateTimeoutMs),
    human: transition.executor?.kind === 'human',
    requesters: action.requester === null ? [] : [action.requester.id],
    queued: false,
    guards: transition.guards.map((guard, index) => {
      const { verdict, reason } = evaluateGuard(guard, at);
      return { index, kind: guard.kind, verdict, reason };
    }),
  };
  run.approvals = [...run.approvals, approval];
  project(draft, parked, 'pending');
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
  draft.effects.push({ kind: 'arm', approval: id, at: approval.expiresAt });
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

function change(draft: Draft, id: string, fields: Partial<ApprovalState>): ApprovalState | undefined {
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
function refusalOf(
  approval: ApprovalState | undefined,
  body: Decide,
  message: Message,
): Omit<Refusal, 'status'> | null {
  if (approval === undefined)
    return { code: 'NOT_FOUND', message: `this run has no approval \`${body.approval}\`` };
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
  if (approval.gate.reason === 'required' && !body.reasonGiven) {
    return { code: 'REASON_REQUIRED', message: 'this gate asks for a reason: send `reason`' };
  }
  return null;
}

export function decideApproval(draft: Draft, message: Message, body: Decide): void {
  const approval = draft.run.approvals.find((one) => one.id === body.approval);
  const refusal = refusalOf(approval, body, message);
  if (approval === undefined || refusal !== null) {
    const said = refusal ?? { code: 'NOT_FOUND' as const, message: 'unknown approval' };
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
    return refuse(draft, message.id, said);
  }
  const roles = approval.roles.filter((role) => message.principal.roles.includes(role));
  const by = { id: message.principal.id, kind: message.principal.kind };
  const decided = change(draft, approval.id, {
    decisions: [
      ...approval.decisions,
      { id: message.id, by, roles, decision: body.decision, at: draft.time },
    ],
  });
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
  if (decided === undefined) return;
  if (body.decision === 'deny') return deny(draft, decided);
  noteApproval(draft, decided, message.principal.id);
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

function deny(draft: Draft, approval: ApprovalState): void {
  change(draft, approval.id, { status: 'denied' });
  draft.effects.push({ kind: 'disarm', approval: approval.id });
  project(draft, approval.action, 'denied');
  const onDeny = transitionOf(draft, approval)?.onDeny ?? null;
  if (onDeny !== null && draft.run.executing === null && approval.human) {
    return moveTo(draft, onDeny, approval.action.transition, approval.action);
  }
  if (draft.run.executing === null && draft.run.status !== 'stuck') settle(draft);
}

function transitionOf(draft: Draft, approval: ApprovalState): Transition | undefined {
  return findState(draft.plan, draft.run.state)?.transitions.find(
    (one) => one.name === approval.action.transition,
  );
}

function approved(draft: Draft, approval: ApprovalState): void {
  change(draft, approval.id, { status: 'approved', queued: true });
  draft.effects.push({ kind: 'disarm', approval: approval.id });
  project(draft, approval.action, 'approved');
  startApproved(draft);
}

/** Starts the oldest approved action when nothing else runs. Guards and digest are checked once more. */
export function startApproved(draft: Draft): void {
  const { run } = draft;
  if (run.executing !== null || run.status === 'stuck' || run.cancelRequested !== null || run.timeoutDue)
    return;
  const next = run.approvals.find((one) => one.queued && one.status === 'approved');
  if (next === undefined) return;
  change(draft, next.id, { queued: false });
  const transition = transitionOf(draft, next);
  const failure =
    transition === undefined ? 'the state no longer has this transition' : recheck(draft, transition, next);
  if (transition === undefined || failure !== null) {
    record(draft, 'transition.rejected', {
      actor: actorOf(next.action.requester),
      action: actionFact(next.action),
      approval: next.id,
      data: { code: 'GUARD_REJECTED', message: failure ?? '' },
    });
    project(draft, next.action, 'failed', { code: 'GUARD_REJECTED', message: failure ?? '' });
    settle(draft);
    return startApproved(draft);
  }
  if (next.human) consume(draft, next.id);
  run.chainDepth = 0;
  run.chain = [];
  perform(draft, transition, next.action);
}

/** Why what was approved may no longer run; null when it may. */
function recheck(draft: Draft, transition: Transition, approval: ApprovalState): string | null {
  const { action } = approval;
  const digest = actionDigest(draft, action, approval.gate as unknown as JsonObject);
  if (digest !== action.digest) return 'what would run is not what was approved';
  const at = guardContext(draft.run, action.requester, action.arguments);
  for (const [index, guard] of transition.guards.entries()) {
    const { verdict, reason } = evaluateGuard(guard, at);
    record(draft, 'guard.evaluated', {
      actor: actorOf(action.requester),
      action: actionFact(action),
      policy: { rule: `guards/${index}`, verdict, reason },
      data: { index, kind: guard.kind, verdict, reason },
    });
    if (verdict !== 'pass') return `guard ${index} (${guard.kind}) no longer passes: ${reason}`;
  }
  return null;
}

export function consume(draft: Draft, id: string): void {
  const approval = change(draft, id, { status: 'consumed' });
  if (approval === undefined) return;
  record(draft, 'approval.consumed', { action: actionFact(approval.action), approval: id });
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

/** The gate's time is up: deny, escalate once, or (reversible tools only) approve. */
export function deadline(draft: Draft, id: string): void {
  const approval = draft.run.approvals.find((one) => one.id === id);
  if (approval === undefined || !isOpen(approval.status)) return;
  const timeout = approval.gate.timeout;
  if (timeout?.action === 'escalate' && approval.status === 'open') return escalate(draft, approval, timeout);
  if (timeout?.action === 'approve' && approval.action.tier === 'reversible') {
    record(draft, 'approval.decided', {
      action: actionFact(approval.action),
      approval: id,
      policy: { rule: 'gate.timeout', verdict: 'approve', reason: 'the time was up' },
      data: { decision: 'approve', digest: approval.action.digest, by: 'timeout' },
    });
    return approved(draft, approval);
  }
  change(draft, id, { status: 'expired' });
  project(draft, approval.action, 'expired');
  record(draft, 'approval.expired', { action: actionFact(approval.action), approval: id });
  if (draft.run.executing === null && draft.run.status !== 'stuck') settle(draft);
}

function escalate(draft: Draft, approval: ApprovalState, timeout: NonNullable<Gate['timeout']>): void {
  const roles = [...new Set([...approval.roles, ...timeout.to])];
  const expiresAt = approval.expiresAt + timeout.afterMs;
  change(draft, approval.id, { status: 'escalated', roles, expiresAt });
  record(draft, 'approval.escalated', {
    action: actionFact(approval.action),
    approval: approval.id,
    data: { roles, expiresAt: new Date(expiresAt).toISOString() },
  });
  draft.effects.push({ kind: 'arm', approval: approval.id, at: expiresAt });
}
