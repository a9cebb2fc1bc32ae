/**
 * The streams that are open in a session. A server may leave the answer to a request to a stream that is not the request's own
 * (it says 202), which here is told as soon as no stream is left that could bring it.
 */
export interface Streams {
  /** A request is sent: from now on the answer is its answer. A session has one request at a time. */
  ask(): void;
  /** A stream begins. Gives what to call when it has ended, once or more often. */
  begin(): () => void;
  /** An event came that may be the answer. */
  noteAnswer(): void;
  /** The answer is left to other streams. `onNone`: no stream is open any more, and none has brought it. */
  leave(onNone: () => void): void;
  /** The same of a stream that has failed: what it brought before that was not the answer. The first that is told counts. */
  fail(onNone: () => void): void;
}

export function makeStreams(): Streams {
  const open = new Set<symbol>();
  let onNone: (() => void) | null = null;
  let mayBeAnswered = false;
  const check = (): void => {
    if (open.size === 0 && !mayBeAnswered) onNone?.();
  };
  return {
    ask: () => {
      mayBeAnswered = false;
      onNone = null;
    },
    begin: () => {
      const stream = Symbol();
      open.add(stream);
      return () => {
        if (open.delete(stream)) check();
      };
    },
    noteAnswer: () => {
      mayBeAnswered = true;
    },
    leave: (told) => {
      onNone ??= told;
      check();
    },
    fail: (told) => {
      onNone ??= told;
      mayBeAnswered = false;
      check();
    },
  };
}
