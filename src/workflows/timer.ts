import { isClosed, push, type Memory } from './memory.js';

// The kernel's waits: for the next deadline of its run, and before it tries something again.

/** The wait before a timer is set again for the same deadline: it fired before the store's clock had reached that. */
const soonestAgainMs = 500;
/** Temporal counts a timer's nanoseconds in 64 bits: for a deadline further away, the timer fires on the way and is set again. */
const longestTimerMs = 365 * 24 * 3_600_000;

/** Sets the run's only durable timer, for its next deadline. */
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
