import { isOpen } from '../../model/approval-status.js';
import type { ApprovalState, GateState } from '../state.js';
import { onApproved } from './approved.js';
import { changeApproval, setGates } from './changes.js';
import { decidersNow } from './deciders.js';
import { endingOfStage, stageOf, stageTimes } from './deadlines.js';
import { actionFact, project, record, type Draft } from '../run/draft.js';
import { remain } from '../run/flow.js';
import { ruleText } from './gates.js';
import { allApproved, isGateApproved } from './quorum.js';
import { momentOf, standingOf } from './standing.js';

// What time does to an open approval: remind, escalate, approve at a gate, expire.

/**
 * The approval's timer has gone: each gate whose moment has come does what follows. A gate that denies ends the approval; an
 * escalation adds people to its gate, and an approval by time (reversible tools only) approves its gate.
 */
export function onApprovalDeadline(draft: Draft, id: string): void {
  const { kit } = draft;
  const approval = draft.run.approvals.find((candidate) => candidate.id === id);
  if (approval === undefined || !isOpen(approval.status)) return;
  const now = Date.parse(draft.time);
  const due = [...approval.gates.keys()].filter((index) => momentOf(approval, index, kit) <= now);
  if (due.length === 0) return onNothingDue(draft, approval);
  const denied = approval.gates.some(
    (gate, index) => due.includes(index) && denies(draft, approval, gate, index, now),
  );
  if (denied) return expire(draft, approval);
  const gates = approval.gates.map((gate, index) =>
    due.includes(index) ? onGateMoment(draft, approval, gate, now) : gate,
  );
  const escalated = gates.some((gate) => gate.stage !== undefined);
  const next = setGates(draft, approval, gates, escalated ? { status: 'escalated' } : {});
  if (allApproved(next, kit)) onApproved(draft, next);
}

/**
 * No gate's moment has come: the timer was early, or decisions, or changed queues, have settled the gate that it was for.
 * The timer is set to the next moment.
 */
function onNothingDue(draft: Draft, approval: ApprovalState): void {
  if (allApproved(approval, draft.kit)) return onApproved(draft, approval);
  const gates = approval.gates.map((gate) => ({ ...gate, roles: decidersNow(gate, draft.kit).roles }));
  changeApproval(draft, approval.id, { gates, ...standingOf({ ...approval, gates }, draft.kit) });
}

function denies(
  { kit }: Draft,
  approval: ApprovalState,
  gate: GateState,
  index: number,
  now: number,
): boolean {
  if (gate.endsAt !== undefined && gate.endsAt <= now) return true;
  return (
    !isGateApproved(approval, index, kit) &&
    gate.expiresAt <= now &&
    endingOfStage(gate, approval.action.tier).action === 'deny'
  );
}

function expire(draft: Draft, approval: ApprovalState): void {
  changeApproval(draft, approval.id, { status: 'expired' });
  project(draft, approval.action, 'expired');
  record(draft, 'approval.expired', { action: actionFact(approval.action), approval: approval.id });
  remain(draft);
}

function onGateMoment(draft: Draft, approval: ApprovalState, gate: GateState, now: number): GateState {
  if (gate.expiresAt > now) return remind(draft, approval, gate, now);
  const over = endingOfStage(gate, approval.action.tier);
  return over.action === 'escalate'
    ? escalate(draft, approval, gate, over.to)
    : approveByTime(draft, approval, gate);
}

function approveByTime(draft: Draft, { id, action }: ApprovalState, gate: GateState): GateState {
  record(draft, 'approval.decided', {
    action: actionFact(action),
    approval: id,
    policy: { rule: 'gate.timeout', verdict: 'approve', reason: 'the time was up' },
    data: { decision: 'approve', digest: action.digest, by: 'timeout', gates: [ruleText(gate.rule)] },
  });
  return { ...gate, byTime: draft.time };
}

function remind(draft: Draft, { id, action }: ApprovalState, gate: GateState, now: number): GateState {
  record(draft, 'approval.reminded', {
    action: actionFact(action),
    approval: id,
    data: {
      roles: [...gate.roles],
      expiresAt: new Date(gate.expiresAt).toISOString(),
      gate: ruleText(gate.rule),
    },
  });
  return {
    ...gate,
    reminders: [gate.reminders].flat().flatMap((at) => (at !== undefined && at > now ? [at] : [])),
  };
}

/** Decisions made at the gate still count; the roles that are added decide beside the others. */
function escalate(
  draft: Draft,
  { id, action }: ApprovalState,
  gate: GateState,
  to: readonly string[],
): GateState {
  const { kit, time } = draft;
  const stage = (gate.stage ?? 0) + 1;
  const added = [...new Set([...(gate.added ?? []), ...to])];
  const { roles } = decidersNow({ ...gate, added }, kit);
  const { rule, endsAt } = gate;
  const times = stageTimes(rule, stageOf(rule, stage), kit, Date.parse(time), roles, endsAt);
  record(draft, 'approval.escalated', {
    action: actionFact(action),
    approval: id,
    data: { roles: [...roles], expiresAt: new Date(times.expiresAt).toISOString(), gate: ruleText(rule) },
  });
  return { ...gate, added, roles, stage, ...times };
}
