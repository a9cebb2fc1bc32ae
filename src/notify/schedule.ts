const second = 1_000;
const hour = 3_600_000;

/** What Standard Webhooks suggests, for every channel: how long after each failed attempt the next one comes. */
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

/** Null: that was the last attempt. `random`: in [0, 1), so that what failed together is not tried together. */
export function nextDelayMs(attempt: number, askedMs: number, random: number): number | null {
  const delay = delaysMs[attempt - 1];
  return delay === undefined ? null : Math.max(askedMs, Math.round(delay * (1 + jitter * random)));
}
