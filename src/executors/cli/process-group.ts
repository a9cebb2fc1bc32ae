import { readdirSync, readFileSync } from 'node:fs';
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { codeOf } from '../connections/network.js';

// Commands that this process starts. Each is the head of a process group, so that what it has started ends with it: the
// server behind `npx`, the children of a script. What leaves its group (`setsid`) is out of reach.

/** Between SIGTERM and SIGKILL. */
export const killGraceMs = 2_000;

/** It and its group do not outlive this process, whatever ends that. */
export function startGroup(
  command: string,
  args: readonly string[],
  options: Pick<SpawnOptions, 'cwd' | 'env' | 'stdio'>,
): ChildProcess {
  const child = spawn(command, [...args], { ...options, shell: false, detached: true });
  const { pid } = child;
  if (pid === undefined) return child;
  groups.add(pid);
  tell(`start ${pid}`);
  child.once('close', () => {
    groups.delete(pid);
    tell(`end ${pid}`);
  });
  return child;
}

export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone already.
  }
}

/** The end of its input asks the head to end; whoever of the group is left then is signalled. */
export async function endGroup(child: ChildProcess): Promise<void> {
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.stdin?.end();
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await Promise.race([closed, pause(killGraceMs)]);
    if (!isGroupAlive(child)) break;
    signalGroup(child, signal);
  }
  // Whoever has left the group may hold them open.
  child.stdout?.destroy();
  child.stderr?.destroy();
}

/**
 * For when the head has ended: ends whoever of its group still runs after this time, and says whether somebody did. Its output
 * is read to the end of the group, and a little longer where somebody who has left the group holds it open.
 */
export async function endLeftOver(child: ChildProcess, graceMs: number): Promise<boolean> {
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const wasLeft = !(await isOver(child, graceMs));
  if (wasLeft) {
    signalGroup(child, 'SIGTERM');
    if (!(await isOver(child, killGraceMs))) signalGroup(child, 'SIGKILL');
  }
  await Promise.race([closed, pause(graceMs)]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  return wasLeft;
}

const lookMs = 20;
/** Whether somebody is there is asked at each look; what they do, which takes reading, at the first two and at every tenth. */
const looksPerReading = 10;

async function isOver(child: ChildProcess, withinMs: number): Promise<boolean> {
  const since = performance.now();
  const until = since + withinMs;
  for (let look = 0; isGroupAlive(child); look += 1) {
    const isLast = performance.now() >= until;
    const reads = isLast || look < 2 || look % looksPerReading === 0;
    if (reads && isGroupOver(child.pid ?? 0, since)) return true;
    if (isLast) return false;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
  return true;
}

/** A reading goes from one process to the next, and misses what was started behind it by one that has ended since: another says so. */
function isGroupOver(group: number, since: number): boolean {
  return !isGroupRunning(group, since, readingNow()) && !isGroupRunning(group, since, readAnew());
}

/** Somebody in it does something: one who has ended, and whom nobody has asked about, does not (Linux says which is which). */
function isGroupRunning(group: number, since: number, { states, at }: Reading): boolean {
  // A reading from before the head has ended says nothing of what that has started since.
  if (states === null || at < since) return true;
  return states.get(group)?.some((state) => state !== 'Z' && state !== 'X') === true;
}

/** By group; null: this system does not say. */
type States = ReadonlyMap<number, readonly string[]> | null;

interface Reading {
  readonly at: number;
  readonly states: States;
}

let reading: Reading | null = null;
/** A reading goes through all processes of the machine, and is for all groups that are asked about meanwhile. */
const sharedMs = 100;

function readingNow(): Reading {
  return reading === null || performance.now() - reading.at > sharedMs ? readAnew() : reading;
}

function readAnew(): Reading {
  const at = performance.now();
  reading = { at, states: readStates() };
  return reading;
}

function readStates(): States {
  const found = new Map<number, string[]>();
  try {
    for (const pid of readdirSync('/proc')) {
      const one = /^\d+$/.test(pid) ? stateOf(pid) : null;
      if (one !== null) found.set(one.group, [...(found.get(one.group) ?? []), one.state]);
    }
    return found;
  } catch {
    return null;
  }
}

function stateOf(pid: string): { readonly group: number; readonly state: string } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program stands in brackets, and may hold some.
    const [state = '', , group = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { group: Number(group), state };
  } catch {
    // It has ended meanwhile.
    return null;
  }
}

function isGroupAlive({ pid }: ChildProcess): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(-pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

// --- the watchdog --------------------------------------------------------------------------------

/** A shell that is told which groups there are. Its input ends with this process; then it ends the groups that are left. */
const script = `
groups=' '
while read -r what group; do
  case $what in
    start) groups="$groups$group " ;;
    end) groups="\${groups%% $group *} \${groups#* $group }" ;;
  esac
done
case $groups in *[0-9]*) ;; *) exit ;; esac
for signal in TERM KILL; do
  for group in $groups; do kill -s $signal -- "-$group"; done
  sleep ${killGraceMs / 1_000}
done
`;

const groups = new Set<number>();
let watchdog: ChildProcess | null = null;

/** Whether a command has started, and how it ended, is no matter of the watchdog's: where there can be none, the log says so. */
function tell(line: string): void {
  try {
    if (watchdog !== null) return void watchdog.stdin?.write(`${line}\n`);
    if (groups.size > 0) watchdog = startWatchdog();
  } catch (error) {
    console.error('no watchdog ends what this process has started, should it be killed:', error);
  }
}

function startWatchdog(): ChildProcess {
  const started = spawn('/bin/sh', ['-c', script, 'countersign-watchdog'], {
    cwd: '/',
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const forget = (): void => {
    if (watchdog === started) watchdog = null;
  };
  started.on('error', forget).on('exit', forget);
  started.stdin.on('error', forget);
  started.stdin.write([...groups].map((pid) => `start ${pid}\n`).join(''));
  // It waits for this process, and not this process for it.
  started.unref();
  return started;
}
