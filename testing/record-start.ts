import { keepStart, type RecordingDeps } from '../src/client/start.js';
import type { StartRequest } from '../src/client/types.js';
import type { Tx } from '../src/db/index.js';
import type { SealedMessage } from '../src/model/message.js';

/** Stores a start whose caller's rights nothing ends. Null: an earlier attempt of this request has already started the run. */
export async function recordStart(
  deps: RecordingDeps,
  tx: Tx,
  request: Omit<StartRequest, 'rights'>,
): Promise<SealedMessage | null> {
  const kept = await keepStart(deps, tx, request, { first: null, check: () => Promise.resolve('same') });
  return Array.isArray(kept) ? (kept[0] ?? null) : null;
}
