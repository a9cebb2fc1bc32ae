import { canonical } from '../../src/model/values/canonical.js';
import type { MessageBody } from '../../src/model/message.js';
import type { Principal } from '../../src/model/principal.js';
import { initialRun, prune } from '../../src/engine/index.js';
import type { decide } from '../../src/engine/index.js';
import { lastMoment } from '../../src/engine/gates/standing.js';
import { dueEvent, wakeTime } from '../../src/engine/run/moments.js';
import type { Plan } from '../../src/engine/plan.js';
import type { Answer, ApprovalState, Effect, Event, RunState } from '../../src/engine/state.js';
import { principal } from '../engine/people.js';
import { kit, message, time } from '../engine/walk.js';

// What the real engine says to one event in one state, remembered. States are kept under small numbers: two that
// differ in nothing but the names of ids, or in what can matter to no later event, are one.

export type Who = 'agent' | 'A' | 'B' | 'operator';

/** A message of the store, whose id is one of `msg_x0`, `msg_x1`…: what a run keeps of it has a name of its own. */
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
  /** The timer has fired that was set for that moment. */
  | { readonly kind: 'time'; readonly at: number }
  | { readonly kind: 'outcome'; readonly on: number; readonly result: 'succeeded' | 'failed' | 'unknown' };

export interface Ruling {
  readonly next: number;
  readonly answer: Answer | null;
  /** Index of the approval whose action is to be executed. */
  readonly executes: number | null;
  readonly closes: boolean;
  readonly faults: readonly string[];
}

export interface Rulings {
  readonly first: number;
  /** With the approvals that have left the run's document: the store has them still. */
  state(id: number): RunState;
  /** Epoch milliseconds; null: time has nothing to say to it. */
  wakeAt(id: number): number | null;
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

export function makeRulings(plan: Plan, engine: typeof decide, believesTimers: boolean): Rulings {
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
    const event = believesTimers ? believed(before, happening) : eventOf(before, happening);
    const ruling = event === null ? unchanged(id) : ruleOn(before, happening, event);
    rulings.set(key, ruling);
    return ruling;
  };
  const ruleOn = (before: RunState, happening: Happening, event: Event): Ruling => {
    const decision = ask(prune(plan, before), event);
    const after = withOldApprovals(before, decision.state);
    const answer = answerIn(decision.effects, event);
    const faults = [...faultsBetween(before, after)];
    if (happening.kind === 'time') faults.push(...earlyFaults(before, after, happening.at));
    if (event.kind === 'message' && isLate(before, event) && answer?.status !== 'refused')
      faults.push(`a decision counts that was made after the approval's last moment`);
    if (event.kind === 'message' && answer === null) faults.push(`a message has no answer`);
    if (answer?.status === 'accepted' && happening.kind === 'message')
      faults.push(...lostFaults(after, happening.flight));
    const name = happening.kind === 'message' ? lastingName(after, happening.flight) : null;
    const execute = decision.effects.find((one) => one.kind === 'execute');
    const approval = execute?.kind === 'execute' ? (execute.executing.action.approval ?? '') : null;
    return {
      next: keep(tidy(after, happening, name)),
      answer,
      executes: approval === null ? null : after.approvals.findIndex((one) => one.id === approval),
      closes: decision.effects.some((one) => one.kind === 'close'),
      faults,
    };
  };
  return {
    first: keep(tidy(begun(plan, ask), null, null)),
    ...{ state, rule, asked: () => asked, wakeAt: (id) => wakeTime(prune(plan, state(id))) },
  };
}

const unchanged = (id: number): Ruling => ({
  ...{ next: id, answer: null, executes: null, closes: false, faults: [] },
});

