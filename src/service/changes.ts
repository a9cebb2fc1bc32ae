import { requireRights, RightsChanged } from '../auth/index.js';
import type { Tx } from '../db/index.js';
import { whenStopping } from '../model/when-stopping.js';
import type { Caller } from './caller.js';
import { makeFairTurns } from './seats.js';

// What a request itself changes (keys, flows, claims, links, …), and no run: kept in its turn, and with the rights that its caller has
// then.

/**
 * How many of these transactions hold a connection at a time, in one process and of one principal. Each may ask for its caller's rights on
 * another connection, so a part of the pool's has to be left for that.
 */
const mostTransactions = 5;
const mostOwnTransactions = 2;

/** How long a change waits for its turn. */
const longestTurnMs = 10_000;

const inShare = makeFairTurns({ each: mostOwnTransactions, all: mostTransactions });

/** The turn of a change did not come in time, or before the process stops: nothing of it is kept. */
export class OutOfTurn extends Error {
  constructor(why: 'late' | 'stopping') {
    super(
      why === 'late'
        ? `other changes came first, and the turn of this one did not come within ${longestTurnMs / 1_000} s`
        : 'this process of the API is stopping, and the turn of this change had not come',
    );
  }
}

type Changer = Pick<Caller, 'principal' | 'rights' | 'stopping'>;

/**
 * Keeps what the caller's own request changes, in its turn. `keep` calls `mayKeep` last in its transaction. Throws `RightsChanged`, and
 * nothing is kept, where the request has waited and its caller has other rights by then, and `OutOfTurn`.
 */
export function keepInShare<T>(
  { principal, rights, stopping }: Changer,
  keep: (mayKeep: (tx: Tx) => Promise<void>) => Promise<T>,
): Promise<T> {
  return inTurn(principal.id, stopping, async () => {
    // Asked before the transaction too, which holds a connection while it asks.
    if (!(await rights.areSame())) throw new RightsChanged();
    return keep((tx) => requireRights(tx, rights));
  });
}

/** A transaction of the caller's own request, kept as by `keepInShare`. */
export function transact<T>(caller: Caller, act: (tx: Tx) => Promise<T>): Promise<T> {
  return keepInShare(caller, (mayKeep) =>
    caller.deps.transaction(async (tx) => {
      const result = await act(tx);
      await mayKeep(tx);
      return result;
    }),
  );
}

/** Does `act` when its turn comes; not at all where that is too late, or it would have to wait while the process stops. */
function inTurn<T>(principal: string, stopping: AbortSignal, act: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let standing: 'waits' | 'begun' | 'gone' = 'waits';
    const leave = (why: 'late' | 'stopping'): void => {
      endWait('gone');
      reject(new OutOfTurn(why));
    };
    const giveUp = setTimeout(() => leave('late'), longestTurnMs);
    const unlisten = whenStopping(stopping, () => leave('stopping'));
    const endWait = (by: 'begun' | 'gone'): void => {
      clearTimeout(giveUp);
      unlisten();
      standing = by;
    };
    const begin = async (): Promise<void> => {
      if (standing === 'gone') return;
      endWait('begun');
      resolve(await act());
    };
    inShare(principal, begin).catch(reject);
    if (standing === 'waits' && stopping.aborted) leave('stopping');
  });
}
