import type { Flight, Happening, Rulings, Who } from './rulings.js';

// The protocol around the engine, as src/workflows/run.ts, src/activities/{step,persist,settle,execute,grants}.ts and
// src/client/{index,outbox}.ts have it: what is durable where, what a crash forgets, and each write as a move of its own.

/** In Temporal's hands. `durable`: in its history; else an update, for whose answer somebody's request waits. */
export interface Queued {
  readonly what: Flight | { readonly deadline: number } | { readonly abandoned: number };
  readonly durable: boolean;
  /** The step that the store has committed and the history has not took it. */
  readonly taken: boolean;
}

/** A step that the store has and the workflow's history has not. */
export interface Ahead {
  readonly by: 'step' | 'outcome';
  readonly after: number;
  readonly arms: readonly number[];
  readonly disarms: readonly number[];
  readonly executes: number | null;
  readonly closes: boolean;
}

export interface World {
  /** Postgres: the run's state, and what executions have left. Engine states by their number. */
  readonly store: number;
  readonly grants: readonly (readonly [approval: number, used: boolean])[];
  readonly attempts: readonly (readonly [approval: number, outcome: string | null])[];
  /** Decisions accepted and not settled, and messages that somebody was told would be delivered. */
  readonly owed: readonly Flight[];
  readonly outbox: readonly Flight[];
  /** Temporal: how far the history is behind the store, and what the workflow's own memory rests on. */
  readonly kernel: number;
  readonly ahead: readonly Ahead[];
  readonly closed: boolean;
  readonly queue: readonly Queued[];
  readonly timers: readonly number[];
  /** Volatile: a worker holds the result of the first step ahead. */
  readonly held: boolean;
  readonly activity: Activity | null;
  /** Attempts of workers that were given up and live on. */
  readonly zombies: readonly { readonly on: number; readonly at: Attempt }[];
  /** The world: effects by approval; and who has truly approved it, by their own messages. */
  readonly effects: readonly (readonly [approval: number, count: number])[];
  readonly said: readonly string[];
}

export type Attempt = 'scheduled' | 'begun' | 'performed' | 'ended';

export interface Activity {
  readonly on: number;
  readonly cancelled: boolean;
  readonly at: Attempt;
}

export const eventKinds = [
  'submit',
  'approveA',
  'approveB',
  'deny',
  'cancel',
  'deadline',
  'escalate',
  'duplicate',
  'crash',
  'continueAsNew',
] as const;
export type EventKind = (typeof eventKinds)[number];

export interface Move {
  /** Null: progress, which costs nothing. */
  readonly event: EventKind | null;
  readonly label: string;
  readonly to: World;
  readonly faults: readonly string[];
}

/** How the protocol is kept; a seeded bug is a protocol that keeps it otherwise. */
export interface Protocol {
  readonly rulings: Rulings;
  /** The call bears an idempotency key; and the target remembers it. */
  readonly keyed: boolean;
  readonly dedupes: boolean;
  readonly mayFail: boolean;
  readonly limits: { readonly approvals: number; readonly inFlight: number };
  readonly consumesGrant: boolean;
  readonly remembersSteps: boolean;
  readonly outboxFirst: boolean;
  readonly settlesClosed: boolean;
  readonly rearms: boolean;
  /** What continue-as-new carries over of the state. */
  readonly carries: (state: number) => number;
}

export function firstWorld({ rulings }: Protocol): World {
  return {
    ...{ store: rulings.first, grants: [], attempts: [], owed: [], outbox: [] },
    ...{ kernel: rulings.first, ahead: [], closed: false, queue: [], timers: [], held: false },
    ...{ activity: null, zombies: [], effects: [], said: [] },
  };
}

export function* moves(protocol: Protocol, world: World): Generator<Move> {
  yield* progress(protocol, world);
  if (world.closed && world.queue.length === 0) return;
  yield* sends(protocol, world);
  yield* fires(protocol, world);
  yield* crashes(world);
  yield* carriesOn(protocol, world);
}

const done = (event: EventKind | null, label: string, to: World, faults: readonly string[] = []): Move => ({
  ...{ event, label, to, faults },
});
const get = <T>(pairs: readonly (readonly [number, T])[], on: number): T | undefined =>
  pairs.find(([key]) => key === on)?.[1];
