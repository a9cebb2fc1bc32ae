import { closeSync, openSync, readSync } from 'node:fs';

// How long a thread has worked, which is less time than has passed on a busy machine or one that slept.

// Linux counts the time of each thread; elsewhere the time of the whole process is used.
const ownTimes = '/proc/thread-self/schedstat';
const room = Buffer.alloc(64);

/** Milliseconds that this thread has worked since it began; except on Linux, with the other threads of its process. */
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
