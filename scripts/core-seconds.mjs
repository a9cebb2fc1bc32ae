import { readFileSync } from 'node:fs';

const ticksPerSecond = 100;

/** Seconds of processor time that this process has taken. On Linux those of its ended children, and of theirs, are included. */
export function coreSeconds() {
  try {
    // After the name in parentheses, utime, stime, cutime and cstime are the 12th to the 15th field.
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const ticks = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 15)
      .map(Number);
    return ticks.reduce((sum, count) => sum + count, 0) / ticksPerSecond;
  } catch {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  }
}
