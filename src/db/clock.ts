import type { Queryable } from './types.js';

/**
 * The store's time, ISO 8601 UTC. All workers and API processes share this clock: it says what is due, and dates a run's
 * record. Read under the lock on a run, it never goes back within that run.
 */
export async function storeTime(q: Queryable): Promise<string> {
  const { rows } = await q.query<{ now: string }>('select clock_timestamp() as now');
  const [row] = rows;
  if (row === undefined) throw new Error('the store does not say what time it is');
  return row.now;
}

export interface StoreClock {
  /** The store's time: its last answer, and the time since then by this process's monotonic clock. */
  readonly now: () => Date;
  stop(): void;
}

const askEveryMs = 10_000;

/**
 * The clock of a process that serves people: keys, links and claims end by the store's time, whatever the process's own clock
 * says. Rejects when the store does not give the first answer; after that the clock runs on without the store.
 */
export async function makeStoreClock(q: Queryable, everyMs = askEveryMs): Promise<StoreClock> {
  let ahead = -Infinity;
  const ask = async (): Promise<void> => {
    const asked = performance.now();
    const told = Date.parse(await storeTime(q));
    // The store read its clock at some time between the question and the answer.
    ahead = Math.min(Math.max(ahead, told - performance.now()), told - asked);
  };
  await ask();
  const timer = setInterval(() => void ask().catch(() => undefined), everyMs).unref();
  return {
    now: () => new Date(Math.floor(performance.now() + ahead)),
    stop: () => clearInterval(timer),
  };
}
