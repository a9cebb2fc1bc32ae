const everyMs = 1_000;
/** How long an execution may take before its call, for one transaction. */
const beginMs = 60_000;

export interface Heartbeats {
  /** Says how long what follows may take, in ms. */
  readonly allow: (ms: number) => void;
  readonly isLate: () => boolean;
  readonly stop: () => void;
}

/**
 * Heartbeats for Temporal, which waits for an execution as long as they come. They come however long an execution waits for the
 * store, but stop when what it does takes longer than allowed: then the execution counts as lost, as if its worker had died.
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
