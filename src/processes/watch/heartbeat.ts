import { isUnavailable, type Pool } from '../../db/index.js';
import { deleteWorker, putWorker, type UnsetRow } from '../../store/processes/workers.js';
import type { InternalErrors } from './internal-errors.js';
import type { StoreWatch } from './store-waits.js';

export interface Heartbeat {
  /** Reports a change at once. */
  beat(): void;
  /** Reports that this process serves nothing any more. */
  stop(): Promise<void>;
}

export interface HeartbeatOptions {
  /** The id of this process in the store. */
  readonly id: string;
  readonly pool: Pool;
  /** The environments that this process polls now. */
  readonly environments: () => readonly string[];
  readonly unset: () => Promise<readonly UnsetRow[]>;
  readonly log: (line: string) => void;
  /** Told after each beat whether the store answered. */
  readonly store: Pick<StoreWatch, 'away' | 'answered'>;
  /** Told of any other failure of a beat; of the same failure again only after a beat has succeeded or failed differently. */
  readonly onInternalError: InternalErrors['note'];
}

const beatMs = 1_000;

/** Tells the store every second that this worker lives, and what it serves. */
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
      // While the store is away the beat is lost, but nobody could read it either.
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

/** A function to call with the failure of a beat, or with null where the beat succeeded. A failure that repeats beat after beat is reported once. */
function makeFailureNoter({ store, onInternalError }: Pick<HeartbeatOptions, 'store' | 'onInternalError'>) {
  let noted: string | null = null;
  return (error: unknown): void => {
    if (isUnavailable(error)) return store.away();
    const now = error === null ? null : String(error);
    if (error !== null && now !== noted) onInternalError('the heartbeat of this process', error);
    noted = now;
  };
}
