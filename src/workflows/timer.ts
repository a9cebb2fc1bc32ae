import { isClosed, push, type Memory } from './memory.js';

// The kernel's waits: for the next moment of its run, and before it tries again.

/** A timer that fired before the store's clock agreed is not set for a moment that has passed. */
const soonestAgainMs = 500;
/** Temporal counts a timer's nanoseconds in 64 bits: a moment that is further away is looked at again on the way. */
const longestTimerMs = 365 * 24 * 3_600_000;

/** One durable timer a run, for the next moment at which time has something to say to it. */
export function setTimer(memory: Memory): void {
  const { ports, known, timer, firedFor } = memory;
  const at = isClosed(known) ? null : known.wakeAt;
  if (timer !== null && timer.at === at) return;
  timer?.handle.cancel();
  memory.timer = null;
  if (at === null) return;
  const ms = Math.min(Math.max(at - ports.now(), at === firedFor ? soonestAgainMs : 1), longestTimerMs);
  const fire = (): void => {
    memory.timer = null;
    memory.firedFor = at;
    push(memory, { kind: 'time' });
  };
  memory.timer = { at, handle: ports.startTimer(ms, fire) };
}

export async function pause({ ports }: Memory, ms: number): Promise<void> {
  let over = false;
  ports.startTimer(ms, () => {
    over = true;
  });
  await ports.until(() => over);
}
