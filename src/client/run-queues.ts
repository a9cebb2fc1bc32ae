import type { Pool } from '../db/index.js';
import { mostUnanswered } from '../model/limits.js';
import { whenStopping } from '../model/when-stopping.js';

// Requests to a run wait for each other in memory, where they hold no connection; only the request at work and one more of each run
// hold one. So a run that is held up delays only the requests to that run. The starts of one principal wait in the same way for each
// other.

/** How long a request waits for its turn at a run. */
export const patienceMs = 10_000;

export interface RunQueueLimits {
  /** Requests to one run that may hold a connection. */
  readonly perRun: number;
  /** Requests to all runs that may hold a connection. */
  readonly atOnce: number;
  /** Requests to one run, of one kind, that may wait in memory. */
  readonly mostWaiting: number;
  readonly patienceMs: number;
}

/** Counted apart, so that programs' submits take no room from people's decisions, cancels and retries. */
export type RequestKind = 'submits' | 'others';

export type Turn =
  | { readonly kind: 'turn'; readonly end: () => void }
  /** Too many requests of this kind wait for the run already. */
  | { readonly kind: 'full' }
  | { readonly kind: 'late' }
  /** The process stops. */
  | { readonly kind: 'stopping' };

type OwnLimits = Pick<RunQueueLimits, 'perRun' | 'mostWaiting' | 'patienceMs'>;

export interface RunQueues {
  /**
   * A request that would have to wait once `stopping` is aborted gets no turn. `own`: the limits of a line that has others; `perRun` the
   * same in all its requests.
   */
  take(run: string, kind: RequestKind, stopping: AbortSignal, own?: OwnLimits): Promise<Turn>;
}

interface QueueOfRun {
  readonly perRun: number;
  working: number;
  readonly waiting: Readonly<Record<RequestKind, Set<() => void>>>;
}

const queuesByPool = new WeakMap<Pool, RunQueues>();

/**
 * The queues of a pool. Starts and requests to runs together may take three fifths of its connections at most, so that reads always
 * find one.
 */
export function runQueuesOf(pool: Pool): RunQueues {
  const atOnce = Math.max(1, Math.floor((pool.options.max * 3) / 5));
  const limits = { perRun: 2, atOnce, mostWaiting: mostUnanswered, patienceMs };
  const queues = queuesByPool.get(pool) ?? makeRunQueues(limits);
  queuesByPool.set(pool, queues);
  return queues;
}

export function makeRunQueues(limits: RunQueueLimits): RunQueues {
  /** Runs in the order of their last turn, the earliest first, so that every waiting run gets its turn. */
  const runs = new Map<string, QueueOfRun>();
  let working = 0;
  const end = (run: string, queue: QueueOfRun): void => {
    queue.working -= 1;
    working -= 1;
    if (queue.working === 0 && nextOf(queue) === null) runs.delete(run);
    for (const [name, each] of runs) if (mayWork(each)) return serve(name, each);
  };
  const mayWork = (queue: QueueOfRun): boolean =>
    working < limits.atOnce && queue.working < queue.perRun && nextOf(queue) !== null;
  const serve = (name: string, queue: QueueOfRun): void => {
    runs.delete(name);
    runs.set(name, queue);
    nextOf(queue)?.();
  };
  const begin = (run: string, queue: QueueOfRun): Turn => {
    queue.working += 1;
    working += 1;
    return { kind: 'turn', end: makeCallOnce(() => end(run, queue)) };
  };
  return {
    take: (run, kind, stopping, { perRun, mostWaiting, patienceMs } = limits) => {
      const queue = runs.get(run) ?? makeQueue(perRun);
      runs.set(run, queue);
      if (working < limits.atOnce && queue.working < queue.perRun && nextOf(queue) === null)
        return Promise.resolve(begin(run, queue));
      const line = queue.waiting[kind];
      if (line.size >= mostWaiting) return Promise.resolve({ kind: 'full' });
      return new Promise((resolve) => {
        const leaveLine = (): void => {
          clearTimeout(timer);
          unlisten();
          line.delete(giveTurn);
        };
        const giveTurn = (): void => {
          leaveLine();
          resolve(begin(run, queue));
        };
        const goWithout = (kind: 'late' | 'stopping'): void => {
          leaveLine();
          if (queue.working === 0 && nextOf(queue) === null) runs.delete(run);
          resolve({ kind });
        };
        const stop = (): void => goWithout('stopping');
        const timer = setTimeout(() => goWithout('late'), patienceMs);
        const unlisten = whenStopping(stopping, stop);
        line.add(giveTurn);
        if (stopping.aborted) stop();
      });
    },
  };
}

function makeQueue(perRun: number): QueueOfRun {
  return { perRun, working: 0, waiting: { submits: new Set(), others: new Set() } };
}

/** The next request: that which has waited longest, submits only after all others. */
function nextOf({ waiting }: QueueOfRun): (() => void) | null {
  const [next = null] = waiting.others.size > 0 ? waiting.others : waiting.submits;
  return next;
}

export function makeCallOnce(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}