function withOldApprovals(before: RunState, after: RunState): RunState {
  const now = new Map(after.approvals.map((one) => [one.id, one]));
  const known = before.approvals.map((old) => now.get(old.id) ?? old);
  const ids = new Set(known.map(({ id }) => id));
  return { ...after, approvals: [...known, ...after.approvals.filter(({ id }) => !ids.has(id))] };
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

function madeAt(run: RunState, { late, on }: Flight): string {
  const approval = run.approvals[on];
  const end = late === true && approval !== undefined ? lastMoment(approval, kit) : undefined;
  return end === undefined ? time : new Date(end + 1).toISOString();
}

/** A timer that has fired is a deadline of the last approval, and nobody looks at the time. */
function believed(run: RunState, happening: Happening): Event | null {
  if (happening.kind !== 'time') return eventOf(run, happening);
  const at = new Date(happening.at).toISOString();
  return { kind: 'deadline', time: at, approval: run.approvals.at(-1)?.id ?? '' };
}

/** Null: there is nothing to decide. */
function eventOf(run: RunState, happening: Happening): Event | null {
  if (happening.kind === 'time') return dueEvent(run, new Date(happening.at).toISOString());
  if (happening.kind === 'message') {
    const { flight } = happening;
    const fields = { id: flight.id, time: madeAt(run, flight) };
    const settledAs = run.approvals[flight.on]?.status ?? null;
    const of = message(people[flight.by], bodyOf(run, flight), fields);
    return { kind: 'message', time, message: of, settledAs };
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
  for (const [index, old] of before.approvals.entries()) {
    const now = after.approvals[index];
    if (now === undefined) yield `approval ${index} is gone`;
    else if (now.status !== old.status && follows[old.status]?.includes(now.status) !== true)
      yield `approval ${index} was ${old.status} and is ${now.status}: two outcomes`;
    else if (!old.decisions.every((one) => now.decisions.some((other) => other.id === one.id)))
      yield `a decision on approval ${index} is no longer in the state: lost`;
  }
}

/** Time changes an open approval at its moment, and not before. */
function* earlyFaults(before: RunState, after: RunState, at: number): Generator<string> {
  for (const [index, { status, timer }] of before.approvals.entries())
    if (after.approvals[index]?.status !== status && timer > at)
      yield `approval ${index} was ${status} until its moment, and is changed by time before it`;
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

function* lostFaults(after: RunState, flight: Flight): Generator<string> {
  if (flight.kind !== 'approve' && flight.kind !== 'deny') return;
  const decisions = after.approvals[flight.on]?.decisions ?? [];
  if (!decisions.some((one) => one.by.id === people[flight.by].id && one.decision === flight.kind))
    yield `the decision of ${flight.by} was accepted and is not in the state: lost`;
}

// --- one name for what is the same ----------------------------------------------------------------

function lastingName(state: RunState, flight: Flight): string | null {
  if (flight.kind === 'cancel') return 'msg_cancel';
  if (flight.kind === 'submit') {
    const opened = state.approvals.findIndex((one) => one.action.messageId === flight.id);
    return opened < 0 ? null : `msg_s${opened}`;
  }
  return `msg_${flight.kind === 'deny' ? 'd' : ''}${flight.by}${flight.on}`;
}

/** Drops what no later event can read, and names ids by what they belong to. */
function tidy(state: RunState, happening: Happening | null, name: string | null): RunState {
  let text = JSON.stringify({ ...state, evidence: [], approvals: state.approvals.map(tidyApproval) });
  for (const [index, approval] of state.approvals.entries()) {
    text = text.replaceAll(approval.id, `apr_${index}`);
    text = text.replaceAll(approval.action.id, `act_${index}`);
  }
  if (happening?.kind === 'message' && name !== null) text = text.replaceAll(happening.flight.id, name);
  return JSON.parse(text) as RunState;
}

const over = ['denied', 'expired', 'revoked'];

function tidyApproval(approval: ApprovalState): ApprovalState {
  const action = { ...approval.action, requestedAt: time };
  if (over.includes(approval.status)) return { ...approval, action, decisions: [], requesters: [] };
  const decisions = [...approval.decisions].sort((a, b) => (a.by.id < b.by.id ? -1 : 1));
  return { ...approval, action, decisions };
}
