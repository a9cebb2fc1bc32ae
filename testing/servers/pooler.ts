import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What PgBouncer takes by default (`ignore_startup_parameters` is empty). */
const taken = new Set([
  'user',
  'database',
  'client_encoding',
  'datestyle',
  'timezone',
  'standard_conforming_strings',
  'application_name',
]);

/** Refuses parameters of the start as PgBouncer does, and passes all else on to the database. */
export async function startPooler(database: string): Promise<{ readonly url: string; close(): void }> {
  const url = new URL(database);
  const to = { host: url.hostname, port: Number(url.port === '' ? 5432 : url.port) };
  const server = createServer((near) => {
    near.on('error', () => undefined);
    near.once('data', (start) => {
      const odd = parametersOf(start).find((name) => !taken.has(name.toLowerCase()));
      if (odd === undefined) pass(near, start, connect(to));
      else near.end(toFatal(`unsupported startup parameter: ${odd}`));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // The settings of a URL are parameters of the start.
  url.search = '';
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return { url: url.href, close: () => void server.close() };
}

function pass(near: Socket, start: Buffer, far: Socket): void {
  far.on('error', () => near.destroy());
  far.write(start);
  near.pipe(far);
  far.pipe(near);
}

/** The names in a StartupMessage: after its length and its version, names and values that each end with a zero. */
function parametersOf(start: Buffer): string[] {
  const texts = start.subarray(8).toString().split('\0');
  return texts.slice(0, texts.indexOf('')).filter((_text, index) => index % 2 === 0);
}

/** An ErrorResponse, under the code that PgBouncer gives nearly all of its errors. */
function toFatal(message: string): Buffer {
  const body = Buffer.from(`SFATAL\0VFATAL\0C08P01\0M${message}\0\0`);
  const head = Buffer.from('E\0\0\0\0');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
