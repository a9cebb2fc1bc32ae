import { canonical } from '../../src/model/canonical.js';
import type { MessageBody } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import { initialRun } from '../../src/engine/index.js';
import type { decide } from '../../src/engine/index.js';
import { lastMoment } from '../../src/engine/standing.js';
import type { Plan } from '../../src/engine/plan.js';
import type { Answer, ApprovalState, Effect, Event, RunState } from '../../src/engine/state.js';
import { kit, message, principal, time } from '../engine/build.js';

// What the real engine says to one event in one state, remembered. States are kept under small numbers: two that
// differ in nothing but the names of ids, or in what can matter to no later event, are one.

export type Who = 'agent' | 'A' | 'B' | 'operator';

/** A message under way. Its id is one of `msg_x0`, `msg_x1`… until the run has taken it. */
export interface Flight {
  readonly id: string;
  readonly kind: 'submit' | 'approve' | 'deny' | 'cancel';
  readonly by: Who;
  /** Index of the approval that it decides; -1: one that nobody has opened. */
  readonly on: number;
  /** It was made after the approval's last moment, and no timer had fired yet. */
  readonly late?: true;
}

export type Happening =
  | { readonly kind: 'message'; readonly flight: Flight }
  | { readonly kind: 'deadline'; readonly on: number }
  | { readonly kind: 'outcome'; readonly on: number; readonly result: 'succeeded' | 'failed' | 'unknown' };

export interface Ruling {
  readonly next: number;
  readonly answer: Answer | null;
  /** The name under which the run remembers the message from now on; null: nothing later depends on it. */
  readonly known: string | null;
  readonly arms: readonly number[];
  readonly disarms: readonly number[];
  /** Index of the approval whose action is to be executed. */
  readonly executes: number | null;
  readonly closes: boolean;
  readonly faults: readonly string[];
}

export interface Rulings {
  readonly first: number;
  state(id: number): RunState;
  rule(id: number, happening: Happening): Ruling;
  /** The engine was asked so often; every other answer was remembered. */
  readonly asked: () => number;
}

const controllers = { roles: ['finance.controller'] };
export const people: Readonly<Record<Who, Principal>> = {
  agent: principal('agent', 'agent'),
  A: principal('ann', 'human', controllers),
  B: principal('bob', 'human', controllers),
  operator: principal('ops', 'human', { permissions: ['run.operate'] }),
};

/** The lasting states of an approval; anything else that happens to it must follow these arrows. */
const follows: Readonly<Record<string, readonly string[]>> = {
  open: ['escalated', 'approved', 'denied', 'expired', 'revoked', 'consumed'],
  escalated: ['approved', 'denied', 'expired', 'revoked', 'consumed'],
  approved: ['consumed', 'revoked'],
  denied: [],
  expired: [],
  revoked: [],
  consumed: [],
};

export function makeRulings(plan: Plan, engine: typeof decide): Rulings {
  const states: RunState[] = [];
  const ids = new Map<string, number>();
  const rulings = new Map<string, Ruling>();
  let asked = 0;
  const keep = (state: RunState): number => {
    const text = canonical(state as never);
    const known = ids.get(text);
    if (known !== undefined) return known;
    states.push(JSON.parse(text) as RunState);
    ids.set(text, states.length - 1);
    return states.length - 1;
  };
  const state = (id: number): RunState => {
    const found = states[id];
    if (found === undefined) throw new Error(`no state ${id}`);
    return found;
  };
  const ask = (run: RunState, event: Event): ReturnType<typeof decide> => {
    asked += 1;
    return engine(plan, run, event, kit, `s${asked}`);
  };
  const rule = (id: number, happening: Happening): Ruling => {
    const key = `${id} ${JSON.stringify(happening)}`;
    const known = rulings.get(key);
    if (known !== undefined) return known;
    const before = state(id);
    const event = eventOf(before, happening);
    const decision = ask(before, event);
    const faults = [...faultsBetween(before, decision.state)];
    const answer = answerIn(decision.effects, event);
    if (event.kind === 'message' && isLate(before, event) && answer?.status !== 'refused')
      faults.push(`a decision counts that was made after the approval's last moment`);
    if (event.kind === 'message') faults.push(...duplicateFaults(before, decision, event, answer, ask));
    if (answer?.status === 'accepted' && happening.kind === 'message')
      if (!before.seen.some((one) => one.id === happening.flight.id))
        faults.push(...lostFaults(decision.state, happening.flight));
    const name = happening.kind === 'message' ? lastingName(decision.state, happening.flight, answer) : null;
    const at = (approval: string): number => decision.state.approvals.findIndex((one) => one.id === approval);
    const execute = decision.effects.find((one) => one.kind === 'execute');
    const ruling: Ruling = {
      next: keep(tidy(decision.state, happening, name)),
      answer,
      known: name,
      arms: decision.effects.flatMap((one) => (one.kind === 'arm' ? [at(one.approval)] : [])),
      disarms: decision.effects.flatMap((one) => (one.kind === 'disarm' ? [at(one.approval)] : [])),
      executes: execute?.kind === 'execute' ? at(execute.executing.action.approval ?? '') : null,
      closes: decision.effects.some((one) => one.kind === 'close'),
      faults,
    };
    rulings.set(key, ruling);
    return ruling;
  };
  return { first: keep(tidy(begun(plan, ask), null, null)), state, rule, asked: () => asked };
}

