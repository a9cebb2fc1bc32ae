import { performance } from 'node:perf_hooks';
import type { StoreWaits } from '../../store/processes/store-waits.js';

// A process that cannot reach the store logs it, and counts the time once the store answers: nobody else can know that this
// process alone is cut off.

export interface StoreWatch {
  /** The store did not answer. */
  readonly away: () => void;
  /** A step or an action of a run waits for the store. */
  readonly waited: () => void;
  /** The store has answered. What cannot be counted now is counted the next time. */
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
