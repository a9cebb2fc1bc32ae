import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { makeTurns } from '../../model/give-way.js';

// Who runs on this machine, as Linux tells it in /proc.

export interface Process {
  readonly pid: number;
  readonly group: number;
  readonly session: number;
  /** It does something. One that has ended, and whom nobody has asked about, does not. */
  readonly runs: boolean;
}

/** By session; null: this system does not say. */
export type Processes = ReadonlyMap<number, readonly Process[]> | null;

/**
 * Nobody joins the session of another, and Linux gives the number of a process again only after all others: who was seen
 * outside of these sessions needs no second look for so long.
 */
const outsideMs = 1_000;

/** Reads who belongs to these sessions. A reading begins after it was asked for, and serves all who asked until it began. */
export function makeReader(sessions: ReadonlySet<number>): () => Promise<Processes> {
  let outside: ReadonlyMap<number, number> = new Map();
  const read = async (): Promise<Processes> => {
    const turn = makeTurns();
    const now = performance.now();
    const found = new Map<number, Process[]>();
    const others = new Map<number, number>();
    for (const pid of listed()) {
      await turn();
      const seen = outside.get(pid) ?? -Infinity;
      const one = now - seen < outsideMs ? null : processOf(pid);
      if (one === null) others.set(pid, seen);
      else if (!sessions.has(one.session)) others.set(pid, now);
      else {
        const members = found.get(one.session) ?? [];
        members.push(one);
        found.set(one.session, members);
      }
    }
    outside = others;
    return isOurs() ? found : null;
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

function listed(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

/** Where it is empty, or that of other processes (a jail, a container with the /proc of its host), it says nothing. */
function isOurs(): boolean {
  try {
    return readlinkSync('/proc/self') === String(process.pid);
  } catch {
    return false;
  }
}

/** Null: it has ended meanwhile. */
export function processOf(pid: number): Process | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program stands in brackets, and may hold some.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state = '', , group, session] = fields;
    // Its first thread may have ended, and others go on.
    const runs = !'ZX'.includes(state) || Number(fields[17]) > 1;
    return { pid, group: Number(group), session: Number(session), runs };
  } catch {
    return null;
  }
}
