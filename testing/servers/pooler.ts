import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import pg from 'pg';

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
  return toMessage('E', Buffer.from(`SFATAL\0VFATAL\0C08P01\0M${message}\0\0`));
}

/** Pools by transaction: each statement of any client is served by the same one connection of the database. Simple statements only. */
export async function startTransactionPooler(
  database: string,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const far = new pg.Client({ connectionString: database });
  await far.connect();
  let turn: Promise<unknown> = Promise.resolve();
  const server = createServer((near) => {
    near.on('error', () => undefined);
    near.once('data', () => {
      near.write(Buffer.concat([toMessage('R', Buffer.alloc(4)), ready]));
      near.on('data', (message) => {
        if (message.toString('latin1', 0, 1) !== 'Q') return void near.end();
        const text = message.toString('utf8', 5, message.length - 1);
        turn = turn.then(async () => near.write(await answerOf(far, text)));
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(database);
  url.search = '';
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: url.href,
    close: async () => {
      server.close();
      await far.end();
    },
  };
}

const ready = toMessage('Z', Buffer.from('I'));

/** The answer to a statement: at most one row of one number. */
async function answerOf(far: pg.Client, text: string): Promise<Buffer> {
  const results = [await far.query<Record<string, number>>(text)].flat();
  const [row] = results.at(-1)?.rows ?? [];
  const done = toMessage('C', Buffer.from('SELECT 1\0'));
  if (row === undefined) return Buffer.concat([done, ready]);
  const [[name, value] = assert.fail()] = Object.entries(row);
  const [int2, int4, digits] = [Buffer.alloc(2), Buffer.alloc(4), Buffer.from(String(value))];
  int2.writeInt16BE(1);
  int4.writeInt32BE(digits.length);
  // Of a column: its table, its number there, its type (int4), the type's size, its modifier, and text as its format.
  const column = Buffer.from('00000000' + '0000' + '00000017' + '0004' + 'ffffffff' + '0000', 'hex');
  return Buffer.concat([
    toMessage('T', Buffer.concat([int2, Buffer.from(`${name}\0`), column])),
    toMessage('D', Buffer.concat([int2, int4, digits])),
    ...[done, ready],
  ]);
}

function toMessage(type: string, body: Buffer): Buffer {
  const head = Buffer.from(`${type}\0\0\0\0`, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}
