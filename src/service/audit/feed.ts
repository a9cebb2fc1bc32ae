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

/** The log as it grows, read once for all followers. */
export interface Feed {
  /** Number of records in the log now. */
  size(): Promise<number>;
  /** A follower that reads piece by piece what comes after `index`. */
  follow(index: number, principal: string): Follower;
  /** Who may see which records. */
  readonly sights: Sights;
  /** Turns for the queries of streams, so that they never use up the connections that requests need. */
  readonly turns: Turns;
  readonly streams: Seats;
  readonly longPolls: Seats;
  /** Limits the long polls of a principal at the same run. */
  readonly longPollsOfRun: Seats;
  /** Shares one look among long polls that wait for the same. */
  readonly looks: Shared;
  /** Aborted when the process stops: streams and long polls must end. */
  readonly closing: AbortSignal;
  close(): Promise<void>;
}

export interface Follower {
  /** The next records: at once if there are any, else as soon as some come; empty when `signal` is aborted. */
  next(signal: AbortSignal): Promise<readonly AuditItem[]>;
  leave(): void;
}

export interface FeedDeps {
  readonly pool: Pool;
  readonly listen: (channels: readonly string[], onNotify: () => void) => Promise<{ close(): Promise<void> }>;
}

/** How often to look for records that no step of a run announces (API calls, keys). */
const tickMs = 1_000;
const pageSize = 200;
/** Records kept in memory for followers; a follower that is further behind reads from the store, in turn. */
const keptRecords = 1_000;
const turnsAtOnce = 4;
/** The most of one principal, and of all together, in one process. */
const mostStreamsOfOne = 20;
const mostStreams = 500;
const mostLongPollsOfOne = 100;
const mostLongPolls = 1_000;
const mostLongPollsAtRun = 20;
/** Followers that are behind read the log from the store, perhaps from its beginning: how many at once, and of one principal. */
const catchUpsAtOnce = 2;
const catchUpsOfOne = 1;

/** Listens to `countersign_run`, which each step of a run sends, and `countersign_feed`, sent when records get their index. */
export async function makeFeed({ pool, listen }: FeedDeps): Promise<Feed> {
  const closing = new AbortController();
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
  /** Index of the first record in memory, and the index after the last; null before the first reading. */
  range(): { readonly from: number; readonly end: number } | null;
  /** Records in memory after `index`, at most `pageSize`. */
  after(index: number): readonly AuditItem[];
  /** Resolves at the next reading that finds something, or when `signal` is aborted. */
  waitForGrowth(signal: AbortSignal): Promise<void>;
}

/** `onReset` is called when the last follower has left: from then on growth is not noticed. */
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
    const { items, more } = await readRecords(pool, { afterIndex: from - 1, limit: pageSize });
    // All followers have left meanwhile, and others may have come: what was read does not fit any more.
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
        // While the store is away nothing is lost: the next tick reads on.
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
      return kept.slice(index + 1 - first, index + 1 - first + pageSize);
    },
    waitForGrowth: bell.waitForRing,
  };
}

interface Bell {
  ring(): void;
  /** Resolves when it rings next, or when `signal` is aborted. */
  waitForRing(signal: AbortSignal): Promise<void>;
}

function makeBell(): Bell {
  const waiting = new Set<() => void>();
  return {
    ring: () => {
      const all = [...waiting];
      waiting.clear();
      for (const resolve of all) resolve();
    },
    waitForRing: (signal) =>
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
    // Never beyond the tail: a change of who may see what is noticed there first.
    const filter = { afterIndex: after, asOfSize: range.end, limit: pageSize };
    return (await turns(() => readRecords(pool, filter))).items;
  };
  return {
    next: async (signal) => {
      while (!signal.aborted) {
        const found = await look().catch(() => null);
        if (found === null) await delay(tickMs, undefined, { signal }).catch(() => undefined);
        else if (found.length === 0) await tail.waitForGrowth(signal);
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
