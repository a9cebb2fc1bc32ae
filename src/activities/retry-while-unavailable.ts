import { isUnavailable } from '../db/index.js';

/** What an execution gets from its activity: who it is, how long it may take, and the end of this worker. */
export interface Surroundings {
  /** The id of this execution. Tries of one activity are one execution, and share it. */
  readonly owner: string;
  /** This worker process, by its id in the store. */
  readonly process: string;
  /** How often Temporal has begun the activity, this time included. */
  readonly tries: number;
  /** Aborts when the worker shuts down; not when the run is cancelled, since an effect under way gets its outcome first. */
  readonly shutdown: AbortSignal;
  /** Says how long the execution may take from now on, in ms. After that it counts as lost. */
  readonly allow: (ms: number) => void;
  /** Has it taken longer? */
  readonly isLate: () => boolean;
}

/** Longest that a write of an outcome takes: its statements end before, or the store is away. */
const writeMs = 60_000;

/** Codes of Postgres: not serialisable, a deadlock. Nothing was written, and the same write can succeed. */
const contended: readonly unknown[] = ['40001', '40P01'];

/** Repeats the write while the store is away (`onStoreWait` is called once) or other writes are in its way. Any other error is a bug and is thrown. */
export async function retryWhileUnavailable<T>(
  around: Surroundings,
  onStoreWait: () => void,
  write: () => Promise<T>,
): Promise<T> {
  let waits = false;
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
    around.allow(writeMs);
    try {
      return await write();
    } catch (error) {
      if (!(isUnavailable(error) || isContended(error)) || around.shutdown.aborted) throw error;
      if (!waits && isUnavailable(error)) {
        onStoreWait();
        waits = true;
      }
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}

function isContended(error: unknown): boolean {
  return error instanceof Error && 'code' in error && contended.includes(error.code);
}
