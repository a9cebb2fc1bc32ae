import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { giveWay, makeTurns } from '../../model/give-way.js';
import { codeOf } from '../connections/network.js';
import { makeReader, processOf } from './processes.js';
import { guard, killGraceMs, startedSessions, unguard } from './watchdog.js';

// Commands that this process starts. Each is the head of a session of its own, so that what it has started ends with it: the
// server behind `npx`, the children of a script, in whatever process groups they are. What leaves the session (`setsid`, a
// daemon) is out of reach; where there is no /proc, or it hides them, so are its groups that are not the head's.

/** How long output is read on that somebody out of reach holds open. */
const heldMs = 1_000;

interface Started {
  readonly exited: Promise<void>;
  readonly closed: Promise<void>;
  ending: Promise<boolean> | null;
}

const started = new WeakMap<ChildProcess, Started>();
const readProcesses = makeReader(startedSessions);

/** It and its session do not outlive this process, whatever ends that. */
export function startSession(
  command: string,
  args: readonly string[],
  options: Pick<SpawnOptions, 'cwd' | 'env' | 'stdio'>,
): ChildProcess {
  const child = spawn(command, [...args], { ...options, shell: false, detached: true });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  started.set(child, { exited, closed, ending: null });
  if (child.pid !== undefined) guard(child.pid);
  return child;
}

/** The end of its input asks the head to end. */
export async function endWithInput(child: ChildProcess): Promise<void> {
  child.stdin?.end();
  const known = started.get(child);
  await Promise.race([known?.exited, known?.closed, pause(killGraceMs)]);
  await endSession(child);
}

/** Ends whoever of it still runs, and says whether nobody does any more. */
export async function endSession(child: ChildProcess): Promise<boolean> {
  const known = started.get(child);
  if (known === undefined) return true;
  return await (known.ending ??= signalInTurn(child));
}

/** What was started while the others were killed is killed by a second look. */
const signals = [
  ['SIGTERM', killGraceMs],
  ['SIGKILL', killGraceMs / 4],
  ['SIGKILL', killGraceMs / 4],
] as const;

async function signalInTurn(child: ChildProcess): Promise<boolean> {
  const { pid } = child;
  if (pid === undefined) return true;
  let over = await isOver(child, 0);
  for (const [signal, withinMs] of signals) {
    if (over) break;
    await signalSession(pid, signal);
    over = await isOver(child, withinMs);
  }
  await letGo(child);
  return over;
}

/** Its output is read to the end, and a little longer where somebody out of reach holds it open. */
export async function letGo(child: ChildProcess): Promise<void> {
  if (child.pid !== undefined) unguard(child.pid);
  await Promise.race([started.get(child)?.closed, pause(heldMs)]);
  // Where this process stood still for so long, what has come meanwhile is read first.
  await giveWay();
  child.stdout?.destroy();
  child.stderr?.destroy();
}

const lookMs = 20;
/** Whether a group is there is asked at each look; what its processes do, which takes reading, at the first two and every tenth. */
const looksPerReading = 10;

/** Whether its head has exited and nobody of it runs any more, within this time. */
export async function isOver(child: ChildProcess, withinMs: number): Promise<boolean> {
  const { pid } = child;
  if (pid === undefined) return true;
  const until = performance.now() + withinMs;
  let groups: readonly number[] = [];
  for (let look = 0; ; look += 1) {
    const isLast = performance.now() >= until;
    if (isLast || look < 2 || look % looksPerReading === 0 || !groups.some(isGroupAlive)) {
      // A reading misses what was started behind it by one that has ended since: another one says so.
      groups = await runningGroups(pid);
      if (groups.length === 0) groups = await runningGroups(pid);
      if (groups.length === 0 && hasExited(child)) return true;
    }
    if (isLast) return false;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}

/** Until then it is shown, though it has ended, and with `hidepid` alone of its group. */
function hasExited({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** The groups of a session in which somebody runs. */
async function runningGroups(session: number): Promise<readonly number[]> {
  const processes = (await readProcesses())?.get(session) ?? [];
  const running = processes.flatMap(({ runs, group }) => (runs ? [group] : []));
  // A group that is there, and of which nobody is shown, may be hidden (`hidepid`): nothing says that it is over.
  const isShown = processes.some(({ group }) => group === session);
  return isShown || !isGroupAlive(session) ? running : [session];
}

/** The group of its head at once, so that nobody of it gets away; then its other groups. */
async function signalSession(session: number, signal: NodeJS.Signals): Promise<void> {
  signalGroup(session, signal);
  const processes = (await readProcesses())?.get(session) ?? [];
  const others = new Map(processes.map(({ group, pid }) => [group, pid]));
  others.delete(session);
  const turn = makeTurns();
  for (const [group, pid] of others) {
    await turn();
    // The reading took a while, and somebody else may have got the number.
    if (processOf(pid)?.session === session) signalGroup(group, signal);
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // It is gone already, or another user's.
  }
}

function isGroupAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
