import { listen, type Pool } from '../db/index.js';
import { getRun, type RunRow } from '../store/runs.js';

export interface Waiter {
  /** Waits until the run waits for a caller, a decision or an operator, or is closed. */
  settled(pool: Pool, run: string, waitMs: number): Promise<'settled' | 'executing' | 'accepted'>;
  close(): Promise<void>;
}

/** A lost notification must not cost a caller its answer. */
const pollMs = 1_000;

/** Runs announce each step on `countersign_run`; one connection listens for all who wait. */
export async function makeWaiter(databaseUrl: string): Promise<Waiter> {
  const waiting = new Map<string, Set<() => void>>();
  const wakeAll = (): void => {
    for (const set of waiting.values()) for (const wake of set) wake();
  };
  const listener = await listen(databaseUrl, ['countersign_run'], (_channel, run) => {
    for (const wake of waiting.get(run) ?? []) wake();
  });
  return {
    settled: async (pool, run, waitMs) => {
      const until = Date.now() + waitMs;
      for (;;) {
        const changed = nextChange(waiting, run, until);
        const row = await getRun(pool, run);
        const status = row === null ? 'accepted' : statusOf(row);
        if (status === 'settled' || Date.now() >= until) {
          changed.cancel();
          return status;
        }
        await changed.promise;
      }
    },
    close: async () => {
      wakeAll();
      await listener.close();
    },
  };
}

function statusOf(row: RunRow): 'settled' | 'executing' | 'accepted' {
  if (row.rev === 0) return row.status === 'failed' ? 'settled' : 'accepted';
  const executing = row.doc !== null && (JSON.parse(row.doc) as { executing: unknown }).executing !== null;
  return executing ? 'executing' : 'settled';
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
    const timer = setTimeout(done, Math.max(Math.min(pollMs, until - Date.now()), 1));
    set.add(done);
    cancel = done;
  });
  return { promise, cancel };
}
