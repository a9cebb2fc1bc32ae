import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { makeTurns } from '../../model/give-way.js';

// The processes of this machine, as Linux lists them in /proc.

export interface Process {
  readonly pid: number;
  readonly group: number;
  readonly session: number;
  /** False: it has ended, and its parent has not asked for its exit code yet. */
  readonly runs: boolean;
}

/** Processes by session; null: this system does not list them. */
export type Processes = ReadonlyMap<number, readonly Process[]> | null;

/**
 * How long a process that was seen outside of these sessions is not looked at again: no process joins another's session, and
 * Linux reuses the number of a process only after all other numbers.
 */
const outsideMs = 1_000;

/** Reads the processes of these sessions. A reading begins after it was asked for, and answers everybody who asked before it began. */
export function makeReader(sessions: ReadonlySet<number>): () => Promise<Processes> {
  let outside: ReadonlyMap<number, number> = new Map();
  const read = async (): Promise<Processes> => {
    const turn = makeTurns();
    const now = performance.now();
    const found = new Map<number, Process[]>();
    const others = new Map<number, number>();
    for (const pid of listPids()) {
      await turn();
      const seen = outside.get(pid) ?? -Infinity;
      const member = now - seen < outsideMs ? null : processOf(pid);
      if (member === null) others.set(pid, seen);
      else if (!sessions.has(member.session)) others.set(pid, now);
      else {
        const members = found.get(member.session) ?? [];
        members.push(member);
        found.set(member.session, members);
      }
    }
    outside = others;
    return isOwnProc() ? found : null;
  };
  let last: Promise<unknown> = Promise.resolve();
  let next: Promise<Processes> | null = null;
  return () => {
    if (next !== null) return next;
    const asked = last.then(() => {
      next = null;
      return read();
    });
    [last, next] = [asked, asked];
    return asked;
  };
}

function listPids(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** Is /proc that of this process? It may be empty, or show other processes (a jail, a container with the /proc of its host). */
function isOwnProc(): boolean {
  try {
    return readlinkSync('/proc/self') === String(process.pid);
  } catch {
    return false;
  }
}

/** Null: the process has ended meanwhile. */
export function processOf(pid: number): Process | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program is in brackets, and may contain brackets itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state = '', , group, session] = fields;
    // The first thread may have ended while others go on.
    const runs = !'ZX'.includes(state) || Number(fields[17]) > 1;
    return { pid, group: Number(group), session: Number(session), runs };
  } catch {
    return null;
  }
}
