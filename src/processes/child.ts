import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { boundLog, rotateLog, signalIfAlive } from '../embedded/process/system.js';
import type { Running } from './supervisor.js';

/** Begins a line on a child's stdout that is for the terminal where the product was started. */
export const forOperators = 'operators: ';

export interface ChildSpec {
  readonly name: string;
  /** Relative to dist/. */
  readonly script: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: string;
  readonly graceMs: number;
  /** Gets the lines of stdout, which are then not logged. */
  readonly onLine?: (line: string) => void;
}

/** Files beside this file that are loaded into every process of ours before its own code. */
export const preloads = ['exit-with-parent.js', 'no-promise-traces.js'] as const;

const imports = preloads.flatMap((name) => ['--import', new URL(`./${name}`, import.meta.url).href]);

/** Starts a Node process of ours. It ends when its stdin ends, and has a session of its own, so that Ctrl-C reaches only this process. */
export function startChild(spec: ChildSpec): Promise<Running> {
  mkdirSync(dirname(spec.log), { recursive: true, mode: 0o700 });
  rotateLog(spec.log);
  const log = openSync(spec.log, 'a', 0o600);
  const script = fileURLToPath(new URL(`../${spec.script}`, import.meta.url));
  const child = spawn(process.execPath, ['--enable-source-maps', ...imports, script], {
    env: spec.env,
    stdio: ['pipe', spec.onLine === undefined ? log : 'pipe', log],
    detached: true,
  });
  closeSync(log);
  child.stdin?.on('error', () => undefined);
  if (child.stdout !== null && spec.onLine !== undefined)
    createInterface(child.stdout).on('line', spec.onLine);
  const exited = new Promise<string>((resolve) => {
    child.on('exit', (code, signal) => resolve(signal ?? `code ${code}`));
    child.on('error', () => resolve('it was not started'));
  });
  boundLog(spec.log, exited);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('spawn', () => {
      const pid = child.pid as number;
      resolve({ pid, exited, stop: () => stopChild(pid, exited, spec.graceMs) });
    });
  });
}

async function stopChild(pid: number, exited: Promise<string>, graceMs: number): Promise<void> {
  signalIfAlive(pid, 'SIGTERM');
  const timer = setTimeout(() => signalIfAlive(pid, 'SIGKILL'), graceMs);
  await exited;
  clearTimeout(timer);
}
