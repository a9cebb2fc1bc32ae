import { stageOf } from '../../src/engine/deadlines.js';
import { lastMoment } from '../../src/engine/standing.js';
import { kit } from '../engine/build.js';
import { isOpen } from '../../src/engine/flow.js';
import type { ApprovalState } from '../../src/engine/state.js';
import type { Flight, Who } from './rulings.js';
import {
  done,
  has,
  isFlight,
  queuedAs,
  type Activity,
  type EventKind,
  type Move,
  type Protocol,
  type Queued,
  type World,
} from './world.js';

// What happens to a run from outside: people, time, crashes, and Temporal's own continue-as-new.

export function* events(protocol: Protocol, world: World): Generator<Move> {
  if (world.closed && world.queue.length === 0) return;
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
      for (const flight of [{ id, kind, by, on }, ...lateOne({ id, kind, by, on }, approvals[on])])
        yield* sent(protocol, world, event, flight);
  for (const flight of repeatable(protocol, world)) {
    const queue = [...world.queue, { what: flight, durable: false, taken: false }];
    yield done('duplicate', `${flight.id} is sent again`, { ...world, queue });
  }
}

/** Where nothing comes after its time: the same decision, made when that was up. */
function lateOne(flight: Flight, approval: ApprovalState | undefined): Flight[] {
  if (approval === undefined || !isOpen(approval.status) || lastMoment(approval, kit) === undefined)
    return [];
  return [{ ...flight, late: true }];
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
  const made = flight.late === true ? ', made too late' : '';
  const label = `${event}${made}${decision ? ` of approval ${flight.on}` : ''} (${flight.id})`;
  const queue = [...world.queue, { what: flight, durable: false, taken: false }];
  yield done(event, label, { ...written, queue });
  if (decision) yield done(event, `${label}, and the API dies before it sends it`, written);
}

function* fires({ rulings }: Protocol, world: World): Generator<Move> {
  for (const on of world.timers) {
    const approval = rulings.state(world.store).approvals[on];
    const escalates =
      approval !== undefined &&
      isOpen(approval.status) &&
      approval.gates.every(
        ({ rule, stage, reminders = [] }) =>
          reminders.length === 0 && stageOf(rule, stage ?? 0)?.action === 'escalate',
      );
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
