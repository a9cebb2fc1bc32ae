import type { Json } from '../../../model/values/json.js';
import type { HttpProblem } from './http.js';
import { isAnswer } from '../message.js';

/** A request of the session, of which the answer is waited for. */
export interface Waiting {
  readonly id: Json;
  readonly onBroken: (problem: HttpProblem) => void;
}

/** One stream of the session. */
export interface Stream {
  /** A message came in it. Is it the answer to the last request? */
  readonly isAnswer: (message: Json) => boolean;
  /** It does not bring the answer, also where it seemed to: that is left to the other streams. */
  readonly leave: (problem: HttpProblem) => void;
  /** It has ended. May be called more than once. */
  readonly end: () => void;
}

/**
 * The streams that are open in a session, which has one request at a time. A server may leave the answer to a stream that is not
 * the request's own (it says 202). As soon as no stream is left that could bring it, the request is told why.
 */
export interface Streams {
  /** A stream begins: that of the answer to a request that is sent now, or, with null, the server's own. */
  begin(waiting: Waiting | null): Stream;
}

export function makeStreams(): Streams {
  const open = new Set<symbol>();
  const answering = new Set<symbol>();
  let asked: Waiting | null = null;
  /** Why the request's own stream left the answer to others; null: it has not. */
  let left: HttpProblem | null = null;
  /** Why the server's own stream could not be read on since the request. It may have brought an answer that was left to it. */
  let unread: HttpProblem | null = null;
  const check = (): void => {
    if (left !== null && open.size === 0 && answering.size === 0) asked?.onBroken(unread ?? left);
  };
  return {
    begin: (waiting) => {
      const stream = Symbol();
      open.add(stream);
      if (waiting !== null) {
        [asked, left, unread] = [waiting, null, null];
        answering.clear();
      }
      return {
        isAnswer: (message) => {
          const isIt = asked !== null && isAnswer(message, asked.id);
          if (isIt) answering.add(stream);
          return isIt;
        },
        leave: (problem) => {
          answering.delete(stream);
          if (waiting === null && problem.isUnreadable === true) unread ??= problem;
          // What becomes of the stream of an earlier request says nothing about this one.
          if (waiting !== null && waiting === asked) left ??= problem;
          check();
        },
        end: () => {
          if (open.delete(stream)) check();
        },
      };
    },
  };
}
