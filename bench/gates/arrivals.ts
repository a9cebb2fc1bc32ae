import { startTarget } from '../../drill/target.js';

// When the next step begins, as its target sees it: the effect behind the gate is a request that arrives there.

export interface Arrivals {
  readonly url: string;
  /** Resolves when the effect of that run arrives; gives the time by `performance.now()`. */
  of(run: string): Promise<number>;
  close(): Promise<void>;
}

// After a kill an engine may need minutes to recover 100,000 runs.
const patienceMs = 600_000;

export async function listenForEffects(): Promise<Arrivals> {
  const waiting = new Map<string, (at: number) => void>();
  const target = await startTarget((run) => {
    waiting.get(run)?.(performance.now());
    waiting.delete(run);
  });
  return {
    url: target.url,
    of: (run) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`no effect of \`${run}\` within ${patienceMs} ms of its decision`)),
          patienceMs,
        );
        waiting.set(run, (at) => {
          clearTimeout(timer);
          resolve(at);
        });
      }),
    close: target.close,
  };
}
