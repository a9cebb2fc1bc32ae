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
 * in time. Nothing of it is kept then.
 */
export async function keepForeseen<K>(
  run: string,
  foresee: (signal: AbortSignal) => Promise<Foreseen | null>,
  keep: Keep<K>,
): Promise<K | 'full' | 'late'> {
  const turn = await turns.take(run, 'submits');
  if (turn.kind !== 'turn') return turn.kind;
  const until = performance.now() + patienceMs;
  try {
    for (let left = mostForesights; ; left -= 1) {
      const foreseen = left === 0 ? null : await unlessLate(foresee, until - performance.now());
      if (foreseen === 'late') return 'late';
      const kept = await keep(foreseen);
      if (kept !== 'outdated') return kept;
    }
  } finally {
    turn.end();
  }
}

function unlessLate<T>(act: (signal: AbortSignal) => Promise<T>, ms: number): Promise<T | 'late'> {
  const stopping = new AbortController();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      stopping.abort();
      resolve('late');
    }, ms);
    const end = (): void => clearTimeout(timer);
    void act(stopping.signal).then(resolve, reject).finally(end);
  });
}
