import { readRecords, sequence, type AuditItem, type RecordFilter } from '../audit/index.js';
import type { Pool } from '../db/index.js';

/** Tells those who listen that the log may have grown. */
export interface Feed {
  /** The log's size now. */
  size(): Promise<number>;
  read(filter: RecordFilter): Promise<readonly AuditItem[]>;
  /** Calls `wake` when there may be something new, until the returned function is called. */
  subscribe(wake: () => void): () => void;
  /** Aborted when the process stops: who reads is to be let go. */
  readonly closing: AbortSignal;
  close(): Promise<void>;
}

export interface FeedDeps {
  readonly pool: Pool;
  readonly listen: (channels: readonly string[], onNotify: () => void) => Promise<{ close(): Promise<void> }>;
}

/** Records that no run's step announces (API calls, keys) come with this tick. */
const tickMs = 1_000;

/** `countersign_run` is sent by each step of a run, `countersign_feed` when records got their index. */
export async function makeFeed({ pool, listen }: FeedDeps): Promise<Feed> {
  const closing = new AbortController();
  const wakes = new Set<() => void>();
  const wakeAll = (): void => {
    for (const wake of wakes) wake();
  };
  const listener = await listen(['countersign_run', 'countersign_feed'], wakeAll);
  const timer = setInterval(wakeAll, tickMs);
  timer.unref();
  return {
    size: () => sequence(pool),
    read: async (filter) => (await readRecords(pool, filter)).items,
    subscribe: (wake) => {
      wakes.add(wake);
      return () => void wakes.delete(wake);
    },
    closing: closing.signal,
    close: async () => {
      closing.abort();
      clearInterval(timer);
      wakes.clear();
      await listener.close();
    },
  };
}
