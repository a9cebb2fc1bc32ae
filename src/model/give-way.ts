import { workedMs } from './thread-clock.js';

// Long work gives way to others: between its pieces, all other work of this process goes on.

const waiting: (() => void)[] = [];

/**
 * Lets all others go on: timers fire, and received data is read. If several works give way at the same time, one of them goes on,
 * then all others, then the next one, so that their pieces do not add up.
 */
export function giveWay(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(goOn);
  });
}

function goOn(): void {
  const [next] = waiting;
  next?.();
  waiting.shift();
  if (waiting.length > 0) setImmediate(goOn);
}

/** Reading or writing this many bytes at once is short enough not to disturb others. */
const shortBytes = 32_768;

/** Await it before reading or writing so many bytes, or characters, in one piece. */
export async function giveWayBefore(bytes: number): Promise<void> {
  if (bytes > shortBytes) await giveWay();
}

/** How long a piece of work may keep others waiting, in milliseconds. */
const pieceMs = 10;

/** Await it between two pieces of work, none of which is long by itself. */
export type Turn = () => Promise<void>;

/** The work has taken longer than it may, not counting what others did in between. */
export class WorkTooLong extends Error {
  override readonly name = 'WorkTooLong';
}

export interface Clock {
  now(): number;
  /** Milliseconds that this thread has worked, fewer than have passed on a busy machine or one that slept. */
  worked(): number;
}

const clockHere: Clock = { now: () => performance.now(), worked: workedMs };

/**
 * Makes a function that gives way if the last piece of work was long. It rejects with `WorkTooLong` once the pieces together have
 * taken more than `mostMs`. For work that waits for nothing between its pieces.
 */
export function makeTurns(mostMs = Infinity, clock = clockHere): Turn {
  let since = clock.now();
  let before = clock.worked();
  let worked = 0;
  return async () => {
    if (clock.now() - since < pieceMs) return;
    worked += clock.worked() - before;
    if (worked > mostMs) throw new WorkTooLong(`the work takes longer than ${mostMs} ms`);
    await giveWay();
    since = clock.now();
    before = clock.worked();
  };
}
