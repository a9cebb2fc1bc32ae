import { moves } from './moves.js';
import type { Flight } from './rulings.js';
import { firstWorld, isOver, type EventKind, type Move, type Protocol, type World } from './world.js';

// One walk at random through the model, and what it says of it where the run comes to rest after each event.

export interface Prediction {
  readonly events: readonly EventKind[];
  /** What becomes of each event: `taken`, the code of a refusal, or `done` where nobody is told. */
  readonly said: readonly string[];
  readonly status: string;
  readonly approvals: readonly string[];
  /** Who has decided what, in the order of the events. */
  readonly decided: readonly string[];
  readonly effects: number;
}

/** How often an event is chosen against the others; those that end the run less often. */
const weights: Readonly<Record<EventKind, number>> = {
  ...{ submit: 3, approveA: 2, approveB: 2, deny: 1, cancel: 0.4, deadline: 1, escalate: 1.5 },
  ...{ duplicate: 1.5, crash: 1, continueAsNew: 1 },
};

export function walkAtRandom(
  protocol: Protocol,
  limit: number,
  random: () => number,
  allowed: (event: EventKind) => boolean,
): Prediction {
  const events: EventKind[] = [];
  const said: string[] = [];
  const decided: string[] = [];
  let world = firstWorld(protocol);
  while (events.length < limit && !isOver(world)) {
    const choices = steps(protocol, world, said).filter(({ event }) => allowed(event));
    const chosen = pick(choices, random);
    if (chosen === undefined) break;
    events.push(chosen.event);
    said.push(chosen.said);
    const told = chosen.flight;
    if (chosen.said === 'taken' && (told?.kind === 'approve' || told?.kind === 'deny'))
      decided.push(`${told.by} ${told.kind}`);
    world = rest(protocol, chosen.to);
  }
  const state = protocol.rulings.state(world.store);
  return {
    ...{ events, said, decided, status: state.status },
    approvals: state.approvals.map((one) => one.status),
    effects: world.effects.reduce((sum, [, count]) => sum + count, 0),
  };
}

interface Step {
  readonly event: EventKind;
  readonly said: string;
  readonly to: World;
  /** What was sent; null: nobody is told. */
  readonly flight: Flight | null;
}

function steps(protocol: Protocol, world: World, before: readonly string[]): Step[] {
  const found = new Map<EventKind, Step>();
  for (const move of moves(protocol, world)) {
    const { event } = move;
    // Of the same event on several approvals the last, the open one. What is late cannot be sent by a real clock.
    if (event === null || event === 'duplicate' || isOfFaults(move)) continue;
    const step = told(protocol, world, move);
    if (step.flight?.late !== true) found.set(event, { event, ...step });
  }
  const last = before.findLast((one) => one !== 'done');
  // The last request again gets its answer again. A worker may die at any time, which changes nothing.
  if (last !== undefined) found.set('duplicate', { event: 'duplicate', said: last, to: world, flight: null });
  found.set('crash', { event: 'crash', said: 'done', to: world, flight: null });
  return [...found.values()];
}

/** What a client cannot bring about: deaths, lost answers, a clock that is behind, a history that is full. */
const isOfFaults = ({ label }: Move): boolean =>
  ['dies', 'does not answer', 'is lost', 'is behind', 'of a full history'].some((one) => label.includes(one));

function told(protocol: Protocol, world: World, { to, event }: Move): Omit<Step, 'event'> {
  const sent = event === 'continueAsNew' ? undefined : to.messages.at(-1);
  if (sent === undefined || sent.at !== 'stored') return { said: 'done', to, flight: null };
  const { flight } = sent;
  const { answer } = protocol.rulings.rule(world.store, { kind: 'message', flight });
  return { said: answer?.status === 'refused' ? answer.code : 'taken', to, flight };
}

function pick(choices: readonly Step[], random: () => number): Step | undefined {
  let at = random() * choices.reduce((sum, { event }) => sum + weights[event], 0);
  return choices.find(({ event }) => (at -= weights[event]) < 0);
}

function rest(protocol: Protocol, world: World): World {
  for (let at = world; ;) {
    const next = [...moves(protocol, at)].find((one) => one.event === null);
    if (next === undefined) return at;
    at = next.to;
  }
}
