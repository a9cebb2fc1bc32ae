import { closedStatuses } from '../../src/engine/state.js';
import { stageOf } from '../../src/engine/gates/deadlines.js';
import { lastMoment } from '../../src/engine/gates/standing.js';
import { isOpen } from '../../src/model/approval-status.js';
import type { ApprovalState } from '../../src/engine/state.js';
import type { Flight, Who } from './rulings.js';
import { done, isRung, type EventKind, type Kept, type Move, type Protocol, type World } from './world.js';

// What happens to a run from outside: people, time, crashes, and Temporal's own continue-as-new.

/** The walk's gates name their roles. */
const noQueues = { queueRoles: () => [] };

export function* events(protocol: Protocol, world: World): Generator<Move> {
  if (world.closed) return;
  yield* sends(protocol, world);
  yield* fires(protocol, world);
  yield* crashes(world);
  yield* carriesOn(protocol, world);
}

const verbs: readonly (readonly [EventKind, Flight['kind'], Who])[] = [
  ['approveA', 'approve', 'A'],
  ['approveB', 'approve', 'B'],
  ['deny', 'deny', 'B'],
];

/** The API stores, then rings; it may die between the two, and Temporal may not say whether the bell came through. */
function* sends(protocol: Protocol, world: World): Generator<Move> {
  const { limits, rulings } = protocol;
  yield* ringsTwice(world);
  const state = rulings.state(world.store);
  if (protocol.refusesClosed && closedStatuses.includes(state.status)) return;
  const underWay = world.messages.filter(
    ({ flight, at, withdrawing }) => at === 'stored' || withdrawing || isRung(world, flight.id),
  );
  if (underWay.length >= limits.inFlight) return;
  const id = `msg_x${world.messages.length}`;
  const last = state.approvals.length - 1;
  const open = state.approvals.some(({ status }) => isOpen(status));
  if (open || state.approvals.length < limits.approvals)
    yield* sent(world, 'submit', { id, kind: 'submit', by: 'agent', on: -1 });
  yield* sent(world, 'cancel', { id, kind: 'cancel', by: 'operator', on: -1 });
  for (const [event, kind, by] of verbs)
    for (const on of last > 0 ? [last - 1, last] : [last])
      for (const flight of [{ id, kind, by, on }, ...lateOne({ id, kind, by, on }, state.approvals[on])])
        yield* sent(world, event, flight);
}

/** Another bell of a message, whatever has become of it. */
function* ringsTwice(world: World): Generator<Move> {
  for (const { flight } of world.messages) {
    if (world.queue.filter((one) => 'bell' in one).length >= 2) continue;
    const queue = [...world.queue, { bell: flight.id }];
    yield done('duplicate', `${flight.id} is rung for again`, { ...world, queue });
  }
}

/** Where nothing comes after its time: the same decision, made when that was up. */
function lateOne(flight: Flight, approval: ApprovalState | undefined): Flight[] {
  if (approval === undefined || !isOpen(approval.status) || lastMoment(approval, noQueues) === undefined)
    return [];
  return [{ ...flight, late: true }];
}

function* sent(world: World, event: EventKind, flight: Flight): Generator<Move> {
  const decision = flight.kind === 'approve' || flight.kind === 'deny';
  const made = flight.late === true ? ', made too late' : '';
  const label = `${event}${made}${decision ? ` of approval ${flight.on}` : ''} (${flight.id})`;
  const stored = (withdrawing: boolean): World => {
    const kept: Kept = { flight, at: 'stored', withdrawing };
    return { ...world, messages: [...world.messages, kept] };
  };
  const queue = [...world.queue, { bell: flight.id }];
  yield done(event, label, { ...stored(false), queue });
  yield done(event, `${label}, and the API dies before it rings`, stored(false));
  if (decision) return;
  yield done(event, `${label}, and Temporal does not answer`, stored(true));
  yield done(event, `${label}, and the answer of Temporal is lost`, { ...stored(true), queue });
}

function* fires({ rulings }: Protocol, world: World): Generator<Move> {
  if (world.timer === null) return;
  const at = world.timer;
  const state = rulings.state(world.kernel);
  const escalates = state.approvals.some(
    ({ status, gates }) =>
      isOpen(status) &&
      gates.some(
        ({ rule, stage, expiresAt }) => expiresAt <= at && stageOf(rule, stage ?? 0)?.action === 'escalate',
      ),
  );
  const kind = escalates ? 'escalate' : 'deadline';
  const fired = (time: number): World => ({ ...world, queue: [...world.queue, { time }], timer: null });
  yield done(kind, 'the timer fires', fired(at));
  yield done(kind, `the timer fires, and the store's clock is behind the server's`, fired(at - 1));
}

function* crashes(world: World): Generator<Move> {
  const { activity } = world;
  const working = activity !== null && activity.at !== 'scheduled' && activity.at !== 'lost';
  const noWorker: World = { ...world, held: null, ...afterDeath(world) };
  if (world.held !== null || working) yield done('crash', 'the worker dies', noWorker);
  if (working && activity.at !== 'ended' && world.zombies.length === 0) {
    const zombies = [{ on: activity.on, at: activity.at }];
    yield done('crash', 'a worker is given up and lives on', { ...noWorker, zombies });
  }
}

/** The server tries no activity again whose cancel was asked for: its kernel hears of a time-out. */
function afterDeath({ activity, queue }: World): Partial<World> {
  if (activity === null || activity.at === 'scheduled' || activity.at === 'lost') return {};
  if (!activity.cancelled) return { activity: { ...activity, at: 'scheduled' } };
  return { activity: { ...activity, at: 'lost' }, queue: [...queue, { abandoned: activity.on }] };
}

function* carriesOn(protocol: Protocol, world: World): Generator<Move> {
  if (world.closed || world.held !== null || world.activity !== null) return;
  const timer = protocol.rearms ? protocol.rulings.wakeAt(world.kernel) : null;
  if (world.queue.length === 0) yield done('continueAsNew', 'continue-as-new', { ...world, timer });
  // Of a history that is full: what waited in its queue stays behind, and the next one looks at the store.
  else
    yield done('continueAsNew', 'continue-as-new of a full history', {
      ...world,
      ...{ timer, queue: [{ look: true }] },
    });
}
