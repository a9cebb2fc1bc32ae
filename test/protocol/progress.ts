import type { Happening } from './rulings.js';
import {
  done,
  get,
  isFlight,
  isOver,
  queuedAs,
  set,
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
  const gate = rulings.state(world.store).approvals[on]?.gates[0]?.rule;
  if (approvers.length < (gate?.quorum.count ?? 2))
    yield `approval ${on} has its effect, and only ${approvers.join() || 'nobody'} has approved it`;
  const status = rulings.state(world.store).approvals[on]?.status ?? 'gone';
  if (status !== 'approved' && status !== 'consumed')
    yield `approval ${on} has its effect, and it is ${status}`;
}
