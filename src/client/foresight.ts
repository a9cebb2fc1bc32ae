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
export const longestIdleMs = 1_000;

/** Keeps or refuses a submit by what was foreseen. `foreseen` null: the run says. `outdated`: that is no longer so, and nothing was kept. */
type Keep<K> = (foreseen: Foreseen | null) => Promise<K | 'outdated'>;

/**
 * Keeps a submit by what it leads to. `full`: too many wait for the same run. `late`: its turn did not come in time;
 * `unforeseen`: what it leads to was not known in time. Nothing of it is kept then.
 */
export async function keepForeseen<K>(
  run: string,
  foresee: (by: Foreseeing) => Promise<Foreseen | null>,
  keep: Keep<K>,
): Promise<K | 'full' | 'late' | 'unforeseen'> {
  const turn = await turns.take(run, 'submits');
  if (turn.kind !== 'turn') return turn.kind;
  const until = performance.now() + patienceMs;
  try {
    for (let left = mostForesights; ; left -= 1) {
      const foreseen = left === 0 ? null : await foreseeBy(until, foresee, turn.isWaitedFor);
      if (foreseen === 'unforeseen') return 'unforeseen';
      const kept = await keep(foreseen);
      if (kept !== 'outdated') return kept;
    }
  } finally {
    turn.end();
  }
}

function foreseeBy(
  until: number,
  foresee: (by: Foreseeing) => Promise<Foreseen | null>,
  isWaitedFor: () => boolean,
): Promise<Foreseen | null | 'unforeseen'> {
  const stopping = new AbortController();
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      stopping.abort();
      resolve('unforeseen');
    };
    const timer = setTimeout(giveUp, until - performance.now());
    const idle = setInterval(() => isWaitedFor() && giveUp(), longestIdleMs);
    const begin = (): void => clearInterval(idle);
    const end = (): void => {
      clearTimeout(timer);
      clearInterval(idle);
    };
    stopping.signal.addEventListener('abort', end);
    void foresee({ signal: stopping.signal, begin }).then(resolve, reject).finally(end);
  });
}
