import type { Flight, Rulings } from './rulings.js';

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

export const done = (
  event: EventKind | null,
  label: string,
  to: World,
  faults: readonly string[] = [],
): Move => ({
  ...{ event, label, to, faults },
});
export const get = <T>(pairs: readonly (readonly [number, T])[], on: number): T | undefined =>
  pairs.find(([key]) => key === on)?.[1];
export function set<T>(
  pairs: readonly (readonly [number, T])[],
  on: number,
  to: T,
): readonly (readonly [number, T])[] {
  return [...pairs.filter(([key]) => key !== on), [on, to] as const].sort(([a], [b]) => a - b);
}
export const isFlight = (what: Queued['what']): what is Flight => 'id' in what;
export const isOver = ({ closed, queue }: World): boolean => closed && queue.length === 0;
export const has = (flights: readonly Flight[], id: string): boolean => flights.some((one) => one.id === id);
export const queuedAs = ({ queue }: World, id: string): readonly Queued[] =>
  queue.filter(({ what }) => isFlight(what) && what.id === id);

/** What somebody was promised is somewhere from where it goes on. */
export function* standingFaults(world: World): Generator<string> {
  for (const flight of world.owed) {
    if (queuedAs(world, flight.id).length === 0 && !has(world.outbox, flight.id))
      yield `${flight.id} (${flight.kind} by ${flight.by}) was kept and nothing sends it: lost`;
  }
  if (world.held && world.ahead[0]?.by !== 'step') yield 'a worker holds the result of no step';
}
