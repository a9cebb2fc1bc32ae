import { createHash } from 'node:crypto';
import type pg from 'pg';
import { queryOf, together, type Statement } from './together.js';
import { typeParsers, type Queryable } from './types.js';

// How statements leave a connection of the pool. A round trip costs a process more than most of our statements cost
// Postgres: those that are asked for in one breath go together, and a write whose answer nobody reads goes with the next.

export interface Sender {
  /** A transaction: it begins with its first statement. */
  open(): void;
  /** What has not been sent is not sent. */
  forget(): void;
  close(): void;
}

interface Sending extends Sender {
  readonly isOpen: () => boolean;
  readonly later: (text: string, values: readonly unknown[]) => void;
}

const connections = new WeakMap<object, Sending>();

/**
 * A write whose answer is nobody's to wait for. In a transaction it is sent with the next statement, the commit at the
 * latest, and where it fails that statement fails with its error.
 */
export async function write(q: Queryable, text: string, values: readonly unknown[]): Promise<void> {
  const known = connections.get(q);
  if (known?.isOpen() === true) known.later(text, values);
  else await q.query(text, [...values]);
}

/** Each statement with values is parsed and planned once a connection: our texts are few and never hold values. */
export function sending(client: pg.ClientBase): Sender {
  const known = connections.get(client);
  if (known !== undefined) return known;
  const plain = client.query.bind(client) as (...given: unknown[]) => unknown;
  let isOpen = false;
  let waiting: Waiting[] = [];
  let isDue = false;
  const send = (): void => {
    isDue = false;
    const going = waiting;
    waiting = [];
    const [first] = going;
    if (first === undefined) return;
    if (going.length > 1) plain(together(going, typeParsers));
    else if (first.isPlain) plain(first.text, first.done);
    else plain(queryOf(first, first.done));
  };
  client.query = ((...given: unknown[]): unknown => {
    const [text, values, ...rest] = given;
    if (typeof text !== 'string' || typeof values === 'function' || rest.length > 0) {
      send();
      const isNamed = typeof text === 'string' && Array.isArray(values) && typeof rest[0] === 'function';
      return isNamed ? plain(queryOf(named(text, values), rest[0] as Statement['done'])) : plain(...given);
    }
    return new Promise<pg.QueryResult>((resolve, reject) => {
      const done = (error: unknown, result: pg.QueryResult): void => {
        if (error === null || error === undefined) resolve(result);
        else reject(error);
      };
      const isPlain = !Array.isArray(values);
      waiting.push({ ...named(text, isPlain ? [] : values), isPlain, done });
      if (!isDue) process.nextTick(send);
      isDue = true;
    }).catch(asked);
  }) as typeof client.query;
  const later = (text: string, values: readonly unknown[]): void => {
    waiting.push({ ...named(text, values), isPlain: false, done: () => undefined });
  };
  const own: Sending = {
    open: () => {
      isOpen = true;
      later('begin', []);
    },
    forget: () => {
      const left = waiting;
      waiting = [];
      for (const { done } of left)
        done(new Error('the transaction was given up before this was sent'), noResult);
    },
    close: () => {
      isOpen = false;
    },
    isOpen: () => isOpen,
    later,
  };
  connections.set(client, own);
  return own;
}

/** Says who asked, and not which bytes had come. */
function asked(error: unknown): never {
  if (error instanceof Error) Error.captureStackTrace(error);
  throw error;
}

interface Waiting extends Statement {
  /** Without values, and sent alone: by the simple protocol, and not prepared. */
  readonly isPlain: boolean;
}

const noResult: pg.QueryResult = { command: '', rowCount: 0, oid: 0, fields: [], rows: [] };

const names = new Map<string, string>();

function named(text: string, values: readonly unknown[]): Pick<Statement, 'name' | 'text' | 'values'> {
  let name = names.get(text);
  if (name === undefined) {
    name = createHash('sha256').update(text).digest('hex').slice(0, 40);
    names.set(text, name);
  }
  return { name, text, values };
}
