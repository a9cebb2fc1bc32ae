// A guard: a small process between the supervisor and a server that is not our code. It lives as long as its stdin is open; when
// stdin closes, because the supervisor asked for it or has died, the guard stops the server with the server's own stop signal.
import { spawn, type ChildProcess } from 'node:child_process';
import { openSync } from 'node:fs';
import type { ServerSpec } from './guarded-server.js';
import { signalIfAlive } from './system.js';

const spec = JSON.parse(process.argv[2] ?? '') as ServerSpec;
process.title = `countersign server-guard ${spec.name}`;

const log = openSync(spec.log, 'a', 0o600);
const child = spawn(spec.command, [...spec.args], {
  env: { ...spec.env },
  cwd: spec.cwd,
  stdio: ['ignore', log, log],
  detached: spec.group,
  ...(spec.user === null ? {} : { uid: spec.user.uid, gid: spec.user.gid }),
});

function tell(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function signalTree(target: ChildProcess, signal: NodeJS.Signals): void {
  if (target.pid === undefined || target.exitCode !== null || target.signalCode !== null) return;
  signalIfAlive(spec.group ? -target.pid : target.pid, signal);
}

let stopping = false;
function stop(): void {
  if (stopping) return;
  stopping = true;
  signalTree(child, spec.stopSignal);
  setTimeout(() => signalTree(child, 'SIGKILL'), spec.graceMs);
}

child.on('spawn', () => tell({ pid: child.pid }));
child.on('error', (error) => {
  tell({ error: error.message });
  process.exit(1);
});
child.on('exit', (code, signal) => {
  tell({ exit: signal ?? `code ${code}` });
  process.exit(0);
});

// A supervisor that is gone reads nothing any more: the failed write must not end the guard before its server.
process.stdout.on('error', () => undefined);
process.stdin.on('end', stop).on('close', stop).on('error', stop).resume();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