function set<T>(
  pairs: readonly (readonly [number, T])[],
  on: number,
  to: T,
): readonly (readonly [number, T])[] {
  return [...pairs.filter(([key]) => key !== on), [on, to] as const].sort(([a], [b]) => a - b);
}
const isFlight = (what: Queued['what']): what is Flight => 'id' in what;
export const isOver = ({ closed, queue }: World): boolean => closed && queue.length === 0;
const has = (flights: readonly Flight[], id: string): boolean => flights.some((one) => one.id === id);
const queuedAs = ({ queue }: World, id: string): readonly Queued[] =>
  queue.filter(({ what }) => isFlight(what) && what.id === id);

// --- events ---------------------------------------------------------------------------------------

const verbs: readonly (readonly [EventKind, Flight['kind'], Who])[] = [
  ['approveA', 'approve', 'A'],
  ['approveB', 'approve', 'B'],
  ['deny', 'deny', 'B'],
];

/** The API writes, then sends; it may die between the two. */
function* sends(protocol: Protocol, world: World): Generator<Move> {
  const { limits, rulings } = protocol;
  const under = new Set(
    [...world.outbox, ...world.queue.map(({ what }) => what).filter(isFlight)].map((one) => one.id),
  );
  const free = [0, 1, 2, 3, 4].find((n) => !under.has(`msg_x${n}`)) ?? 5;
  if (
    world.queue.length + world.outbox.filter((one) => queuedAs(world, one.id).length === 0).length >=
    limits.inFlight
  )
    return;
  const id = `msg_x${free}`;
  const approvals = rulings.state(world.store).approvals;
  const last = approvals.length - 1;
  const open = approvals.some(({ status }) => status === 'open' || status === 'escalated');
  if (open || approvals.length < limits.approvals)
    yield* sent(protocol, world, 'submit', { id, kind: 'submit', by: 'agent', on: -1 });
  yield* sent(protocol, world, 'cancel', { id, kind: 'cancel', by: 'operator', on: -1 });
  for (const [event, kind, by] of verbs)
    for (const on of last > 0 ? [last - 1, last] : [last])
      yield* sent(protocol, world, event, { id, kind, by, on });
  for (const flight of repeatable(protocol, world)) {
    const queue = [...world.queue, { what: flight, durable: false, taken: false }];
    yield done('duplicate', `${flight.id} is sent again`, { ...world, queue });
  }
}

/** What can be sent again: what is under way, and what the run remembers. */
function repeatable({ rulings }: Protocol, world: World): Flight[] {
  const waiting = [...world.queue.map(({ what }) => what).filter(isFlight), ...world.outbox];
  const remembered = rulings.state(world.store).seen.flatMap(({ id }): Flight[] => {
    const [, deny, by, on] = /^msg_(d?)([ABs])(\d+)x*$/.exec(id) ?? [];
    if (id === 'msg_cancel') return [{ id, kind: 'cancel', by: 'operator', on: -1 }];
    if (by === 's') return [{ id, kind: 'submit', by: 'agent', on: -1 }];
    if (by === undefined) return [];
    return [{ id, kind: deny === 'd' ? 'deny' : 'approve', by: by === 'A' ? 'A' : 'B', on: Number(on) }];
  });
  const all = new Map([...waiting, ...remembered].map((one) => [one.id, one]));
  return [...all.values()].filter((one) => queuedAs(world, one.id).length < 2);
}

function* sent(protocol: Protocol, world: World, event: EventKind, flight: Flight): Generator<Move> {
  const decision = flight.kind === 'approve' || flight.kind === 'deny';
  const written: World = decision
    ? {
        ...world,
        owed: [...world.owed, flight],
        outbox: protocol.outboxFirst ? [...world.outbox, flight] : world.outbox,
      }
    : world;
  const label = `${event}${decision ? ` of approval ${flight.on}` : ''} (${flight.id})`;
  const queue = [...world.queue, { what: flight, durable: false, taken: false }];
  yield done(event, label, { ...written, queue });
  if (decision) yield done(event, `${label}, and the API dies before it sends it`, written);
}

