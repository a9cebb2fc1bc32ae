const everyMs = 1_000;
/** What an execution does before its call: one transaction. */
const beginMs = 60_000;

export interface Heartbeats {
  /** What follows takes no longer than this. */
  readonly allow: (ms: number) => void;
  readonly isLate: () => boolean;
  readonly stop: () => void;
}

/**
 * Temporal waits for an execution as long as it hears of it. It hears of one that waits for the store, however long; not of
 * one that takes longer than what it does may take, which counts as lost with its worker.
 */
export function beatWhileAllowed(heartbeat: () => void): Heartbeats {
  let until = Date.now() + beginMs;
  const isLate = (): boolean => Date.now() > until;
  const beat = setInterval(() => {
    if (!isLate()) heartbeat();
  }, everyMs);
  return {
    allow: (ms) => {
      until = Date.now() + ms;
    },
    isLate,
    stop: () => clearInterval(beat),
  };
}
