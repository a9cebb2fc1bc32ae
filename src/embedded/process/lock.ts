import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { errorCode } from './system.js';

export interface Lock {
  release(): Promise<void>;
}

export type LockResult =
  | { readonly status: 'held'; readonly lock: Lock }
  /** `pid` is null where the holder did not tell it. */
  | { readonly status: 'taken'; readonly pid: number | null };

/**
 * A lock that the kernel drops with its holder, however the holder ends: a listening socket, on Linux in the abstract namespace,
 * elsewhere a socket file that is removed when nobody answers on it. Whoever connects is told the holder's pid.
 */
export async function tryLock(key: string): Promise<LockResult> {
  const path = socketPath(key);
  // For a moment, a holder that is ending does not listen any more, and its address is not free yet.
  for (let attempt = 0; attempt < 20; attempt++) {
    const server = await listenAt(path);
    if (server !== null) return { status: 'held', lock: { release: () => close(server) } };
    const answer = await askHolder(path);
    if (answer.status === 'answered') return { status: 'taken', pid: answer.pid };
    if (!path.startsWith('\0')) rmSync(path, { force: true });
    await delay(100);
  }
  return { status: 'taken', pid: null };
}

/** Waits for the lock; `onWaiting` is called every few seconds meanwhile. Null: the signal was aborted first. */
export async function waitForLock(
  key: string,
  onWaiting: () => void,
  signal?: AbortSignal,
): Promise<Lock | null> {
  let said = 0;
  while (signal?.aborted !== true) {
    const result = await tryLock(key);
    if (result.status === 'held') return result.lock;
    if (Date.now() - said > 8_000) {
      onWaiting();
      said = Date.now();
    }
    await delay(300);
  }
  return null;
}

function socketPath(key: string): string {
  const name = `countersign-${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
  return process.platform === 'linux' ? `\0${name}` : join(tmpdir(), `${name}.sock`);
}

function listenAt(path: string): Promise<net.Server | null> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.end(`${process.pid}\n`);
    });
    server.unref();
    server.on('error', (error) => (errorCode(error) === 'EADDRINUSE' ? resolve(null) : reject(error)));
    server.listen({ path }, () => resolve(server));
  });
}

type HolderAnswer =
  { readonly status: 'answered'; readonly pid: number | null } | { readonly status: 'nobody' };

function askHolder(path: string): Promise<HolderAnswer> {
  return new Promise((resolve) => {
    let text = '';
    const socket = net.connect({ path });
    socket.setTimeout(2_000, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('error', (error) => {
      if (['ECONNREFUSED', 'ENOENT', 'ECONNRESET'].includes(errorCode(error) ?? ''))
        resolve({ status: 'nobody' });
    });
    socket.on('close', () => {
      const pid = Number.parseInt(text, 10);
      resolve({ status: 'answered', pid: Number.isInteger(pid) ? pid : null });
    });
  });
}

function close(server: net.Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
