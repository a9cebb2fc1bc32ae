import type { GateTimeout } from './plan.js';
import type { ApprovalState } from './state.js';
import { approved } from './approved.js';
import { change } from './approvals.js';
import { stageOf, stageTimes } from './deadlines.js';
import { actionFact, project, record, type Draft } from './draft.js';
import { isOpen, remain } from './flow.js';

// What time does to an open approval: remind, escalate, approve, expire.

/** When time has something to say to it next, epoch milliseconds. */
export function nextTimer({ reminders, expiresAt }: Pick<ApprovalState, 'reminders' | 'expiresAt'>): number {
  return reminders?.[0] ?? expiresAt;
}

/**
 * The approval's timer has fired. With reminders left it is one of them, unless the time is up already; else its
 * stage is over, whatever this machine's clock says: deny, escalate, or (reversible tools only) approve.
 */
export function deadline(draft: Draft, id: string): void {
  const approval = draft.run.approvals.find((one) => one.id === id);
  if (approval === undefined || !isOpen(approval.status)) return;
  const now = Date.parse(draft.time);
  const [next, ...reminders] = approval.reminders ?? [];
  if (next !== undefined && now < approval.expiresAt)
    return remind(
      draft,
      approval,
      reminders.filter((at) => at > now),
    );
  const stage = stageOf(approval.gate, approval.stage ?? 0);
  const over = approval.endsAt !== undefined && approval.expiresAt >= approval.endsAt;
  if (!over && stage?.action === 'escalate') return escalate(draft, approval, stage);
  if (!over && stage?.action === 'approve' && approval.action.tier === 'reversible') {
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
  remain(draft);
}

function remind(draft: Draft, approval: ApprovalState, reminders: readonly number[]): void {
  change(draft, approval.id, { reminders });
  record(draft, 'approval.reminded', {
    action: actionFact(approval.action),
    approval: approval.id,
    data: { roles: [...approval.roles], expiresAt: new Date(approval.expiresAt).toISOString() },
  });
  draft.effects.push({ kind: 'arm', approval: approval.id, at: nextTimer({ ...approval, reminders }) });
}

function escalate(draft: Draft, approval: ApprovalState, over: GateTimeout): void {
  // Whoever holds `approval.decide` may decide where no role is named: a role would be one condition more.
  const roles = approval.roles.length === 0 ? [] : [...new Set([...approval.roles, ...over.to])];
  const stage = (approval.stage ?? 0) + 1;
  const { gate, endsAt } = approval;
  const times = stageTimes(gate, stageOf(gate, stage), draft.kit, Date.parse(draft.time), roles, endsAt);
  change(draft, approval.id, { status: 'escalated', roles, stage, ...times });
  record(draft, 'approval.escalated', {
    action: actionFact(approval.action),
    approval: approval.id,
    data: { roles, expiresAt: new Date(times.expiresAt).toISOString() },
  });
  draft.effects.push({ kind: 'arm', approval: approval.id, at: nextTimer(times) });
}
