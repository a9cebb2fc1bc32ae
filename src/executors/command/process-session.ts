import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { giveWay, makeTurns } from '../../model/give-way.js';
import { codeOf } from '../connections/network.js';
import { makeReader, processOf } from './processes.js';
import { guard, killGraceMs, startedSessions, unguard } from './watchdog.js';

// Commands that this process starts. Each is the head of a session of its own, so that the processes that it has started end with
// it: the server behind `npx`, the children of a script, in whatever process groups they are. A process that leaves the session
// (`setsid`, a daemon) is out of reach; where there is no /proc, or it hides processes, so are all groups but the head's.

/** How long output is still read that a process out of reach holds open. */
const outputGraceMs = 1_000;

interface Started {
  readonly exited: Promise<void>;
  readonly closed: Promise<void>;
  ending: Promise<boolean> | null;
}

const started = new WeakMap<ChildProcess, Started>();
const readProcesses = makeReader(startedSessions);

/** Starts a command as the head of a session, which does not outlive this process, however this process ends. */
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

/** Closes the head's input, which asks it to end, and ends the session when it has not ended in time. */
export async function endWithInput(child: ChildProcess): Promise<void> {
  child.stdin?.end();
  const known = started.get(child);
  await Promise.race([known?.exited, known?.closed, pause(killGraceMs)]);
  await endSession(child);
}

/** Ends the processes of the session that still run; true: none runs any more. */
export async function endSession(child: ChildProcess): Promise<boolean> {
  const known = started.get(child);
  if (known === undefined) return true;
  return await (known.ending ??= signalInTurn(child));
}

/** SIGKILL twice: a process that was started while the others were killed is killed by the second. */
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

/** Ends the watch over a session that is over. Its output is read to its end, or for a little longer where a process out of reach holds it open. */
export async function letGo(child: ChildProcess): Promise<void> {
  if (child.pid !== undefined) unguard(child.pid);
  await Promise.race([started.get(child)?.closed, pause(outputGraceMs)]);
  // Where this process itself stood still for that long, the output that came meanwhile is read first.
  await giveWay();
  child.stdout?.destroy();
  child.stderr?.destroy();
}

const lookMs = 20;
/** Each look asks whether a group exists. What its processes do takes reading /proc: at the first two looks and at every tenth. */
const looksPerReading = 10;

/** Does the session end within this time: its head has exited, and no process of it runs any more? */
export async function isOver(child: ChildProcess, withinMs: number): Promise<boolean> {
  const { pid } = child;
  if (pid === undefined) return true;
  const until = performance.now() + withinMs;
  let groups: readonly number[] = [];
  for (let look = 0; ; look += 1) {
    const isLast = performance.now() >= until;
    if (isLast || look < 2 || look % looksPerReading === 0 || !groups.some(isGroupAlive)) {
      // A process that was started behind the reading, by a process that has ended since, is missed: a second reading finds it.
      groups = await runningGroups(pid);
      if (groups.length === 0) groups = await runningGroups(pid);
      if (groups.length === 0 && hasExited(child)) return true;
    }
    if (isLast) return false;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}

/** Has Node seen it exit? Until then /proc shows it, though it has ended, and with `hidepid` as the only process of its group. */
function hasExited({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

/** The process groups of a session in which a process runs. */
async function runningGroups(session: number): Promise<readonly number[]> {
  const processes = (await readProcesses())?.get(session) ?? [];
  const running = processes.flatMap(({ runs, group }) => (runs ? [group] : []));
  // A group that exists, and of which /proc shows no process, may be hidden (`hidepid`): it counts as running.
  const isShown = processes.some(({ group }) => group === session);
  return isShown || !isGroupAlive(session) ? running : [session];
}

/** Signals the head's group at once, so that no process of it gets away; then the other groups. */
async function signalSession(session: number, signal: NodeJS.Signals): Promise<void> {
  signalGroup(session, signal);
  const processes = (await readProcesses())?.get(session) ?? [];
  const others = new Map(processes.map(({ group, pid }) => [group, pid]));
  others.delete(session);
  const turn = makeTurns();
  for (const [group, pid] of others) {
    await turn();
    // The reading took a while: the number may be another process's by now.
    if (processOf(pid)?.session === session) signalGroup(group, signal);
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // The group is gone already, or another user's.
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
