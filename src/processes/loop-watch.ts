const promisedMs = 250;
const everyMs = 20;

/**
 * Says when this process could not answer for longer than is promised, and how much of that time it worked itself: what it
 * did not, another process of a busy machine did.
 */
export function watchEventLoop(say: (line: string) => void): void {
  let since = performance.now();
  let before = process.cpuUsage();
  setInterval(() => {
    const ms = Math.round(performance.now() - since - everyMs);
    if (ms > promisedMs) {
      const { user, system } = process.cpuUsage(before);
      say(`the event loop was blocked for ${ms} ms, and worked ${Math.round((user + system) / 1_000)} ms`);
    }
    since = performance.now();
    before = process.cpuUsage();
  }, everyMs).unref();
}
