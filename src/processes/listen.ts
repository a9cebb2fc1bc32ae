import type { Server } from 'node:http';
import { defaultPort, type Config } from './settings/config.js';

// How the API begins to listen, and how it stops.

/** By then each request is answered (src/api/http/stopping.ts), and what is still open is a connection without one, or a slow reader. */
const answeredMs = 6_000;
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

/**
 * On a signal to stop, takes no more requests, and ends the process once those under way are answered. `endWaits` ends what they
 * wait for, and open event streams.
 */
export function stopOnSignals(
  server: Server,
  endWaits: () => Promise<void>,
  close: () => Promise<void>,
): void {
  let stopping = false;
  let answered = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => server.closeAllConnections(), answeredMs).unref();
    setTimeout(() => process.exit(answered ? 0 : 1), graceMs).unref();
    void (async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      await endWaits();
      server.closeIdleConnections();
      await closed;
      answered = true;
      await close();
      process.exit(0);
    })();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
}
