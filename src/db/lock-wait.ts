import { write } from './pipelined-connection.js';
import type { Tx } from './types.js';

/** Less than others wait for a connection: they wait behind those who wait for the lock. */
const longestLockWaitMs = 2_000;

/**
 * For a lock that requests of all kinds want: who holds it may stand still, with his transaction open. From here on no statement of
 * the transaction waits longer for a lock; it fails as one of a store that is away.
 */
export async function boundLockWaits(tx: Tx): Promise<void> {
  await write(tx, `set local lock_timeout = ${longestLockWaitMs}`, []);
}
