import { readFileSync, readdirSync } from 'node:fs';

export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    rounded(sorted[Math.min(Math.ceil(sorted.length * share), sorted.length) - 1] ?? 0);
  return { p50: at(0.5), p99: at(0.99), count: sorted.length };
}

export interface Tail extends Spread {
  readonly p999: number;
  readonly max: number;
}

/** The spread, and the worst values: the 99.9th percentile and the maximum. */
export function tail(values: readonly number[]): Tail {
  const sorted = [...values].sort((a, b) => a - b);
  const p999 = sorted[Math.min(Math.ceil(sorted.length * 0.999), sorted.length) - 1] ?? 0;
  return { ...spread(values), p999: rounded(p999), max: rounded(sorted.at(-1) ?? 0) };
}

export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Runs the task `count` times, `inFlight` at a time; gives how long that took, in seconds. */
export async function runConcurrently(
  count: number,
  inFlight: number,
  task: () => Promise<unknown>,
): Promise<number> {
  const started = performance.now();
  let left = count;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await task();
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, lane));
  return (performance.now() - started) / 1_000;
}

/** Processor time of a process, its children and theirs, in milliseconds. Zero on a system without /proc. */
export function processorMs(pid: number): number {
  const all = readProcesses();
  return listTree(all, pid).reduce((sum, process) => sum + (all.get(process)?.ticks ?? 0), 0) * 10;
}

/** The ids of a process, its children and theirs. */
export function processTree(pid: number): readonly number[] {
  return listTree(readProcesses(), pid);
}

type Processes = ReadonlyMap<number, { readonly parent: number; readonly ticks: number }>;

function readProcesses(): Processes {
  const found = new Map<number, { parent: number; ticks: number }>();
  for (const name of list('/proc')) {
    const stat = /^(\d+)$/.test(name) ? read(`/proc/${name}/stat`) : '';
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields.length < 16) continue;
    // The process's own time and that of the children that it has waited for.
    const used = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0);
    found.set(Number(name), { parent: Number(fields[1]), ticks: used });
  }
  return found;
}

function listTree(all: Processes, pid: number): readonly number[] {
  const belongs = (child: number): boolean => {
    const parent = all.get(child)?.parent;
    return child === pid || (parent !== undefined && parent !== child && belongs(parent));
  };
  return [...all.keys()].filter(belongs);
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
