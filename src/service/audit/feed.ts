import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { readRecords, sequence, type AuditItem } from '../../audit/index.js';
import type { Pool } from '../../db/index.js';
import {
  makeFairTurns,
  makeSeats,
  makeShared,
  makeTurns,
  type Seats,
  type Shared,
  type Turns,
} from '../seats.js';
import { makeSights, type Sights } from './sight.js';

/** The log as it grows, read once for all who follow it. */
export interface Feed {
  /** The log's size now. */
  size(): Promise<number>;
  /** What comes after `index`, for one who reads it piece by piece. */
  follow(index: number, principal: string): Follower;
  /** Who sees what of it. */
  readonly sights: Sights;
  /** Questions of streams to the store take turns, so that they never take the connections of requests. */
  readonly turns: Turns;
  readonly streams: Seats;
  readonly longPolls: Seats;
  /** Of one principal at one run. */
  readonly longPollsOfRun: Seats;
  /** What several long polls look for is looked for once. */
  readonly looks: Shared;
  /** Aborted when the process stops: who reads is to be let go. */
  readonly closing: AbortSignal;
  close(): Promise<void>;
}

export interface Follower {
  /** At once where there is something, else as soon as there is; empty when `signal` is aborted. */
  next(signal: AbortSignal): Promise<readonly AuditItem[]>;
  leave(): void;
}

export interface FeedDeps {
  readonly pool: Pool;
  readonly listen: (channels: readonly string[], onNotify: () => void) => Promise<{ close(): Promise<void> }>;
}

/** Records that no run's step announces (API calls, keys) come with this tick. */
const tickMs = 1_000;
const batch = 200;
/** What is kept for those who follow; who is further behind reads from the store, in turn. */
const keptRecords = 1_000;
const turnsAtOnce = 4;
/** Of one principal, and of all together, in one process. */
const mostStreamsOfOne = 20;
const mostStreams = 500;
const mostLongPollsOfOne = 100;
const mostLongPolls = 1_000;
const mostLongPollsAtRun = 20;
/** Those that are behind read the log from the store, some of them from its beginning: so many at once, and of one principal. */
const catchUpsAtOnce = 2;
const catchUpsOfOne = 1;

/** `countersign_run` is sent by each step of a run, `countersign_feed` when records got their index. */
export async function makeFeed({ pool, listen }: FeedDeps): Promise<Feed> {
  const closing = new AbortController();
  // Each stream and each request that waits listens for it.
  setMaxListeners(0, closing.signal);
  const turns = makeTurns(turnsAtOnce);
  const sights = makeSights({ pool, turns });
  const catchUps = makeFairTurns({ each: catchUpsOfOne, all: catchUpsAtOnce });
  const tail = makeTail(pool, sights.changed, sights.forget);
  const listener = await listen(['countersign_run', 'countersign_feed'], tail.wake);
  const timer = setInterval(tail.wake, tickMs);
  timer.unref();
  return {
    size: () => sequence(pool),
    follow: (index, principal) => follow(pool, (act) => catchUps(principal, act), tail, index),
    sights,
    turns,
    streams: makeSeats({ each: mostStreamsOfOne, all: mostStreams }),
    longPolls: makeSeats({ each: mostLongPollsOfOne, all: mostLongPolls }),
    longPollsOfRun: makeSeats({ each: mostLongPollsAtRun, all: mostLongPolls }),
    looks: makeShared(),
    closing: closing.signal,
    close: async () => {
      closing.abort();
      clearInterval(timer);
      await listener.close();
    },
  };
}

/** The end of the log, kept in memory while anybody follows. */
interface Tail {
  readonly wake: () => void;
  enter(): void;
  leave(): void;
  /** Index of the first record that is kept, and the one after the last; null before the first reading. */
  range(): { readonly from: number; readonly end: number } | null;
  after(index: number): readonly AuditItem[];
  /** Resolves with the next reading that found something, or when `signal` is aborted. */
  grown(signal: AbortSignal): Promise<void>;
}

/** `onReset`: nobody follows any more, so what comes next is not noticed. */
function makeTail(pool: Pool, onGrowth: (items: readonly AuditItem[]) => void, onReset: () => void): Tail {
  const kept: AuditItem[] = [];
  const bell = makeBell();
  let end: number | null = null;
  let followers = 0;
  let reading = false;
  let again = false;
  const read = async (): Promise<void> => {
    if (end === null) {
      const size = await sequence(pool);
      if (followers > 0) end = size;
      return bell.ring();
    }
    const from = end;
    const { items, more } = await readRecords(pool, { afterIndex: from - 1, limit: batch });
    // All had left meanwhile, and others may have come.
    if (end !== from) return void (again = true);
    if (items.length === 0) return;
    onGrowth(items);
    kept.push(...items);
    kept.splice(0, Math.max(0, kept.length - keptRecords));
    end = from + items.length;
    again ||= more;
    bell.ring();
  };
  const wake = (): void => {
    again = true;
    if (reading || followers === 0) return;
    reading = true;
    void (async () => {
      while (again && followers > 0) {
        again = false;
        // The store is away: what is missed is read with the next tick.
        await read().catch(() => undefined);
      }
      reading = false;
    })();
  };
  return {
    wake,
    enter: () => {
      followers += 1;
      wake();
    },
    leave: () => {
      followers -= 1;
      if (followers > 0) return;
      kept.length = 0;
      end = null;
      onReset();
    },
    range: () => (end === null ? null : { from: end - kept.length, end }),
    after: (index) => {
      const first = (end ?? 0) - kept.length;
      return kept.slice(index + 1 - first, index + 1 - first + batch);
    },
    grown: bell.heard,
  };
}

interface Bell {
  ring(): void;
  /** Resolves when it rings next, or when `signal` is aborted. */
  heard(signal: AbortSignal): Promise<void>;
}

function makeBell(): Bell {
  const waiting = new Set<() => void>();
  return {
    ring: () => {
      const all = [...waiting];
      waiting.clear();
      for (const resolve of all) resolve();
    },
    heard: (signal) =>
      new Promise((resolve) => {
        const done = (): void => {
          signal.removeEventListener('abort', done);
          waiting.delete(done);
          resolve();
        };
        signal.addEventListener('abort', done);
        waiting.add(done);
        if (signal.aborted) done();
      }),
  };
}

function follow(pool: Pool, turns: Turns, tail: Tail, index: number): Follower {
  let after = index;
  let left = false;
  tail.enter();
  const look = async (): Promise<readonly AuditItem[]> => {
    const range = tail.range();
    if (range === null || after + 1 >= range.end) return [];
    if (after + 1 >= range.from) return tail.after(after);
    // Not beyond the tail: what changes who sees what is noticed there first.
    const filter = { afterIndex: after, asOfSize: range.end, limit: batch };
    return (await turns(() => readRecords(pool, filter))).items;
  };
  return {
    next: async (signal) => {
      while (!signal.aborted) {
        const found = await look().catch(() => null);
        if (found === null) await delay(tickMs, undefined, { signal }).catch(() => undefined);
        else if (found.length === 0) await tail.grown(signal);
        else {
          after = found.at(-1)?.index ?? after;
          return found;
        }
      }
      return [];
    },
    leave: () => {
      if (left) return;
      left = true;
      tail.leave();
    },
  };
}
