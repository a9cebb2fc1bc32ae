import { makeTurns } from '../../../model/give-way.js';
import { maxReplies, maxWaitingReplies } from '../limits.js';

/** Sends a message when it is its turn. A message whose signal was aborted by then is not sent. */
export type SendInTurn = <T>(send: () => Promise<T>, signals: readonly AbortSignal[]) => Promise<T>;

/**
 * For the replies and notifications of one session, each of which takes a connection of its own: few are under way at the same
 * time, and the others wait. `onTooMany` is told of each that may not even wait, and is not sent.
 */
export function makeSendInTurn(onTooMany: (why: string) => void): SendInTurn {
  const turn = makeTurns();
  let underWay = 0;
  const waiting: (() => void)[] = [];
  return async (send, signals) => {
    if (waiting.length >= maxWaitingReplies) {
      onTooMany(`its server asks on, and over ${maxWaitingReplies} replies to it wait to be sent`);
      throw new Error('too many replies wait');
    }
    if (underWay < maxReplies) underWay += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      // At the end of a call all that wait are told so, one after the other: others get their turn in between.
      await turn();
      for (const signal of signals) signal.throwIfAborted();
      return await send();
    } finally {
      const next = waiting.shift();
      if (next === undefined) underWay -= 1;
      else next();
    }
  };
}
