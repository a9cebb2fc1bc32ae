import { mostUnanswered } from '../model/limits.js';
import type { Foreseen } from './types.js';
import { makeRunQueues, patienceMs } from './run-queues.js';

// Submits of one run are foreseen one after the other, each until it is kept or refused, so that the order on paper is the order in
// the store. They wait in memory, and hold nothing; whoever asks for something else does not wait for them.

const turns = makeRunQueues({ perRun: 1, atOnce: Infinity, mostWaiting: mostUnanswered, patienceMs });

/** How often it is found out what a submit leads to, where the run is asked something else or goes on meanwhile. */
const mostForesights = 3;

/** Keeps or refuses a submit by what was foreseen. `foreseen` null: the run says. `outdated`: that is no longer so, and nothing was kept. */
type Keep<K> = (foreseen: Foreseen | null) => Promise<K | 'outdated'>;

/**
 * Keeps a submit by what it leads to. `full`: too many wait for the same run. `late`: its turn, or what it leads to, was not known
 * in time. `stopping`: the process stops. Nothing of it is kept then.
 */
export async function keepForeseen<K>(
  run: string,
  foresee: (signal: AbortSignal) => Promise<Foreseen | null>,
  keep: Keep<K>,
  stopping: AbortSignal,
): Promise<K | 'full' | 'late' | 'stopping'> {
  const turn = await turns.take(run, 'submits', stopping);
  if (turn.kind !== 'turn') return turn.kind;
  const until = performance.now() + patienceMs;
  try {
    for (let left = mostForesights; ; left -= 1) {
      const foreseen = left === 0 ? null : await inTime(foresee, until - performance.now(), stopping);
      if (foreseen === 'late' || foreseen === 'stopping') return foreseen;
      const kept = await keep(foreseen);
      if (kept !== 'outdated') return kept;
    }
  } finally {
    turn.end();
  }
}

function inTime<T>(
  act: (signal: AbortSignal) => Promise<T>,
  ms: number,
  stopping: AbortSignal,
): Promise<T | 'late' | 'stopping'> {
  if (stopping.aborted) return Promise.resolve('stopping');
  const ending = new AbortController();
  return new Promise((resolve, reject) => {
    const giveUp = (why: 'late' | 'stopping'): void => {
      ending.abort();
      resolve(why);
    };
    const stop = (): void => giveUp('stopping');
    const timer = setTimeout(() => giveUp('late'), ms);
    stopping.addEventListener('abort', stop);
    const end = (): void => {
      clearTimeout(timer);
      stopping.removeEventListener('abort', stop);
    };
    void act(ending.signal).then(resolve, reject).finally(end);
  });
}
