import type { Queryable } from './types.js';

/**
 * The store's clock, ISO 8601 UTC, which all workers and API processes share: what is due is compared with it, and a
 * run's record is dated by it. Asked behind the lock on the run, it never goes back within a run.
 */
export async function storeTime(q: Queryable): Promise<string> {
  const { rows } = await q.query<{ now: string }>('select clock_timestamp() as now');
  const [row] = rows;
  if (row === undefined) throw new Error('the store does not say what time it is');
  return row.now;
}

export interface StoreClock {
  /** The store's time as its last answer has it, counted on from there by a clock that nobody sets. */
  readonly now: () => Date;
  stop(): void;
}

const askEveryMs = 10_000;

/**
 * The clock of a process that serves people: keys, links and claims end by the store's time, whatever the process's own clock
 * says. Rejects where the store does not answer at first; later it counts on without the store.
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
