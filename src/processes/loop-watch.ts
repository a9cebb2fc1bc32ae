import { monitorEventLoopDelay } from 'node:perf_hooks';

const promisedMs = 250;
const lookMs = 1_000;

/** Says when something kept this process from answering for longer than is promised. */
export function watchEventLoop(say: (line: string) => void): void {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  setInterval(() => {
    const ms = Math.round(delay.max / 1e6);
    delay.reset();
    if (ms > promisedMs) say(`the event loop was blocked for ${ms} ms`);
  }, lookMs).unref();
}
