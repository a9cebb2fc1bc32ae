import {
  asksPeople,
  type Actor,
  type Executor,
  type Gate,
  type GateTimeout,
  type Guard,
  type OnEnter,
  type Transition,
} from '../../../engine/plan.js';
import { findKind } from '../../../executors/find-kind.js';

// Parts of a plan in words, for readers of a diff: parts that differ in meaning must read differently.

export function actorsText(actor: Actor): string {
  return {
    agent: 'agents and humans',
    human: 'humans',
    system: 'system principals',
    deterministic: 'the runtime alone',
  }[actor];
}

type Doing = Pick<Transition, 'executor' | 'tool'> &
  Pick<OnEnter, 'reliability'> & { readonly tier?: Transition['tier'] };

/** What is done, and what is done instead when it fails. */
export function doingText({ executor, tool, tier, reliability }: Doing): string {
  const what = tool === null ? executorText(executor) : `runs \`${tool}\``;
  const tiered = tier === null || tier === undefined ? what : `${what} (${tier.replace('_', ' ')})`;
  return [
    tiered,
    ...reliability.fallback.map((executor) => `where that fails ${executorText(executor)}`),
  ].join(', ');
}

export function executorText(executor: Executor | null): string {
  if (executor === null) return 'only moves the run';
  if (asksPeople(executor)) return `asks ${peopleText(executor)}`;
  // A version that a later build has published may have a kind that this build does not know.
  return findKind(executor.kind)?.words(executor) ?? `does something of kind \`${executor.kind}\``;
}

function peopleText({ roles, queue }: Pick<Gate, 'roles' | 'queue'>): string {
  if (roles.length > 0) return roles.map((role) => `\`${role}\``).join(' or ');
  return queue === null ? 'who may decide' : `the queue \`${queue}\``;
}

export function gateText(gates: readonly Gate[]): string {
  if (gates.length === 0) return 'without approval';
  return `with ${gates.map(singleGateText).join(', and ')}`;
}

function singleGateText(gate: Gate): string {
  const { quorum, on, timeout, reason, direct, separation, expiresWith = [], reminders = [] } = gate;
  const when = on === null ? '' : ` when ${guardText(on)}`;
  const kept = (['requester', 'author', 'promoter', 'approvers'] as const).filter(
    (role) => separation[role] === true,
  );
  const more = [
    ...quorum.perRole.map(({ role, count }) => `${count} of them of \`${role}\``),
    ...(separation.requester ? [] : ['also by who asked']),
    ...kept.filter((role) => role !== 'requester').map((role) => `not by its ${role}`),
    ...(reason === 'required' ? ['with a reason'] : []),
    ...(direct === 'required' ? ['by the human itself'] : []),
    ...(timeout === null ? [] : [timeText(timeout)]),
    ...expiresWith.map((path) => `denied at \`${path.text}\``),
    ...(reminders.length === 0 ? [] : [`reminded at ${reminders.join(', ')} of the time`]),
  ];
  const approvals = `${quorum.count} approval${quorum.count === 1 ? '' : 's'} of ${peopleText(gate)}${when}`;
  return more.length === 0 ? approvals : `${approvals} (${more.join('; ')})`;
}

/** `after 1 h open to `cfo` too, then after 1 d approved by time`. */
function timeText({ afterMs, atMs, hours, action, to, then }: GateTimeout): string {
  const what = {
    deny: 'denied',
    approve: 'approved by time, by nobody',
    escalate: `open to ${to.map((role) => `\`${role}\``).join(' and ')} too`,
  }[action];
  const at = atMs === undefined ? '' : ` or at ${new Date(atMs).toISOString()}`;
  const during = hours === undefined ? '' : ' of business hours';
  const stage = `after ${durationText(afterMs)}${during}${at} ${what}`;
  return then === undefined ? stage : `${stage}, then ${timeText(then)}`;
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

export function durationText(ms: number): string {
  const [unit, length] = units.find((unit) => ms >= unit[1] && ms % unit[1] === 0) ?? ['ms', 1];
  return `${ms / length} ${unit}`;
}

export function guardText(guard: Guard): string {
  switch (guard.kind) {
    case 'permission':
      return `the permission \`${guard.permission}\``;
    case 'role':
      return `the role \`${guard.role}\``;
    case 'expr':
      return `\`${guard.expr.text}\``;
    case 'evidence':
      return `evidence ${guard.requires.map((required) => `\`${required.kind}\` × ${required.count}`).join(', ')}`;
    case 'not':
      return `not ${guardText(guard.guard)}`;
    case 'allOf':
    case 'anyOf':
      return `${guard.kind === 'allOf' ? 'all' : 'any'} of (${guard.guards.map(guardText).join('; ')})`;
  }
}