function* fires({ rulings }: Protocol, world: World): Generator<Move> {
  for (const on of world.timers) {
    const approval = rulings.state(world.store).approvals[on];
    const escalates = approval?.status === 'open' && approval.gate.timeout?.action === 'escalate';
    const queue = [...world.queue, { what: { deadline: on }, durable: true, taken: false }];
    const timers = world.timers.filter((one) => one !== on);
    yield done(escalates ? 'escalate' : 'deadline', `deadline of approval ${on}`, {
      ...world,
      queue,
      timers,
    });
  }
}

const restarted = (activity: Activity | null): Activity | null =>
  activity === null ? null : { ...activity, at: 'scheduled' };

function* crashes(world: World): Generator<Move> {
  const { activity } = world;
  const working = activity !== null && activity.at !== 'scheduled';
  const noWorker: World = { ...world, held: false, activity: restarted(activity) };
  if (world.held || working) yield done('crash', 'the worker dies', noWorker);
  if (working && activity.at !== 'ended' && world.zombies.length === 0) {
    const zombies = [{ on: activity.on, at: activity.at }];
    yield done('crash', 'a worker is given up and lives on', { ...noWorker, zombies });
  }
  const volatile = world.queue.filter((one) => !one.durable);
  if (volatile.length === 0) return;
  // Updates are not in the history yet: Temporal forgets them, and a caller who waits takes the outbox.
  const lost = (one: Queued): Queued[] => (one.durable ? [one] : []);
  const known = ({ what, taken }: Queued): boolean =>
    taken || (isFlight(what) && !what.id.startsWith('msg_x'));
  // The API signals what the store has already, and puts the rest into the outbox first.
  const queue = world.queue.flatMap((one) =>
    !one.durable && known(one) ? [{ ...one, durable: true, taken: false }] : lost(one),
  );
  const late = volatile.flatMap((one) => (!known(one) && isFlight(one.what) ? [one.what] : []));
  const put = late.filter((one, at) => !has(world.outbox, one.id) && !has(late.slice(0, at), one.id));
  const outbox = [...world.outbox, ...put];
  const owed = [...world.owed, ...put.filter((one) => !has(world.owed, one.id))];
  yield done('crash', 'worker and Temporal die', { ...noWorker, queue, outbox, owed });
  yield done('crash', 'everything dies', { ...noWorker, queue: world.queue.flatMap(lost) });
}

function* carriesOn(protocol: Protocol, world: World): Generator<Move> {
  const state = protocol.rulings.state(world.kernel);
  if (world.closed || world.held || world.queue.length > 0 || state.executing !== null) return;
  if (world.activity !== null) return;
  const open = state.approvals.flatMap((one, on) =>
    one.status === 'open' || one.status === 'escalated' ? [on] : [],
  );
  const kernel = protocol.carries(world.kernel);
  const store = world.store === world.kernel ? kernel : world.store;
  yield done('continueAsNew', 'continue-as-new', {
    ...world,
    ...{ kernel, store, timers: protocol.rearms ? open : [] },
  });
}

// --- progress: each write by itself ---------------------------------------------------------------

function* progress(protocol: Protocol, world: World): Generator<Move> {
  const [first] = world.ahead;
  if (first?.by === 'outcome' && world.activity?.at === 'ended') yield applied(protocol, world, first);
  else if (first?.by === 'step' && world.held) yield applied(protocol, world, first);
  else if (world.queue.length > 0 && first?.by !== 'outcome') yield checked(protocol, world);
  for (const flight of world.outbox) {
    const copies = queuedAs(world, flight.id);
    if (isOver(world)) {
      const outbox = world.outbox.filter((one) => one.id !== flight.id);
      const owed = protocol.settlesClosed ? world.owed.filter((one) => one.id !== flight.id) : world.owed;
      yield done(null, `the outbox learns that the run has ended (${flight.id})`, { ...world, outbox, owed });
    } else if (copies.length === 0) {
      const queue = [...world.queue, { what: flight, durable: true, taken: false }];
      yield done(null, `the outbox sends ${flight.id}`, { ...world, queue });
    }
  }
  const { activity, zombies } = world;
  if (activity !== null) yield* works(protocol, world, activity);
  for (const { on, at } of zombies) {
    const moved = (to: Attempt): World => ({ ...world, zombies: to === 'ended' ? [] : [{ on, at: to }] });
    yield* acts(protocol, on, at, moved);
  }
}

