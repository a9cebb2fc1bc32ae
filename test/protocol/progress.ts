import { closedStatuses } from '../../src/engine/state.js';
import type { Flight, Ruling } from './rulings.js';
import {
  done,
  get,
  isRung,
  set,
  textOf,
  type Activity,
  type Ahead,
  type Attempt,
  type Move,
  type Protocol,
  type Queued,
  type World,
} from './world.js';

// What the run does by itself, each write a move of its own.

export function* progress(protocol: Protocol, world: World): Generator<Move> {
  if (!world.closed) yield* steps(protocol, world);
  for (const kept of world.messages) {
    const { flight, at, withdrawing } = kept;
    const become = (to: Partial<typeof kept>): World => ({
      ...world,
      messages: world.messages.map((one) => (one === kept ? { ...one, ...to } : one)),
    });
    if (withdrawing && (at === 'stored' || !protocol.withdrawsUntaken))
      yield done(
        ...([
          null,
          `the API withdraws ${flight.id}`,
          become({ at: 'withdrawn', withdrawing: false }),
        ] as const),
        at === 'stored' ? [] : [`${flight.id} was taken, and its caller is told that nothing runs`],
      );
    else if (withdrawing)
      yield done(null, `the API finds ${flight.id} taken`, become({ withdrawing: false }));
    if (at === 'taken' && world.held !== null)
      yield done(null, `the worker answers ${flight.id}`, become({ at: 'answered' }));
    if (protocol.ringsAgain && at === 'stored' && !world.closed && !isRung(world, flight.id))
      yield done(null, `the outbox rings for ${flight.id}`, {
        ...world,
        queue: [...world.queue, { bell: flight.id }],
      });
  }
  const { activity, zombies } = world;
  if (activity !== null) yield* works(protocol, world, activity);
  for (const { on, at } of zombies) {
    const moved = (to: Attempt): World => ({ ...world, zombies: to === 'ended' ? [] : [{ on, at: to }] });
    yield* acts(protocol, on, at, moved);
  }
}

function* steps(protocol: Protocol, world: World): Generator<Move> {
  const [first] = world.ahead;
  if (first?.by === 'outcome' && world.activity?.at === 'ended')
    yield applied(protocol, world, first, 'the history has the outcome');
  if (world.held !== null && first !== undefined) {
    yield applied(protocol, world, first, 'the history has the step');
    return;
  }
  // Signals come in any grouping: a step that runs again may find fewer arrivals or more.
  for (let size = 1; size <= world.queue.length; size += 1) {
    const batch = world.queue.slice(0, size);
    if (first === undefined || !protocol.remembersSteps) yield checked(protocol, world, batch);
    else if (first.by === 'step') yield again(world, batch, first);
    else if (protocol.adopts)
      yield applied(protocol, { ...world, held: [] }, first, 'a step finds the outcome');
  }
  // An execution ended upon a step of which only the store knows: the kernel looks there.
  if (first?.by === 'step' && world.queue.length === 0 && world.activity?.at === 'ended')
    yield done(null, 'the kernel looks at the store', { ...world, queue: [{ look: true }] });
}

