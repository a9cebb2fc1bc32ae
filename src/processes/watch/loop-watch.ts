import { workedMs } from '../../model/thread-clock.js';

const promisedMs = 250;
const everyMs = 20;

/** For so many milliseconds until then, an event loop had no turn; its own thread worked for some of them. */
interface Block {
  readonly ms: number;
  /** Milliseconds since 1970. */
  readonly until: number;
  readonly workedMs: number;
}

/**
 * Says when this process could not answer for longer than is promised, and for how much of that time its own thread worked: for
 * the rest, another thread or process of a busy machine did.
 */
export function watchEventLoop(say: (line: string) => void): NodeJS.Timeout {
  let since = performance.now();
  let before = workedMs();
  return setInterval(() => {
    const ms = Math.round(performance.now() - since - everyMs);
    if (ms > promisedMs)
      say(describeBlock({ ms, until: Date.now(), workedMs: Math.round(workedMs() - before) }));
    since = performance.now();
    before = workedMs();
  }, everyMs).unref();
}

function describeBlock({ ms, until, workedMs: own }: Block): string {
  return `the event loop was blocked for ${ms} ms until ${new Date(until).toISOString()}, and worked ${own} ms`;
}

/** What `watchEventLoop` has said into a log. */
export function findBlocks(log: string): Block[] {
  const line = /event loop was blocked for (\d+) ms until (\S+), and worked (\d+) ms/g;
  return [...log.matchAll(line)].map(([, ms, until, own]) => ({
    ...{ ms: Number(ms), until: Date.parse(String(until)), workedMs: Number(own) },
  }));
}
