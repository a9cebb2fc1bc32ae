import pg from 'pg';
import { connectTimeoutMs } from './pool.js';
import { isUnavailable } from './unavailable.js';

export interface Listener {
  close(): Promise<void>;
}

const firstWaitMs = 100;
const longestWaitMs = 2_000;
/** How often the connection is probed: a peer that has vanished does not answer the probe. */
const probeMs = 15_000;
const probeTimeoutMs = 5_000;

/**
 * Listens on a connection of its own, and connects again after a loss until it is closed. Resolves after the first attempt: if
 * the store is away it goes on trying; any other failure is thrown. After `onReconnect` the caller must look by itself, because
 * announcements made meanwhile are lost.
 */
export async function listen(
  url: string,
  channels: readonly string[],
  onNotify: (channel: string, payload: string) => void,
  onReconnect: () => void = () => undefined,
): Promise<Listener> {
  const closing = new AbortController();
  const connect = (): Promise<Session> => openSession(url, channels, onNotify);
  let session: Session | null = null;
  try {
    session = await connect();
  } catch (error) {
    if (!isUnavailable(error)) throw error;
  }
  const loop = keepOpen(session, connect, closing.signal, onReconnect);
  return {
    close: async () => {
      closing.abort();
      await loop;
    },
  };
}

interface Session {
  /** Resolves when the connection is lost. */
  readonly lost: Promise<void>;
  end(): Promise<void>;
}

async function keepOpen(
  first: Session | null,
  connect: () => Promise<Session>,
  closing: AbortSignal,
  onReconnect: () => void,
): Promise<void> {
  let session = first;
  let waitMs = firstWaitMs;
  while (!closing.aborted) {
    if (session !== null) {
      waitMs = firstWaitMs;
      await Promise.race([session.lost, whenAborted(closing)]);
      await session.end();
      session = null;
      continue;
    }
    await Promise.race([sleep(waitMs), whenAborted(closing)]);
    waitMs = Math.min(waitMs * 2, longestWaitMs);
    if (closing.aborted) break;
    session = await connect().catch(() => null);
    if (session !== null) onReconnect();
  }
  await session?.end();
}

async function openSession(
  url: string,
  channels: readonly string[],
  onNotify: (channel: string, payload: string) => void,
): Promise<Session> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'countersign listen',
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: probeTimeoutMs,
    keepAlive: true,
  });
  let lose = (): void => undefined;
  const lost = new Promise<void>((resolve) => {
    lose = resolve;
  });
  client.on('error', () => lose());
  client.on('end', () => lose());
  client.on('notification', ({ channel, payload }) => onNotify(channel, payload ?? ''));
  try {
    await client.connect();
    for (const channel of channels) await client.query(`listen ${pg.escapeIdentifier(channel)}`);
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
  const probe = setInterval(() => void client.query('select 1').catch(() => lose()), probeMs);
  probe.unref();
  const end = async (): Promise<void> => {
    clearInterval(probe);
    await Promise.race([client.end().catch(() => undefined), sleep(1_000)]);
  };
  return { lost, end };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function whenAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
