import type { Server } from 'node:http';
import type { Feed } from '../service/index.js';
import { defaultPort, type Config } from './settings/config.js';

// How the API begins to listen, and how it stops.

const graceMs = 8_000;

/** Listens on the configured port; where the port cannot be had, says so and ends the process. */
export function startListening(server: Server, config: Config): Promise<void> {
  return new Promise((resolve, reject) => {
    const port = config.port ?? defaultPort;
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE' && error.code !== 'EACCES') return reject(error);
      process.stderr.write(
        `port ${port} on ${config.host} is taken or cannot be used: stop what uses it, or set PORT to another port\n`,
      );
      process.exit(1);
    });
    server.listen(port, config.host, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

/** On a signal to stop, finishes and answers the requests under way, closes open event streams, and ends the process. */
export function stopOnSignals(server: Server, feed: Feed, close: () => Promise<void>): void {
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), graceMs).unref();
    void (async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      await feed.close();
      server.closeIdleConnections();
      await closed;
      await close();
      process.exit(0);
    })();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
}
