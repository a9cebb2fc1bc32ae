import { setImmediate } from 'node:timers/promises';

/** So long a step keeps a worker's other runs waiting, before it lets them go on in between. */
const longestMs = 20;

/** To be awaited between two pieces of work, none of which is long for itself: others go on where it is their turn. */
export function makeHandOver(): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < longestMs) return;
    await setImmediate();
    since = performance.now();
  };
}