/** The policy check: one transaction over all that has arrived, or the answer that it has given before. */
function checked(protocol: Protocol, world: World): Move {
  const { rulings } = protocol;
  const [before] = world.ahead;
  if (before !== undefined && protocol.remembersSteps)
    return done(null, 'the policy check gives its stored answer', { ...world, held: true });
  const faults: string[] = [];
  if (before !== undefined)
    faults.push('a step that the store has is decided again: store and history differ');
  let after = world.store;
  let { said, owed, outbox, grants } = world;
  let queue = world.queue;
  const refused = new Set<string>();
  const step = { arms: [] as number[], disarms: [] as number[], executes: null as number | null };
  let closes = false;
  for (const at of world.queue.keys()) {
    const what = queue[at]?.what;
    if (what === undefined) continue;
    if (isFlight(what) && refused.has(what.id)) continue;
    const happening = happeningOf(world, what);
    const ruling = rulings.rule(after, happening);
    faults.push(...ruling.faults);
    if (isFlight(what)) {
      const counts = ruling.answer?.status === 'accepted' && what.kind !== 'cancel';
      if (counts) said = note(said, `${what.by} ${what.kind} ${what.on}`);
      owed = owed.filter((one) => one.id !== what.id);
      outbox = outbox.filter((one) => one.id !== what.id);
      if (ruling.known === null) refused.add(what.id);
      const name = ruling.known ?? what.id;
      queue = queue.map((one) =>
        isFlight(one.what) && one.what.id === what.id ? { ...one, what: { ...one.what, id: name } } : one,
      );
    }
    after = ruling.next;
    step.arms = [...step.arms.filter((one) => !ruling.disarms.includes(one)), ...ruling.arms];
    step.disarms.push(...ruling.disarms);
    step.executes = ruling.executes ?? step.executes;
    if (ruling.executes !== null && get(grants, ruling.executes) === undefined)
      grants = set(grants, ruling.executes, false);
    closes ||= ruling.closes;
  }
  queue = queue.map((one) => ({ ...one, taken: true }));
  const lasting = rulings.state(after).approvals.map(({ status }) => !over.includes(status));
  said = said.filter((one) => lasting[Number(one.split(' ')[2])] === true);
  const ahead: Ahead[] = [...world.ahead, { by: 'step', after, ...step, closes }];
  const to: World = { ...world, store: after, said, owed, outbox, grants, queue, ahead, held: true };
  return done(null, `the policy check commits ${world.queue.map(labelOf).join(' + ')}`, to, faults);
}

const over = ['denied', 'expired', 'revoked'];
const note = (said: readonly string[], what: string): readonly string[] =>
  [...new Set([...said, what])].sort();

function labelOf({ what }: Queued): string {
  return isFlight(what) ? what.id : 'deadline' in what ? `deadline ${what.deadline}` : 'the abandoned wait';
}

function happeningOf(world: World, what: Queued['what']): Happening {
  if (isFlight(what)) return { kind: 'message', flight: what };
  if ('deadline' in what) return { kind: 'deadline', on: what.deadline };
  const outcome = get(world.attempts, what.abandoned);
  return { kind: 'outcome', on: what.abandoned, result: outcome === null ? 'unknown' : 'failed' };
}

/** The step's result is in the history: the workflow acts on it, and who waits is answered. */
function applied({ rulings }: Protocol, world: World, first: Ahead): Move {
  const step = first.by === 'step';
  const queue = step ? world.queue.filter((one) => !one.taken) : world.queue;
  const timers = [...world.timers.filter((one) => !first.disarms.includes(one)), ...first.arms];
  const kept = step ? world.activity : null;
  const started: Activity | null =
    first.executes === null ? kept : { on: first.executes, cancelled: false, at: 'scheduled' };
  const cancelled = rulings.state(first.after).cancelRequested !== null;
  const activity = started !== null && cancelled ? { ...started, cancelled } : started;
  const to: World = {
    ...world,
    ...{ kernel: first.after, ahead: world.ahead.slice(1), closed: world.closed || first.closes, queue },
    ...{ timers: [...new Set(timers)].sort(), held: step ? false : world.held, activity },
  };
  return done(null, step ? 'the history has the step' : 'the history has the outcome', to);
}

