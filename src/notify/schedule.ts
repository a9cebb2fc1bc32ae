const second = 1_000;
const hour = 3_600_000;

/** How long after each failed attempt the next follows, for every channel, as Standard Webhooks suggests. */
const delaysMs = [
  5 * second,
  300 * second,
  1_800 * second,
  2 * hour,
  5 * hour,
  10 * hour,
  14 * hour,
  20 * hour,
  24 * hour,
];
export const mostAttempts = delaysMs.length + 1;
const jitter = 0.2;

/** Milliseconds until the next attempt; null: that was the last. `random`, in [0, 1), spreads messages that failed together. */
export function nextDelayMs(attempt: number, askedMs: number, random: number): number | null {
  const delay = delaysMs[attempt - 1];
  return delay === undefined ? null : Math.max(askedMs, Math.round(delay * (1 + jitter * random)));
}
