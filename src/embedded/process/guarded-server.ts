import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { boundLog, endsWithin, signalIfAlive } from './system.js';

export interface ServerSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: { readonly uid: number; readonly gid: number } | null;
  /** The file to which stdout and stderr are appended. */
  readonly log: string;
  readonly stopSignal: NodeJS.Signals;
  /** How long after the stop signal SIGKILL follows, in ms. */
  readonly graceMs: number;
  /** The command starts processes of its own, so the whole process group is signalled. */
  readonly group: boolean;
}

/** A server behind a guard process (`server-guard.ts`). `pid` is the server's own, not the guard's. */
export interface GuardedServer {
  readonly pid: number;
  /** Resolves with how the server ended, once it has. */
  readonly exited: Promise<string>;
  /** Asks the server to end and waits until it has. */
  stop(): Promise<void>;
}

// Under tsx (tests) this file is TypeScript, which plain node cannot run: there the built guard is started.
const script = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../../../dist/embedded/process/server-guard.js' : './server-guard.js',
    import.meta.url,
  ),
);

type GuardProcess = ChildProcessByStdio<Writable, Readable, null>;

/** Starts the command behind a guard process; rejects when it cannot be started at all. */
export async function startGuardedServer(spec: ServerSpec): Promise<GuardedServer> {
  // In a session of its own, so that the terminal's Ctrl-C reaches only the supervisor, which stops everything in order.
  const guard = spawn(process.execPath, [script, JSON.stringify(spec)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  guard.stdin.on('error', () => undefined);
  const heard = listenTo(guard);
  boundLog(spec.log, heard.closed);
  const pid = await heard.pid;
  const exited = heard.closed.then(async (how) => {
    if (how === null) await endOrphan(pid, spec);
    return how ?? 'its guard process ended';
  });
  return {
    pid,
    exited,
    async stop() {
      guard.stdin.end();
      await exited;
    },
  };
}

interface Heard {
  readonly pid: Promise<number>;
  /** How the server ended; null: the guard died without telling. */
  readonly closed: Promise<string | null>;
}

function listenTo(guard: GuardProcess): Heard {
  let how: string | null = null;
  const pid = new Promise<number>((resolve, reject) => {
    createInterface({ input: guard.stdout }).on('line', (line) => {
      const message = JSON.parse(line) as { pid?: number; error?: string; exit?: string };
      if (message.pid !== undefined) resolve(message.pid);
      if (message.error !== undefined) reject(new Error(message.error));
      if (message.exit !== undefined) how = message.exit;
    });
    guard.on('error', reject);
    guard.on('close', () => reject(new Error('the guard process ended at once')));
  });
  const closed = new Promise<string | null>((resolve) => guard.on('close', () => resolve(how)));
  return { pid, closed };
}

async function endOrphan(pid: number, spec: ServerSpec): Promise<void> {
  const target = spec.group ? -pid : pid;
  signalIfAlive(target, spec.stopSignal);
  if (await endsWithin(pid, spec.graceMs)) return;
  signalIfAlive(target, 'SIGKILL');
  await endsWithin(pid, 5_000);
}
