import { isMainThread } from 'node:worker_threads';

const orderlyMs = 8_000;
let isWatching = false;

/**
 * Ends a supervised process with its supervisor: stdin is a pipe that the supervisor holds open, so its end means that the
 * supervisor is gone, however it ended. The process then gets the SIGTERM that the supervisor would have sent, and ends at once
 * if it is still there after 8 s.
 */
export function exitWhenParentDies(): void {
  // A preload runs in worker threads too, and their stdin ends at once.
  if (isWatching || !isMainThread) return;
  isWatching = true;
  let gone = false;
  const parentIsGone = (): void => {
    if (gone) return;
    gone = true;
    setTimeout(() => process.exit(1), orderlyMs).unref();
    process.kill(process.pid, 'SIGTERM');
  };
  process.stdin.on('end', parentIsGone).on('close', parentIsGone).on('error', parentIsGone).resume();
  // Listening to stdin must not keep a process alive that has nothing else to do.
  if ('unref' in process.stdin) (process.stdin as unknown as { unref(): void }).unref();
}
