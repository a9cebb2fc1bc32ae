import { createHash } from 'node:crypto';
import type pg from 'pg';
import { makeQuery, makePipeline, type Statement } from './pipeline.js';
import { planEachTime } from './planned.js';
import { typeParsers, type Queryable } from './types.js';

// Saves round trips on a connection of the pool, since a round trip costs a process more than most statements cost Postgres.
// Statements that are asked for in the same turn of the event loop are sent as one pipeline, and a write whose answer nobody
// reads is sent with the next statement.

export interface TransactionPipeline {
  /** `begin` is sent with the transaction's first statement. */
  begin(): void;
  /** Drops the statements that have not been sent, and rejects them. */
  discard(): void;
  end(): void;
}

interface ConnectionPipeline extends TransactionPipeline {
  readonly isOpen: () => boolean;
  readonly sendWithNext: (text: string, values: readonly unknown[]) => void;
}

const connections = new WeakMap<object, ConnectionPipeline>();

/**
 * Writes without waiting for the answer. In a transaction the write is sent with the next statement, at the latest with the
 * commit; if the write fails, that statement fails with its error.
 */
export async function write(q: Queryable, text: string, values: readonly unknown[]): Promise<void> {
  const known = connections.get(q);
  if (known?.isOpen() === true) known.sendWithNext(text, values);
  else await q.query(text, [...values]);
}

/**
 * Makes the queries of a connection leave it as pipelines. A statement with values is prepared once for each connection, unless
 * its text begins with `planEachTime`: the other texts are few, since no text holds a value.
 */
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

/** Throws with a stack that names the caller of the query instead of the socket's reader. */
function rethrowFromHere(error: unknown): never {
  if (error instanceof Error) Error.captureStackTrace(error);
  throw error;
}

interface WaitingStatement extends Statement {
  /** Has no values. If it is sent alone, it goes by the simple protocol and is not prepared. */
  readonly isPlain: boolean;
}

const noResult: pg.QueryResult = { command: '', rowCount: 0, oid: 0, fields: [], rows: [] };

const names = new Map<string, string>();

function nameStatement(
  text: string,
  values: readonly unknown[],
): Pick<Statement, 'name' | 'text' | 'values'> {
  if (text.startsWith(planEachTime)) return { name: '', text, values };
  let name = names.get(text);
  if (name === undefined) {
    name = createHash('sha256').update(text).digest('hex').slice(0, 40);
    names.set(text, name);
  }
  return { name, text, values };
}
