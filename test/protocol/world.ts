import type { Flight, Rulings } from './rulings.js';

// The protocol around the engine, as src/workflows/kernel.ts, src/activities/{step,arrivals,course,execute}.ts and
// src/client/{post,outbox}.ts have it: what is durable where, what a crash forgets, and each write as a move of its own.

/** A message of the store, in the order of storing. */
export interface Kept {
  readonly flight: Flight;
  /** `taken`: by a step that has not answered it. */
  readonly at: 'stored' | 'taken' | 'answered' | 'withdrawn';
  /** The API could not tell whether its bell came through, and takes it back if no step has it. */
  readonly withdrawing: boolean;
}

/** A signal, a fired timer or a lost execution: in Temporal's history, for the kernel's next step. */
export type Queued =
  | { readonly bell: string }
  | { readonly time: number }
  | { readonly abandoned: number }
  | { readonly look: true };

/** A step that the store has and the workflow's history has not. */
export interface Ahead {
  readonly by: 'step' | 'outcome';
  readonly after: number;
  /** What it was given, as text. */
  readonly given: readonly string[];
  readonly executes: number | null;
}

export interface World {
  /** Postgres: the run's state, its messages, and what executions have left. Engine states by their number. */
  readonly store: number;
  readonly messages: readonly Kept[];
  readonly grants: readonly (readonly [approval: number, used: boolean])[];
  readonly attempts: readonly (readonly [approval: number, outcome: string | null])[];
  /** Temporal: how far the history is behind the store, and the kernel's queue and timer. */
  readonly kernel: number;
  readonly ahead: readonly Ahead[];
  readonly closed: boolean;
  readonly queue: readonly Queued[];
  readonly timer: number | null;
  /** Volatile: a worker holds the result of the first step ahead, which has taken these of the queue. */
  readonly held: readonly string[] | null;
  readonly activity: Activity | null;
  /** Attempts that nobody waits for any more, and that live on. */
  readonly zombies: readonly { readonly on: number; readonly at: Attempt }[];
  /** The world: effects by approval; and who has truly approved it, by their own messages. */
  readonly effects: readonly (readonly [approval: number, count: number])[];
  readonly said: readonly string[];
}

/** `lost`: no outcome comes of it, and the kernel waits for a step that says so. */
export type Attempt = 'scheduled' | 'begun' | 'performed' | 'ended' | 'lost';

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
  /** The store gives a step that it has its stored answer. */
  readonly remembersSteps: boolean;
  /** A message is taken once, whatever rings for it. */
  readonly takesOnce: boolean;
  /** Its answer is written in the transaction of the step that takes it. */
  readonly answersWithStep: boolean;
  /** Only what no step has taken can be withdrawn. */
  readonly withdrawsUntaken: boolean;
  /** The outbox rings for what no step has taken. */
  readonly ringsAgain: boolean;
  /** The step that ends a run takes all that the run was asked besides. */
  readonly sweepsAtClose: boolean;
  /** What is asked of a run that has ended is refused at the door. */
  readonly refusesClosed: boolean;
  readonly takesAbandoned: boolean;
  /** The kernel goes on from an outcome that the store took at its own step. */
  readonly adopts: boolean;
  /** A timer is set from what continue-as-new carries. */
  readonly rearms: boolean;
}

export function firstWorld({ rulings }: Protocol): World {
  return {
    ...{ store: rulings.first, messages: [], grants: [], attempts: [] },
    ...{ kernel: rulings.first, ahead: [], closed: false, queue: [], timer: null, held: null },
    ...{ activity: null, zombies: [], effects: [], said: [] },
  };
}

export const done = (
  event: EventKind | null,
  label: string,
  to: World,
  faults: readonly string[] = [],
): Move => ({ event, label, to: tidied(to), faults });

const anything = { kind: 'cancel', by: 'operator', on: -1 } as const;

/** What is answered is forgotten once nothing rings for it, and before that what it said; names follow the order. */
function tidied(world: World): World {
  const isOver = ({ at }: Kept): boolean => at === 'answered' || at === 'withdrawn';
  const rung = new Set(world.queue.flatMap((one) => ('bell' in one ? [one.bell] : [])));
  const kept = world.messages
    .filter((one) => !isOver(one) || one.withdrawing || rung.has(one.flight.id))
    .map((one): Kept => (isOver(one) ? { ...one, flight: { ...anything, id: one.flight.id } } : one));
  const names = new Map(kept.map(({ flight }, at) => [flight.id, `msg_x${at}`]));
  const renamed = (id: string): string => names.get(id) ?? id;
  const queue = world.queue.map((one) => ('bell' in one ? { bell: renamed(one.bell) } : one));
  const text = (given: string): string => {
    const one = JSON.parse(given) as Queued;
    return 'bell' in one ? textOf({ bell: renamed(one.bell) }) : given;
  };
  return {
    ...world,
    messages: kept.map((one) => ({ ...one, flight: { ...one.flight, id: renamed(one.flight.id) } })),
    queue,
    held: world.held?.map(text) ?? null,
    ahead: world.ahead.map((one) => ({ ...one, given: one.given.map(text) })),
  };
}

export const get = <T>(pairs: readonly (readonly [number, T])[], on: number): T | undefined =>
  pairs.find(([key]) => key === on)?.[1];
export function set<T>(
  pairs: readonly (readonly [number, T])[],
  on: number,
  to: T,
): readonly (readonly [number, T])[] {
  return [...pairs.filter(([key]) => key !== on), [on, to] as const].sort(([a], [b]) => a - b);
}
export const textOf = (what: Queued): string => JSON.stringify(what);
export const isOver = ({ closed }: World): boolean => closed;
export const isRung = ({ queue }: World, id: string): boolean =>
  queue.some((one) => 'bell' in one && one.bell === id);

/** What somebody was promised is somewhere from where it goes on. */
export function* standingFaults(world: World): Generator<string> {
  for (const { flight, at, withdrawing } of world.messages) {
    const what = `${flight.id} (${flight.kind} by ${flight.by})`;
    if (at === 'stored' && world.closed && !withdrawing)
      yield `${what} was kept and the run has ended: nobody answers it`;
    if (at === 'taken' && world.held === null) yield `${what} was taken and is never answered`;
  }
  if (world.held !== null && world.ahead[0]?.by !== 'step') yield 'a worker holds the result of no step';
}