function again(world: World, batch: readonly Queued[], { given }: Ahead): Move {
  const left = [...given];
  const held = batch.map(textOf).filter((text) => {
    const at = left.indexOf(text);
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
  return done(null, 'the policy check gives its stored answer', { ...world, held });
}

interface Course {
  world: World;
  readonly faults: string[];
  executes: number | null;
}

/** The policy check: one transaction over all that has arrived, what is due by now, and at the end all that was asked. */
function checked(protocol: Protocol, world: World, batch: readonly Queued[]): Move {
  const faults =
    world.ahead.length > 0 ? ['a step that the store has is decided again: store and history differ'] : [];
  const course: Course = { world, faults, executes: null };
  const looks = batch.some((one) => 'look' in one);
  const times = batch.flatMap((one) => ('time' in one ? [one.time] : []));
  for (const one of batch) {
    if ('bell' in one) ring(protocol, course, one.bell);
    if ('abandoned' in one) abandon(protocol, course, one.abandoned);
  }
  if (looks || times.length > 0)
    sweep(
      protocol,
      course,
      ({ kind, late }) => looks || (kind !== 'submit' && kind !== 'cancel' && late !== true),
    );
  for (const at of times)
    rule(protocol, course, (state) => protocol.rulings.rule(state, { kind: 'time', at }));
  if (protocol.sweepsAtClose && isClosed(protocol, course.world)) sweep(protocol, course, () => true);
  const given = batch.map(textOf);
  const ahead: Ahead = { by: 'step', after: course.world.store, given, executes: course.executes };
  const to = { ...course.world, ahead: [...course.world.ahead, ahead], held: given };
  return done(null, `the policy check commits ${batch.map(labelOf).join(' + ')}`, to, faults);
}

const isClosed = ({ rulings }: Protocol, { store }: World): boolean =>
  closedStatuses.includes(rulings.state(store).status);

function labelOf(one: Queued): string {
  if ('bell' in one) return one.bell;
  if ('time' in one) return 'the timer';
  return 'look' in one ? 'a look' : 'the abandoned execution';
}

/** A bell of a message that was taken, or withdrawn, changes nothing. */
function ring(protocol: Protocol, course: Course, id: string): void {
  const kept = course.world.messages.find(({ flight }) => flight.id === id);
  if (kept === undefined || kept.at === 'withdrawn') return;
  if (kept.at === 'stored') return take(protocol, course, kept.flight);
  if (protocol.takesOnce) return;
  course.faults.push(`${id} is taken twice`);
  take(protocol, course, kept.flight);
}

function sweep(protocol: Protocol, course: Course, wants: (flight: Flight) => boolean): void {
  for (const { flight, at } of course.world.messages)
    if (at === 'stored' && wants(flight)) take(protocol, course, flight);
}

function take(protocol: Protocol, course: Course, flight: Flight): void {
  const ruling = rule(protocol, course, (state) => protocol.rulings.rule(state, { kind: 'message', flight }));
  const { world } = course;
  const at = protocol.answersWithStep ? 'answered' : 'taken';
  const messages = world.messages.map((one) =>
    one.flight.id === flight.id ? ({ ...one, at } as const) : one,
  );
  const counts = ruling.answer?.status === 'accepted' && flight.kind !== 'cancel';
  const said = counts ? note(world.said, `${flight.by} ${flight.kind} ${flight.on}`) : world.said;
  course.world = { ...world, messages, said };
}

function abandon(protocol: Protocol, course: Course, on: number): void {
  if (!protocol.takesAbandoned || !executes(protocol, course.world, on)) return;
  const result = get(course.world.attempts, on) === null ? 'unknown' : 'failed';
  rule(protocol, course, (state) => protocol.rulings.rule(state, { kind: 'outcome', on, result }));
  course.world = { ...course.world, attempts: set(course.world.attempts, on, result) };
}

function rule(protocol: Protocol, course: Course, ask: (state: number) => Ruling): Ruling {
  const ruling = ask(course.world.store);
  course.faults.push(...ruling.faults);
  const { executes: on, next: store } = ruling;
  course.executes = on ?? course.executes;
  const lasting = protocol.rulings.state(store).approvals.map(({ status }) => !over.includes(status));
  const { grants, said } = course.world;
  course.world = {
    ...course.world,
    ...{ store, said: said.filter((one) => lasting[Number(one.split(' ')[2])] === true) },
    grants: on !== null && get(grants, on) === undefined ? set(grants, on, false) : grants,
  };
  return ruling;
}

const over = ['denied', 'expired', 'revoked'];
const note = (said: readonly string[], what: string): readonly string[] =>
  [...new Set([...said, what])].sort();

/** A step's result is in the history: the kernel goes on from it, with its one timer. */
function applied(protocol: Protocol, world: World, first: Ahead, label: string): Move {
  const { rulings } = protocol;
  const taken = [...(world.held ?? [])];
  const queue = world.queue.filter((one) => {
    const at = taken.indexOf(textOf(one));
    if (at >= 0) taken.splice(at, 1);
    return at < 0;
  });
  const { executing, cancelRequested, status } = rulings.state(first.after);
  const timer = queue.some((one) => 'time' in one) ? null : rulings.wakeAt(first.after);
  const closed = closedStatuses.includes(status) && queue.length === 0 && world.ahead.length === 1;
  return done(null, label, {
    ...world,
    ...{ kernel: first.after, ahead: world.ahead.slice(1), closed, queue, timer, held: null },
    ...seenThrough(world, executing?.action.approval ?? null, cancelRequested !== null),
  });
}

/** The execution that the store says is under way; what the kernel waits for no more may live on. */
function seenThrough(world: World, approval: string | null, cancelled: boolean): Partial<World> {
  const { activity, zombies } = world;
  const on = approval === null ? null : Number(approval.slice('apr_'.length));
  if (activity !== null && activity.on === on)
    return { activity: { ...activity, cancelled: activity.cancelled || cancelled } };
  const started: Activity | null = on === null ? null : { on, cancelled, at: 'scheduled' };
  const isOver = activity === null || activity.at === 'ended' || activity.at === 'lost';
  return {
    activity: started,
    zombies: isOver || zombies.length > 0 ? zombies : [{ on: activity.on, at: activity.at }],
  };
}

function* works(protocol: Protocol, world: World, activity: Activity): Generator<Move> {
  const { on, at, cancelled } = activity;
  const moved = (to: Attempt): World => ({ ...world, activity: { ...activity, at: to } });
  if (at !== 'scheduled') return yield* acts(protocol, on, at, moved);
  yield begins(protocol, world, on, moved);
  if (!cancelled) return;
  const queue = [...world.queue, { abandoned: on }];
  yield done(null, 'the wait for the next attempt is cancelled', { ...moved('lost'), queue });
}

type Moved = (to: Attempt) => World;

/** After the intent: the effect, then its outcome. */
function* acts(protocol: Protocol, on: number, at: Attempt, moved: Moved): Generator<Move> {
  if (at === 'scheduled') yield begins(protocol, moved('scheduled'), on, moved);
  else if (at === 'begun') {
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
  const course: Course = { world, faults: [], executes: null };
  rule(protocol, course, (state) => protocol.rulings.rule(state, { kind: 'outcome', on, result }));
  if (protocol.sweepsAtClose && isClosed(protocol, course.world)) sweep(protocol, course, () => true);
  const { store: after } = course.world;
  const step: Ahead = { by: 'outcome', after, given: [], executes: course.executes };
  const attempts = set(world.attempts, on, result);
  const to: World = { ...course.world, attempts, ahead: [...world.ahead, step] };
  return done(null, `the outcome of approval ${on}: ${result}`, to, course.faults);
}

function* effectFaults({ rulings }: Protocol, world: World, on: number): Generator<string> {
  if ((get(world.effects, on) ?? 0) > 1) yield `approval ${on} has had its effect twice`;
  const approvers = ['A', 'B'].filter((who) => world.said.includes(`${who} approve ${on}`));
  const approval = rulings.state(world.store).approvals[on];
  if (approvers.length < Math.max(...(approval?.gates.map(({ rule }) => rule.quorum.count) ?? [2])))
    yield `approval ${on} has its effect, and only ${approvers.join() || 'nobody'} has approved it`;
  const status = approval?.status ?? 'gone';
  if (status !== 'approved' && status !== 'consumed')
    yield `approval ${on} has its effect, and it is ${status}`;
}
