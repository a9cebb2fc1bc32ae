import { isClosed, push, type Memory } from './memory.js';
import { waitsElsewhereSince } from './versions.js';

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

/** The first wait before the same is tried again. */
export const firstPauseMs = 1_000;
const longestDoubledMs = 30_000;
/**
 * Each try adds 6 to 12 events, and while an effect is under way no other history follows. With at most this, a history lasts two
 * weeks at the least before it has as many events as the server takes, with all signals that the server takes among them.
 */
const longestPauseMs = 30 * 60_000;

/** The next wait behind one of this length: twice that up to half a minute, then a twentieth more, which is half a minute and a twentieth of the time waited so far. */
export function lengthenPause({ version }: Memory, pauseMs: number): number {
  if (pauseMs < longestDoubledMs) return Math.min(pauseMs * 2, longestDoubledMs);
  return version < waitsElsewhereSince ? pauseMs : Math.min(Math.round(pauseMs * 1.05), longestPauseMs);
}

export async function pause({ ports }: Memory, ms: number): Promise<void> {
  let over = false;
  ports.startTimer(ms, () => {
    over = true;
  });
  await ports.until(() => over);
}
