import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { processTree, rounded } from '../measure.js';

/**
 * Resident memory of a process and its children, in megabytes. A page that several of them share counts once: the backends of
 * Postgres share its buffers, which a sum of their RSS would count many times.
 */
export function residentMb(pid: number): number {
  return rounded(processTree(pid).reduce((sum, process) => sum + residentKb(process), 0) / 1_024);
}

function residentKb(pid: number): number {
  const field = (file: string, name: string): number | null => {
    try {
      const found = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(
        readFileSync(`/proc/${pid}/${file}`, 'utf8'),
      );
      return found === null ? null : Number(found[1]);
    } catch {
      return null;
    }
  };
  return field('smaps_rollup', 'Pss') ?? field('status', 'VmRSS') ?? 0;
}

/** How much memory the machine can still give, in megabytes. */
export function availableMb(): number {
  const found = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  return found === null ? Number.POSITIVE_INFINITY : Number(found[1]) / 1_024;
}

export function folderMb(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    try {
      bytes += statSync(join(entry.parentPath, entry.name)).size;
    } catch {
      // The file was removed after the folder was listed.
    }
  }
  return rounded(bytes / 2 ** 20);
}