function* works(protocol: Protocol, world: World, activity: Activity): Generator<Move> {
  const { on, at, cancelled } = activity;
  const moved = (to: Attempt): World => ({ ...world, activity: { ...activity, at: to } });
  if (at !== 'scheduled') return yield* acts(protocol, on, at, moved);
  yield begins(protocol, world, on, moved);
  if (!cancelled) return;
  const queue = [...world.queue, { what: { abandoned: on }, durable: true, taken: false }];
  yield done(null, 'the wait for the next attempt is cancelled', { ...world, activity: null, queue });
}

type Moved = (to: Attempt) => World;

/** After the intent: the effect, then its outcome. */
function* acts(protocol: Protocol, on: number, at: Attempt, moved: Moved): Generator<Move> {
  if (at === 'begun') {
    const next = moved('performed');
    const effects = set(next.effects, on, protocol.dedupes ? 1 : (get(next.effects, on) ?? 0) + 1);
    const to: World = { ...next, effects };
    yield done(null, `the effect of approval ${on}`, to, [...effectFaults(protocol, to, on)]);
  } else if (at === 'performed') {
    yield ends(protocol, on, 'succeeded', moved);
    if (protocol.mayFail) yield ends(protocol, on, 'failed', moved);
  }
}

function executes({ rulings }: Protocol, world: World, on: number): boolean {
  return rulings.state(world.store).executing?.action.approval === `apr_${on}`;
}

function begins(protocol: Protocol, world: World, on: number, moved: Moved): Move {
  if (!executes(protocol, world, on)) return done(null, 'the execution finds its outcome', moved('ended'));
  const attempt = get(world.attempts, on);
  if (attempt === null && !protocol.keyed) return ends(protocol, on, 'unknown', moved);
  if (attempt === undefined && get(world.grants, on) !== false) return ends(protocol, on, 'failed', moved);
  const grants = protocol.consumesGrant ? set(world.grants, on, true) : world.grants;
  const attempts = set(world.attempts, on, null);
  const faults = get(grants, on) === true ? [] : [`approval ${on} is executed and its grant is not used up`];
  const to: World = { ...moved('begun'), grants, attempts };
  return done(null, `the intent to execute approval ${on}`, to, faults);
}

function ends(
  protocol: Protocol,
  on: number,
  result: 'succeeded' | 'failed' | 'unknown',
  moved: Moved,
): Move {
  const world = moved('ended');
  if (!executes(protocol, world, on)) return done(null, 'the outcome is there already', world);
  const ruling = protocol.rulings.rule(world.store, { kind: 'outcome', on, result });
  const { arms, disarms, closes } = ruling;
  const step: Ahead = { by: 'outcome', after: ruling.next, arms, disarms, executes: ruling.executes, closes };
  const attempts = set(world.attempts, on, result);
  const grants = ruling.executes === null ? world.grants : set(world.grants, ruling.executes, false);
  const to: World = { ...world, store: ruling.next, attempts, grants, ahead: [...world.ahead, step] };
  return done(null, `the outcome of approval ${on}: ${result}`, to, ruling.faults);
}

function* effectFaults({ rulings }: Protocol, world: World, on: number): Generator<string> {
  if ((get(world.effects, on) ?? 0) > 1) yield `approval ${on} has had its effect twice`;
  const approvers = ['A', 'B'].filter((who) => world.said.includes(`${who} approve ${on}`));
  const gate = rulings.state(world.store).approvals[on]?.gate;
  if (approvers.length < (gate?.quorum.count ?? 2))
    yield `approval ${on} has its effect, and only ${approvers.join() || 'nobody'} has approved it`;
  const status = rulings.state(world.store).approvals[on]?.status ?? 'gone';
  if (status !== 'approved' && status !== 'consumed')
    yield `approval ${on} has its effect, and it is ${status}`;
}

/** What somebody was promised is somewhere from where it goes on. */
export function* standingFaults(world: World): Generator<string> {
  for (const flight of world.owed) {
    if (queuedAs(world, flight.id).length === 0 && !has(world.outbox, flight.id))
      yield `${flight.id} (${flight.kind} by ${flight.by}) was kept and nothing sends it: lost`;
  }
  if (world.held && world.ahead[0]?.by !== 'step') yield 'a worker holds the result of no step';
}
