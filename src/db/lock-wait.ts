import { write } from './pipelined-connection.js';
import type { Tx } from './types.js';

/** Shorter than the time-out of those who wait for a connection, which those who wait for the lock hold. */
const longestLockWaitMs = 2_000;

/**
 * Call it before taking a lock that requests of all kinds want, whose holder may hang with its transaction open. From then on a
 * statement of the transaction that waits too long for a lock fails as if the store were away.
 */
export async function boundLockWaits(tx: Tx): Promise<void> {
  await write(tx, `set local lock_timeout = ${longestLockWaitMs}`, []);
}
