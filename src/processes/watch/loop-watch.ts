import { workedMs } from '../../model/thread-clock.js';

const promisedMs = 250;
const everyMs = 20;

/**
 * Says when this process could not answer for longer than is promised, and for how much of that time its own thread worked: for
 * the rest, another thread or process of a busy machine did.
 */
export function watchEventLoop(say: (line: string) => void): void {
  let since = performance.now();
  let before = workedMs();
  setInterval(() => {
    const ms = Math.round(performance.now() - since - everyMs);
    if (ms > promisedMs) {
      const own = Math.round(workedMs() - before);
      say(`the event loop was blocked for ${ms} ms until ${new Date().toISOString()}, and worked ${own} ms`);
    }
    since = performance.now();
    before = workedMs();
  }, everyMs).unref();
}
