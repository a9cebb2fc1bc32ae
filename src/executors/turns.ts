/** How long one answer may keep everybody else waiting, in milliseconds. */
const turnMs = 10;

/** Waits for everybody else's turn when its own has been long enough: timers fire, and other calls go on. */
export type Turn = () => Promise<void>;

export function makeTurns(): Turn {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < turnMs) return;
    await new Promise((resolve) => setImmediate(resolve));
    since = performance.now();
  };
}
