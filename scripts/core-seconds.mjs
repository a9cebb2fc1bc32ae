import { readFileSync } from 'node:fs';

const ticksPerSecond = 100;

/** Of processor time that this process has taken, with its children that have ended and theirs (these on Linux alone). */
export function coreSeconds() {
  try {
    // After the name, which is in parentheses: utime, stime, cutime and cstime are the 12th to the 15th.
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const ticks = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 15)
      .map(Number);
    return ticks.reduce((sum, of) => sum + of, 0) / ticksPerSecond;
  } catch {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  }
}
