import { listen, type Pool } from '../db/index.js';
import { getListedRun, type ListedRun } from '../store/runs/runs.js';

export interface Waiter {
  /** Waits until the run is at rest: it waits for a caller, a decision or an operator, or is closed. */
  settled(pool: Pool, run: string, waitMs: number): Promise<'settled' | 'executing' | 'accepted'>;
  /**
   * Calls `look` now and after each step of the run, until it finds something, the time is up, or `signal` says that nobody waits any
   * more. Looks once more at the end.
   */
  watch(
    run: string,
    look: () => Promise<boolean>,
    until: { readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<void>;
  /** Aborted when the process stops: from then on nobody waits. */
  readonly stopping: AbortSignal;
  /** Ends every wait: whoever waits looks once more, and is answered with what is so by then. */
  endWaits(): void;
  close(): Promise<void>;
}

/** How often to look without a notification, since notifications may be lost. */
const pollMs = 1_000;

/** Makes a waiter. Runs announce each step on `countersign_run`, and a single connection listens for all who wait. */
export async function makeWaiter(databaseUrl: string): Promise<Waiter> {
  const waiting = new Map<string, Set<() => void>>();
  const wakeAll = (): void => {
    for (const set of waiting.values()) for (const wake of set) wake();
  };
  const stopping = new AbortController();
  const endWaits = (): void => {
    stopping.abort();
    wakeAll();
  };
  const wakeOf = (_channel: string, run: string): void => {
    for (const wake of waiting.get(run) ?? []) wake();
  };
  // Announcements made while the connection was lost are missed, so all who wait look again.
  const listener = await listen(databaseUrl, ['countersign_run'], wakeOf, wakeAll);
  return {
    settled: async (pool, run, waitMs) => {
      const until = Date.now() + waitMs;
      for (;;) {
        const changed = nextChange(waiting, run, Math.min(until, Date.now() + pollMs));
        const row = await getListedRun(pool, run);
        const status = row === null ? 'accepted' : statusOf(row);
        if (status === 'settled' || stopping.signal.aborted || Date.now() >= until) {
          changed.cancel();
          return status;
        }
        await changed.promise;
      }
    },
    watch: async (run, look, { waitMs, signal }) => {
      const until = Date.now() + waitMs;
      for (;;) {
        const over = stopping.signal.aborted || signal.aborted || Date.now() >= until;
        // Listens before it looks, so that it misses no step in between.
        const changed = nextChange(waiting, run, until);
        signal.addEventListener('abort', changed.cancel);
        try {
          if ((await look()) || over) return;
          await changed.promise;
        } finally {
          signal.removeEventListener('abort', changed.cancel);
          changed.cancel();
        }
      }
    },
    stopping: stopping.signal,
    endWaits,
    close: async () => {
      endWaits();
      await listener.close();
    },
  };
}

function statusOf(row: ListedRun): 'settled' | 'executing' | 'accepted' {
  if (row.rev === 0) return row.status === 'failed' ? 'settled' : 'accepted';
  return row.executing === null ? 'settled' : 'executing';
}

function nextChange(
  waiting: Map<string, Set<() => void>>,
  run: string,
  until: number,
): { promise: Promise<void>; cancel: () => void } {
  const set = waiting.get(run) ?? new Set();
  waiting.set(run, set);
  let cancel = (): void => undefined;
  const promise = new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      set.delete(done);
      if (set.size === 0 && waiting.get(run) === set) waiting.delete(run);
      resolve();
    };
    const timer = setTimeout(done, Math.max(until - Date.now(), 1));
    set.add(done);
    cancel = done;
  });
  return { promise, cancel };
}
