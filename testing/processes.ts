import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The processes whose command line, environment or working folder mentions a text, such as a data folder. Linux only. */
export function processesMentioning(text: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid)
    .filter((pid) =>
      [read(pid, 'cmdline'), read(pid, 'environ'), folderOf(pid)].some((each) => each.includes(text)),
    );
}

function folderOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return '';
  }
}

function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return !/^State:\tZ/m.test(read(pid, 'status'));
}
