import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  openSync,
  readSync,
  readlinkSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { copyFile, stat, truncate } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** Tells the user what takes long; one line at a time. */
export type Say = (line: string) => void;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

/** Runs a short command to its end. A command that cannot be started is `code: null`, with the reason in stderr. */
export function runCommand(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Finished> {
  return new Promise((resolve) => {
    const child = spawn(command, [...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', (error) => resolve({ code: null, stdout, stderr: stderr + error.message }));
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** True when the process has ended within the time. A zombie that nobody reaps counts as ended. */
export async function endsWithin(pid: number, ms: number): Promise<boolean> {
  const deadline = Date.now() + ms;
  while (isAlive(pid) && !isZombie(pid)) {
    if (Date.now() > deadline) return false;
    await delay(50);
  }
  return true;
}

function isZombie(pid: number): boolean {
  return process.platform === 'linux' && existsSync(`/proc/${pid}`) && linkOf(`/proc/${pid}/exe`) === null;
}

/** What a /proc link points at; null where it cannot be read. */
export function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

export function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

export function errorCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

/** Readers see the old content or the new content, never a half-written file. */
export function writeAtomically(path: string, content: string, mode = 0o644): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, content, { mode });
  renameSync(temporary, path);
}

/** The last lines of a log, for an error message. */
export function tailOf(path: string, lines = 12): string {
  if (!existsSync(path)) return '';
  const size = statSync(path).size;
  const buffer = Buffer.alloc(Math.min(size, 8_192));
  const file = openSync(path, 'r');
  try {
    readSync(file, buffer, 0, buffer.length, size - buffer.length);
  } finally {
    closeSync(file);
  }
  return buffer.toString('utf8').trimEnd().split('\n').slice(-lines).join('\n');
}

const largestLog = 10 * 1_024 * 1_024;

/** Keeps one older log; called before a process that will append to it starts. */
export function rotateLog(path: string): void {
  if (existsSync(path) && statSync(path).size > largestLog) renameSync(path, `${path}.1`);
}

/**
 * The same of a log that is appended to meanwhile, through a file that others hold open: what it has is copied, and it is
 * emptied. Also where there is no room for the copy.
 */
export async function emptyLog(path: string, largest = largestLog): Promise<void> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (size <= largest) return;
  await copyFile(path, `${path}.1`).catch(() => undefined);
  await truncate(path).catch(() => undefined);
}

/** Keeps the log of a process that runs from growing for ever, until it has ended. */
export function boundLog(path: string, ended: Promise<unknown>, everyMs = 10_000): void {
  let isBusy = false;
  const look = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    await emptyLog(path);
    isBusy = false;
  };
  const timer = setInterval(() => void look(), everyMs).unref();
  const stop = (): void => clearInterval(timer);
  void ended.then(stop, stop);
}
