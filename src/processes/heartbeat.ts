import { isUnavailable, type Pool } from '../db/index.js';
import { deleteWorker, putWorker, type UnsetRow } from '../store/workers.js';
import type { InternalErrors } from './internal-errors.js';
import type { StoreWatch } from './store-waits.js';

export interface Heartbeat {
  /** Says at once what has changed. */
  beat(): void;
  /** Says that this process serves nothing any more. */
  stop(): Promise<void>;
}

export interface HeartbeatOptions {
  /** Of this process, in the store. */
  readonly id: string;
  readonly pool: Pool;
  /** That this process polls now. */
  readonly environments: () => readonly string[];
  readonly unset: () => Promise<readonly UnsetRow[]>;
  readonly log: (line: string) => void;
  /** Told of each beat whether the store answered. */
  readonly store: Pick<StoreWatch, 'away' | 'answered'>;
  /** Told of any other failure; not again for the same failure until a beat has succeeded or failed differently. */
  readonly onInternalError: InternalErrors['note'];
}

const beatMs = 1_000;

/** Tells the store that this worker lives, and what it serves. What the store cannot take is said again a second later. */
export function startHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { id, pool, environments, unset, log, store } = options;
  const noteFailure = makeFailureNoter(options);
  let stopping = false;
  let wake: () => void = () => undefined;
  let said = '';
  const beatOnce = async (): Promise<void> => {
    const missing = await unset();
    await putWorker(pool, { id, environments: environments(), unset: missing });
    const lines = missing.map(({ connection, why }) => `connection \`${connection}\`: ${why}`).join('\n');
    if (lines !== said && lines !== '') log(lines);
    said = lines;
    await store.answered();
  };
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, beatMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const beating = (async () => {
    while (!stopping) {
      // The store is away: then nobody reads it either.
      await beatOnce().then(() => noteFailure(null), noteFailure);
      if (!stopping) await pause();
    }
    await deleteWorker(pool, id).catch(noteFailure);
  })();
  return {
    beat: () => wake(),
    stop: async () => {
      stopping = true;
      wake();
      await beating;
    },
  };
}

/** Called with what a beat failed with, or null where it succeeded. The same failure beat after beat is noted once. */
function makeFailureNoter({ store, onInternalError }: Pick<HeartbeatOptions, 'store' | 'onInternalError'>) {
  let noted: string | null = null;
  return (error: unknown): void => {
    if (isUnavailable(error)) return store.away();
    const now = error === null ? null : String(error);
    if (error !== null && now !== noted) onInternalError('the heartbeat of this process', error);
    noted = now;
  };
}
