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

/** Tells the user what takes long, a line at a time. */
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

/** Runs a short command to its end. Never rejects: a command that cannot be started has `code: null` and the reason in stderr. */
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

/** Waits until the process has ended; false: it has not within `ms`. A zombie that nobody reaps counts as ended. */
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

/** What a link of /proc points to; null: it cannot be read. */
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

/** Writes a file so that readers see its old or its new content, never a part. */
export function writeAtomically(path: string, content: string, mode = 0o644): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, content, { mode });
  renameSync(temporary, path);
}

/** The last lines of a log, for an error message; empty where there is no log. */
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

/** Moves a large log aside, over the one moved before. Called before a process starts that will append to it. */
export function rotateLog(path: string): void {
  if (existsSync(path) && statSync(path).size > largestLog) renameSync(path, `${path}.1`);
}

/**
 * The same for a log that others keep open and append to: its content is copied, and the file is emptied, even where there is no
 * room for the copy.
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

/** Keeps the log of a running process from growing for ever, until the process has ended. */
export function boundLog(path: string, ended: Promise<unknown>, everyMs = 10_000): void {
  let isBusy = false;
  const emptyWhenLarge = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    await emptyLog(path);
    isBusy = false;
  };
  const timer = setInterval(() => void emptyWhenLarge(), everyMs).unref();
  const stop = (): void => clearInterval(timer);
  void ended.then(stop, stop);
}
