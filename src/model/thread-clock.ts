import { closeSync, openSync, readSync } from 'node:fs';

// What a thread has worked: on a busy machine, or one that slept, less time than has passed.

// Linux counts each thread's time; where it does not say, the whole process's stands for it.
const ownTimes = '/proc/thread-self/schedstat';
const room = Buffer.alloc(64);

/** Milliseconds that this thread has worked since it began; other threads of its process are not counted on Linux. */
export function workedMs(): number {
  const ns = readOwnNanoseconds();
  if (ns !== null) return ns / 1e6;
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

function readOwnNanoseconds(): number | null {
  if (process.platform !== 'linux') return null;
  try {
    const file = openSync(ownTimes, 'r');
    try {
      const text = room.toString('latin1', 0, readSync(file, room, 0, room.length, 0));
      return /^\d+ /.test(text) ? Number.parseInt(text, 10) : null;
    } finally {
      closeSync(file);
    }
  } catch {
    return null;
  }
}
