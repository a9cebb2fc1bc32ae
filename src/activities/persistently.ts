import { isUnavailable } from '../db/index.js';
import type { Surroundings } from './execute.js';

/** Only the store's absence is waited out; anything else is a bug and ends the attempt. */
export async function persistently<T>(around: Surroundings, write: () => Promise<T>): Promise<T> {
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
    try {
      return await write();
    } catch (error) {
      if (!isUnavailable(error) || around.shutdown.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }
}
