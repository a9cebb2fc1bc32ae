import { performance } from 'node:perf_hooks';
import type { StoreWaits } from '../store/store-waits.js';

// A process that cannot reach the store says so while it lasts, and has it counted once the store answers: nobody else
// can tell that this one process is cut off.

export interface StoreWatch {
  /** It did not answer. */
  readonly away: () => void;
  /** A step or an action of a run waits for it. */
  readonly waited: () => void;
  /** It has answered. What could not be counted then is counted the next time. */
  readonly answered: () => Promise<void>;
}

export function makeStoreWatch(
  log: (line: string) => void,
  add: (waits: StoreWaits) => Promise<void>,
  now: () => number = () => performance.now(),
): StoreWatch {
  let spell: { readonly since: number; waited: number } | null = null;
  let uncounted: StoreWaits = { count: 0, seconds: 0 };
  const away = (): { waited: number } => {
    if (spell === null) {
      spell = { since: now(), waited: 0 };
      log('the store does not answer: what runs ask for waits for it');
    }
    return spell;
  };
  const end = (): void => {
    if (spell === null) return;
    const seconds = (now() - spell.since) / 1_000;
    log(
      `the store answers again after ${seconds.toFixed(1)} s, in which ${spell.waited} steps and actions of runs waited for it`,
    );
    uncounted = { count: uncounted.count + 1, seconds: uncounted.seconds + seconds };
    spell = null;
  };
  return {
    away: () => void away(),
    waited: () => void (away().waited += 1),
    answered: async () => {
      end();
      if (uncounted.count === 0) return;
      const waits = uncounted;
      uncounted = { count: 0, seconds: 0 };
      try {
        await add(waits);
      } catch (error) {
        uncounted = {
          count: uncounted.count + waits.count,
          seconds: uncounted.seconds + waits.seconds,
        };
        throw error;
      }
    },
  };
}
