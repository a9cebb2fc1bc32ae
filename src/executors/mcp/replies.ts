import { maxReplies } from './limits.js';

/** Sends a message when it is its turn. A message whose signal was aborted by then is not sent. */
export type SendInTurn = <T>(send: () => Promise<T>, signals: readonly AbortSignal[]) => Promise<T>;

/**
 * For the replies and notifications of one session, each of which takes a connection of its own: as many as a server asks for
 * wait here, and few are under way.
 */
export function makeSendInTurn(): SendInTurn {
  let underWay = 0;
  const waiting: (() => void)[] = [];
  return async (send, signals) => {
    if (underWay < maxReplies) underWay += 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      for (const signal of signals) signal.throwIfAborted();
      return await send();
    } finally {
      const next = waiting.shift();
      if (next === undefined) underWay -= 1;
      else next();
    }
  };
}
