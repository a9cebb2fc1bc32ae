import { startTarget } from '../../drill/target.js';

// The next step as the world sees it: the request of the effect that stands behind the gate.

export interface Arrivals {
  readonly url: string;
  /** When the effect of that run arrives, by `performance.now()`. */
  of(run: string): Promise<number>;
  close(): Promise<void>;
}

// An engine that brings 100,000 runs back after a kill may take minutes.
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
