import { createHash } from 'node:crypto';
import type pg from 'pg';
import { makeQuery, makePipeline, type Statement } from './pipeline.js';
import { unkept } from './planned.js';
import { typeParsers, type Queryable } from './types.js';

// How statements leave a connection of the pool. A round trip costs a process more than most of our statements cost
// Postgres: those asked for in the same turn of the event loop are sent as one pipeline, and a write whose answer nobody
// reads is sent with the next statement.

export interface TransactionPipeline {
  /** `begin` is sent with the transaction's first statement. */
  begin(): void;
  /** Drops what has not been sent yet. */
  discard(): void;
  end(): void;
}

interface ConnectionPipeline extends TransactionPipeline {
  readonly isOpen: () => boolean;
  readonly sendWithNext: (text: string, values: readonly unknown[]) => void;
}

const connections = new WeakMap<object, ConnectionPipeline>();

/**
 * A write whose answer nobody waits for. In a transaction it is sent with the next statement, the commit at the
 * latest, and where it fails that statement fails with its error.
 */
export async function write(q: Queryable, text: string, values: readonly unknown[]): Promise<void> {
  const known = connections.get(q);
  if (known?.isOpen() === true) known.sendWithNext(text, values);
  else await q.query(text, [...values]);
}

/** Each statement with values is parsed and planned once a connection, but for those of many texts: the others are few and never hold values. */
export function pipelineStatements(client: pg.ClientBase): TransactionPipeline {
  const known = connections.get(client);
  if (known !== undefined) return known;
  const plain = client.query.bind(client) as (...given: unknown[]) => unknown;
  let isOpen = false;
  let waiting: WaitingStatement[] = [];
  let isDue = false;
  const send = (): void => {
    isDue = false;
    const batch = waiting;
    waiting = [];
    const [first] = batch;
    if (first === undefined) return;
    if (batch.length > 1) plain(makePipeline(batch, typeParsers));
    else if (first.isPlain) plain(first.text, first.done);
    else plain(makeQuery(first, first.done));
  };
  client.query = ((...given: unknown[]): unknown => {
    const [text, values, ...rest] = given;
    if (typeof text !== 'string' || typeof values === 'function' || rest.length > 0) {
      send();
      const isNamed = typeof text === 'string' && Array.isArray(values) && typeof rest[0] === 'function';
      return isNamed
        ? plain(makeQuery(nameStatement(text, values), rest[0] as Statement['done']))
        : plain(...given);
    }
    return new Promise<pg.QueryResult>((resolve, reject) => {
      const done = (error: unknown, result: pg.QueryResult): void => {
        if (error === null || error === undefined) resolve(result);
        else reject(error);
      };
      const isPlain = !Array.isArray(values);
      waiting.push({ ...nameStatement(text, isPlain ? [] : values), isPlain, done });
      if (!isDue) process.nextTick(send);
      isDue = true;
    }).catch(rethrowFromHere);
  }) as typeof client.query;
  const sendWithNext = (text: string, values: readonly unknown[]): void => {
    waiting.push({ ...nameStatement(text, values), isPlain: false, done: () => undefined });
  };
  const pipeline: ConnectionPipeline = {
    begin: () => {
      isOpen = true;
      sendWithNext('begin', []);
    },
    discard: () => {
      const left = waiting;
      waiting = [];
      for (const { done } of left)
        done(new Error('the transaction was given up before this was sent'), noResult);
    },
    end: () => {
      isOpen = false;
    },
    isOpen: () => isOpen,
    sendWithNext,
  };
  connections.set(client, pipeline);
  return pipeline;
}

/** The stack names the caller of the query, not the reader of the socket that noticed the error. */
function rethrowFromHere(error: unknown): never {
  if (error instanceof Error) Error.captureStackTrace(error);
  throw error;
}

interface WaitingStatement extends Statement {
  /** Without values, and sent alone: by the simple protocol, and not prepared. */
  readonly isPlain: boolean;
}

const noResult: pg.QueryResult = { command: '', rowCount: 0, oid: 0, fields: [], rows: [] };

const names = new Map<string, string>();

function nameStatement(
  text: string,
  values: readonly unknown[],
): Pick<Statement, 'name' | 'text' | 'values'> {
  if (text.startsWith(unkept)) return { name: '', text, values };
  let name = names.get(text);
  if (name === undefined) {
    name = createHash('sha256').update(text).digest('hex').slice(0, 40);
    names.set(text, name);
  }
  return { name, text, values };
}
