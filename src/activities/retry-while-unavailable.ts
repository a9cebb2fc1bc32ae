import { isUnavailable } from '../db/index.js';

/** What the activity's surroundings give: whose execution it is, and the end of this worker. */
export interface Surroundings {
  /** Of all executions, also under one run id: tries of one activity are one execution. */
  readonly owner: string;
  /** This worker process, by its id in the store. */
  readonly process: string;
  /** How often Temporal has begun it, this time included. */
  readonly tries: number;
  /** Aborts when the worker shuts down; never because the run was cancelled: an outcome comes first. */
  readonly shutdown: AbortSignal;
  /** What follows takes no longer than this: after it the execution counts as lost. */
  readonly allow: (ms: number) => void;
  /** It has taken longer. */
  readonly isLate: () => boolean;
}

/** One write of an outcome: its statements end before, or the store is away. */
const writeMs = 60_000;

/** Postgres's: not serialisable, a deadlock. Nothing was written, and the same write can succeed. */
const contended: readonly unknown[] = ['40001', '40P01'];

/** Repeats the write while the store is away, of which `onStoreWait` is told once, or others write. Any other error is a bug and is thrown. */
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