/** A run that has taken its start and waits for its first submit. */
function begun(plan: Plan, ask: (run: RunState, event: Event) => { state: RunState }): RunState {
  const facts = { flow: plan.name, flowVersion: 1, planHash: 'sha256:p', environment: 'dev', traceId: 't' };
  const start = message(people.agent, { kind: 'start', mode: 'live', input: {}, ...facts });
  const first = initialRun(plan, 'sha256:p', start);
  if (first === null) throw new Error('no start');
  return ask(first, { kind: 'message', time, message: start }).state;
}

function bodyOf(run: RunState, { kind, on }: Flight): MessageBody {
  if (kind === 'cancel') return { kind };
  if (kind === 'submit')
    return { kind, transition: 'pay', arguments: { amount: 60_000 }, expectedVersion: null };
  const approval = run.approvals[on];
  const digest = approval?.action.digest ?? 'sha256:of-nothing';
  return { kind: 'decide', approval: approval?.id ?? 'apr_none', decision: kind, digest, reasonGiven: false };
}

let deliveries = 0;

function madeAt(run: RunState, { late, on }: Flight): string {
  const approval = run.approvals[on];
  const end = late === true && approval !== undefined ? lastMoment(approval, kit) : undefined;
  return end === undefined ? time : new Date(end + 1).toISOString();
}

function eventOf(run: RunState, happening: Happening): Event {
  if (happening.kind === 'deadline') {
    const approval = run.approvals[happening.on];
    const due = new Date(approval === undefined ? 0 : approval.timer).toISOString();
    return { kind: 'deadline', time: due, approval: approval?.id ?? '' };
  }
  if (happening.kind === 'message') {
    deliveries += 1;
    const { flight } = happening;
    const fields = { id: flight.id, delivery: `d${deliveries}`, time: madeAt(run, flight) };
    return { kind: 'message', time, message: message(people[flight.by], bodyOf(run, flight), fields) };
  }
  const action = run.approvals[happening.on]?.action.id ?? '';
  const done = { output: {}, response: {}, evidence: [], attempt: 1, outputRef: null } as const;
  const result =
    happening.result === 'succeeded'
      ? ({ status: 'succeeded', ...done } as const)
      : happening.result === 'failed'
        ? ({ status: 'failed', errorClass: 'permanent', message: 'no', attempt: 1 } as const)
        : ({ status: 'unknown', message: 'lost', attempt: 1 } as const);
  return { kind: 'outcome', time, action, result };
}

function answerIn(effects: readonly Effect[], event: Event): Answer | null {
  if (event.kind !== 'message') return null;
  const found = effects.find((one) => one.kind === 'answer' && one.messageId === event.message.id);
  return found?.kind === 'answer' ? found.answer : null;
}

// --- what must hold between one state and the next ------------------------------------------------

function* faultsBetween(before: RunState, after: RunState): Generator<string> {
  for (const { id } of before.seen)
    if (!after.seen.some((one) => one.id === id)) yield `the run no longer knows ${id}`;
  for (const [index, old] of before.approvals.entries()) {
    const now = after.approvals[index];
    if (now === undefined) yield `approval ${index} is gone`;
    else if (now.status !== old.status && follows[old.status]?.includes(now.status) !== true)
      yield `approval ${index} was ${old.status} and is ${now.status}: two outcomes`;
    else if (!old.decisions.every((one) => now.decisions.some((other) => other.id === one.id)))
      yield `a decision on approval ${index} is no longer in the state: lost`;
  }
}

