import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { boundLog, endsWithin, signalIfAlive } from './system.js';

export interface LeashSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: { readonly uid: number; readonly gid: number } | null;
  /** Where stdout and stderr are appended. */
  readonly log: string;
  readonly stopSignal: NodeJS.Signals;
  /** How long after the stop signal SIGKILL follows. */
  readonly graceMs: number;
  /** The command has helpers of its own: a process group, signalled as one. */
  readonly group: boolean;
}

/** A server under a leash. `pid` is the server's own, not the leash's. */
export interface Leashed {
  readonly pid: number;
  /** Resolves with how it ended, once it has. */
  readonly exited: Promise<string>;
  /** Asks it to end and waits until it has. */
  stop(): Promise<void>;
}

// Under tsx (tests) this file is TypeScript and the leash that plain node can run is the built one.
const script = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../../../dist/embedded/process/leash.js' : './leash.js',
    import.meta.url,
  ),
);

type LeashProcess = ChildProcessByStdio<Writable, Readable, null>;

/** Starts the command under a leash; rejects when it cannot be started at all. */
export async function startLeashed(spec: LeashSpec): Promise<Leashed> {
  // A session of its own: the terminal's Ctrl-C reaches the supervisor alone, which stops things in order.
  const leash = spawn(process.execPath, [script, JSON.stringify(spec)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  leash.stdin.on('error', () => undefined);
  const heard = listenTo(leash);
  boundLog(spec.log, heard.closed);
  const pid = await heard.pid;
  const exited = heard.closed.then(async (how) => {
    if (how === null) await endOrphan(pid, spec);
    return how ?? 'its leash ended';
  });
  return {
    pid,
    exited,
    async stop() {
      leash.stdin.end();
      await exited;
    },
  };
}

interface Heard {
  readonly pid: Promise<number>;
  /** How the server ended; null when the leash died without telling. */
  readonly closed: Promise<string | null>;
}

function listenTo(leash: LeashProcess): Heard {
  let how: string | null = null;
  const pid = new Promise<number>((resolve, reject) => {
    createInterface({ input: leash.stdout }).on('line', (line) => {
      const message = JSON.parse(line) as { pid?: number; error?: string; exit?: string };
      if (message.pid !== undefined) resolve(message.pid);
      if (message.error !== undefined) reject(new Error(message.error));
      if (message.exit !== undefined) how = message.exit;
    });
    leash.on('error', reject);
    leash.on('close', () => reject(new Error('the leash process ended at once')));
  });
  const closed = new Promise<string | null>((resolve) => leash.on('close', () => resolve(how)));
  return { pid, closed };
}

async function endOrphan(pid: number, spec: LeashSpec): Promise<void> {
  const target = spec.group ? -pid : pid;
  signalIfAlive(target, spec.stopSignal);
  if (await endsWithin(pid, spec.graceMs)) return;
  signalIfAlive(target, 'SIGKILL');
  await endsWithin(pid, 5_000);
}
