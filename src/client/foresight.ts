import { mostUnanswered } from '../model/limits.js';
import type { Foreseeing, Foreseen } from './types.js';
import { makeRunQueues, patienceMs } from './run-queues.js';

// Submits of one run are foreseen one after the other, each until it is kept or refused, so that the order on paper is the order in
// the store. They wait in memory, and hold nothing; whoever asks for something else does not wait for them. One that has not begun,
// since its principal has others at work, does not keep others from the run for long.

const turns = makeRunQueues({ perRun: 1, atOnce: Infinity, mostWaiting: mostUnanswered, patienceMs });

/** How often it is found out what a submit leads to, where the run is asked something else or goes on meanwhile. */
const mostForesights = 3;

/** How long a submit that is not at work keeps its turn where others wait for the run. */
const longestIdleMs = 1_000;

/** Keeps or refuses a submit by what was foreseen. `foreseen` null: the run says. `outdated`: that is no longer so, and nothing was kept. */
type Keep<K> = (foreseen: Foreseen | null) => Promise<K | 'outdated'>;

/** Why a request to a run is not kept. `unforeseen`: what it leads to was not found out in time. */
export type Unkept = 'late' | 'unforeseen' | 'stopping';

export function describeUnkept(why: Unkept, run: string): string {
  if (why === 'unforeseen')
    return `what this leads to in run \`${run}\` was not found out within ${patienceMs / 1_000} s, or not begun within ${longestIdleMs / 1_000} s while others waited for the run: nothing of it is kept, try again`;
  return why === 'stopping'
    ? `this process of the API is stopping, and the turn of this request at run \`${run}\` had not come: nothing of it is kept, try again`
    : `other requests to run \`${run}\` came first, and the turn of this one did not come within ${patienceMs / 1_000} s: nothing of it is kept, try again`;
}

/**
 * Keeps a submit by what it leads to. `full`: too many wait for the same run. `late`: its turn did not come in time.
 * `unforeseen`: what it leads to was not known in time. `stopping`: the process stops. Nothing of it is kept then.
 */
export async function keepForeseen<K>(
  run: string,
  foresee: (by: Foreseeing) => Promise<Foreseen | null>,
  keep: Keep<K>,
  stopping: AbortSignal,
): Promise<K | 'full' | Unkept> {
  const turn = await turns.take(run, 'submits', stopping);
  if (turn.kind !== 'turn') return turn.kind;
  const until = performance.now() + patienceMs;
  try {
    for (let left = mostForesights; ; left -= 1) {
      const foreseen =
        left === 0 ? null : await inTime(foresee, until - performance.now(), turn.isWaitedFor, stopping);
      if (foreseen === 'unforeseen' || foreseen === 'stopping') return foreseen;
      const kept = await keep(foreseen);
      if (kept !== 'outdated') return kept;
    }
  } finally {
    turn.end();
  }
}

function inTime<T>(
  act: (by: Foreseeing) => Promise<T>,
  ms: number,
  isWaitedFor: () => boolean,
  stopping: AbortSignal,
): Promise<T | 'unforeseen' | 'stopping'> {
  if (stopping.aborted) return Promise.resolve('stopping');
  const ending = new AbortController();
  return new Promise((resolve, reject) => {
    const giveUp = (why: 'unforeseen' | 'stopping'): void => {
      end();
      ending.abort();
      resolve(why);
    };
    const stop = (): void => giveUp('stopping');
    const timer = setTimeout(() => giveUp('unforeseen'), ms);
    const idle = setInterval(() => isWaitedFor() && giveUp('unforeseen'), longestIdleMs);
    const begin = (): void => clearInterval(idle);
    stopping.addEventListener('abort', stop);
    const end = (): void => {
      clearTimeout(timer);
      clearInterval(idle);
      stopping.removeEventListener('abort', stop);
    };
    void act({ signal: ending.signal, begin }).then(resolve, reject).finally(end);
  });
}
