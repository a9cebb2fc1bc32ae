import type { Json } from '../../model/values/json.js';
import { isAnswer } from './message.js';

/**
 * The streams that are open in a session. A server may leave the answer to a request to a stream that is not the request's own
 * (it says 202), which here is told as soon as no stream is left that could bring it.
 */
export interface Streams {
  /** A request is sent: from now on the answer is its answer. A session has one request at a time. */
  ask(id: Json): void;
  /** A stream begins. Gives what to call when it has ended, once or more often. */
  begin(): () => void;
  /** A message came in this body. Is it the answer? */
  isAnswer(body: symbol, message: Json): boolean;
  /** The answer is left to other streams. `onNone`: no stream is open any more, and none has brought it. */
  leave(onNone: () => void): void;
  /** The same where this body has failed, so that what it brought was not the answer. The first that is told counts. */
  fail(body: symbol, onNone: () => void): void;
}

export function makeStreams(): Streams {
  const open = new Set<symbol>();
  let asked: Json = null;
  let onNone: (() => void) | null = null;
  const answering = new Set<symbol>();
  const check = (): void => {
    if (open.size === 0 && answering.size === 0) onNone?.();
  };
  return {
    ask: (id) => {
      asked = id;
      answering.clear();
      onNone = null;
    },
    begin: () => {
      const stream = Symbol();
      open.add(stream);
      return () => {
        if (open.delete(stream)) check();
      };
    },
    isAnswer: (body, message) => {
      const isIt = isAnswer(message, asked);
      if (isIt) answering.add(body);
      return isIt;
    },
    leave: (told) => {
      onNone ??= told;
      check();
    },
    fail: (body, told) => {
      onNone ??= told;
      answering.delete(body);
      check();
    },
  };
}