function isLate(
  before: RunState,
  { message: { body, time: made } }: Extract<Event, { kind: 'message' }>,
): boolean {
  if (body.kind !== 'decide') return false;
  const approval = before.approvals.find((one) => one.id === body.approval);
  const end = approval === undefined ? undefined : lastMoment(approval, kit);
  return end !== undefined && Date.parse(made) > end;
}

/** The same message again, by another delivery and by the same: the same answer, and nothing else changes. */
function* duplicateFaults(
  before: RunState,
  { state }: { readonly state: RunState },
  event: Extract<Event, { kind: 'message' }>,
  answer: Answer | null,
  ask: (run: RunState, event: Event) => ReturnType<typeof decide>,
): Generator<string> {
  if (before.seen.some((one) => one.id === event.message.id)) return;
  for (const delivery of [`${event.message.delivery}-again`, event.message.delivery]) {
    const again: Event = { ...event, message: { ...event.message, delivery } };
    const second = ask(state, again);
    if (canonical(answerIn(second.effects, again) as never) !== canonical(answer as never))
      yield `a duplicate of ${event.message.id} was answered otherwise`;
    const plain = (run: RunState): string => canonical({ ...run, seen: [] } as never);
    if (plain(second.state) !== plain(state)) yield `a duplicate of ${event.message.id} changed the run`;
  }
}

function* lostFaults(after: RunState, flight: Flight): Generator<string> {
  if (flight.kind !== 'approve' && flight.kind !== 'deny') return;
  const decisions = after.approvals[flight.on]?.decisions ?? [];
  if (!decisions.some((one) => one.by.id === people[flight.by].id && one.decision === flight.kind))
    yield `the decision of ${flight.by} was accepted and is not in the state: lost`;
}

// --- one name for what is the same ----------------------------------------------------------------

const lasts = ({ status }: Answer): boolean => status === 'accepted' || status === 'pending';

function lastingName(state: RunState, flight: Flight, answer: Answer | null): string | null {
  if (!flight.id.startsWith('msg_x')) return flight.id;
  if (answer === null || !lasts(answer)) return null;
  if (flight.kind === 'cancel') return 'msg_cancel';
  if (flight.kind === 'submit') {
    const opened = state.approvals.findIndex((one) => one.action.messageId === flight.id);
    return opened < 0 ? null : `msg_s${opened}`;
  }
  const taken = state.seen.map((one) => one.id);
  let name = `msg_${flight.kind === 'deny' ? 'd' : ''}${flight.by}${flight.on}`;
  while (taken.includes(name)) name += 'x';
  return name;
}

/** Drops what no later event can read, and names ids by what they belong to. */
function tidy(state: RunState, happening: Happening | null, name: string | null): RunState {
  const dropped = happening?.kind === 'message' && name === null ? happening.flight.id : null;
  const seen = state.seen
    .filter((one) => one.id !== dropped && one.answer !== null && lasts(one.answer))
    .map((one) => ({ ...one, deliveries: [] }));
  const small: RunState = {
    ...state,
    seen: seen.filter((one) => !/^msg_\d/.test(one.id) && !ofOver(state, one.id)),
    evidence: [],
    approvals: state.approvals.map(tidyApproval),
  };
  let text = JSON.stringify(small);
  for (const [index, approval] of state.approvals.entries()) {
    text = text.replaceAll(approval.id, `apr_${index}`);
    text = text.replaceAll(approval.action.id, `act_${index}`);
  }
  if (happening?.kind === 'message' && name !== null) text = text.replaceAll(happening.flight.id, name);
  const named = JSON.parse(text) as RunState;
  const seenOnce = new Map(named.seen.map((one) => [one.id, one]));
  return { ...named, seen: [...seenOnce.values()].sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

/** Of an approval that is over: what a duplicate of it is answered was seen when it was taken. */
function ofOver(state: RunState, id: string): boolean {
  const on = /^msg_d?[AB](\d+)/.exec(id)?.[1];
  return on !== undefined && over.includes(state.approvals[Number(on)]?.status ?? '');
}

const over = ['denied', 'expired', 'revoked'];

function tidyApproval(approval: ApprovalState): ApprovalState {
  const action = { ...approval.action, requestedAt: time };
  if (over.includes(approval.status)) return { ...approval, action, decisions: [], requesters: [] };
  const decisions = [...approval.decisions].sort((a, b) => (a.by.id < b.by.id ? -1 : 1));
  return { ...approval, action, decisions };
}
