import { workedMs } from './thread-clock.js';

// Work that is long gives way: whoever else waits for this process goes on between its pieces.

const waiting: (() => void)[] = [];

/**
 * Everybody else goes on who can by now: timers fire, and what was received is read. Where several works give way, one goes
 * on, and then everybody else again: their pieces do not add up.
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

/** To read or write less at once is short enough to be done beside anything. */
const shortBytes = 32_768;

/** To be awaited before so many bytes, or characters, are read or written in one piece. */
export async function giveWayBefore(bytes: number): Promise<void> {
  if (bytes > shortBytes) await giveWay();
}

/** How long one piece of work may keep everybody else waiting, in milliseconds. */
const pieceMs = 10;

/** To be awaited between two pieces of work, none of which is long by itself. */
export type Turn = () => Promise<void>;

/** The work has taken longer than it may, without what others did in between. */
export class WorkTooLong extends Error {
  override readonly name = 'WorkTooLong';
}

export interface Clock {
  now(): number;
  /** What this thread has worked: on a busy machine, or one that slept, less time than has passed. */
  worked(): number;
}

const clockHere: Clock = { now: () => performance.now(), worked: workedMs };

/**
 * Gives way where the piece before was long enough. Rejects with `WorkTooLong` once the pieces have taken more than
 * `mostMs` of work together: for work that waits for nothing in between.
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
