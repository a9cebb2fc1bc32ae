import pg from 'pg';

// Sends statements of a transaction that do not need each other's answers in one write, and reads their answers together: for
// Postgres, a pipeline with a single Sync. Postgres runs them in order, each with the locks and the snapshot that it would have
// had alone. After a statement that fails, none of the following ones runs.

export interface Statement {
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
  readonly done: (error: unknown, result: pg.QueryResult) => void;
}

type Connection = pg.Connection & { readonly submittedNamedStatements: Record<string, string> };

/** What node-postgres requires of a query object, including what its types do not say. */
interface PgQuery {
  readonly name: string;
  readonly text: string;
  readonly _result: { _types: pg.CustomTypesConfig | undefined };
  submit(connection: pg.Connection): Error | null | undefined;
  handleRowDescription(message: unknown): void;
  handleDataRow(message: unknown): void;
  handleCommandComplete(message: unknown, connection: pg.Connection): void;
  handleEmptyQuery(connection: pg.Connection): void;
  handleReadyForQuery(connection: pg.Connection): void;
  handleError(error: unknown, connection: pg.Connection): void;
}

/** The statements succeed or fail together: if one fails, `done` of each of them gets its error. */
export function makePipeline(
  statements: readonly Statement[],
  types: pg.CustomTypesConfig,
): Omit<PgQuery, 'submit' | '_result'> & pg.Submittable & { callback: (error?: unknown) => void } {
  const state: PipelineState = { unsendable: null };
  const queries = statements.map((statement) => makeWatchedQuery(statement, types, state));
  let at = 0;
  const current = (): PgQuery => queries[Math.min(at, queries.length - 1)] as PgQuery;
  const fail = (error: unknown, connection: pg.Connection): void => {
    const { submittedNamedStatements: submitted } = connection as Connection;
    for (const { name } of queries.slice(at)) Reflect.deleteProperty(submitted, name);
    for (const query of queries) query.handleError(error, connection);
    batch.callback(error);
  };
  const batch = {
    // Replaced by node-postgres where it measures how long the answer takes.
    callback: (_error?: unknown): void => undefined,
    get name() {
      return current().name;
    },
    get text() {
      return current().text;
    },
    submit: (connection: pg.Connection) => submitAll(queries, state, connection),
    handleRowDescription: (message: unknown) => current().handleRowDescription(message),
    handleDataRow: (message: unknown) => current().handleDataRow(message),
    handleCommandComplete: (message: unknown, connection: pg.Connection) => {
      current().handleCommandComplete(message, connection);
      at += 1;
    },
    handleEmptyQuery: (connection: pg.Connection) => {
      current().handleEmptyQuery(connection);
      at += 1;
    },
    handleReadyForQuery: (connection: pg.Connection) => {
      if (state.unsendable !== null) return fail(state.unsendable, connection);
      for (const query of queries) query.handleReadyForQuery(connection);
      batch.callback();
    },
    handleError: fail,
  };
  return batch;
}

interface PipelineState {
  /** Why a statement could not be sent; null: all could. Statements after it must not run without it. */
  unsendable: unknown;
}

function makeWatchedQuery(statement: Statement, types: pg.CustomTypesConfig, state: PipelineState): PgQuery {
  const query = makeQuery(statement, (error, result) => {
    state.unsendable ??= error;
    statement.done(error, result);
  });
  query._result._types ??= types;
  return query;
}

/** Made without a configuration object, which node-postgres would copy each time at some cost. */
export function makeQuery(
  { name, text, values }: Pick<Statement, 'name' | 'text' | 'values'>,
  done: Statement['done'],
): PgQuery {
  const query = new pg.Query(text, values as unknown[], done as never) as unknown as PgQuery & {
    name: string;
  };
  query.name = name;
  return query;
}

function submitAll(queries: readonly PgQuery[], state: PipelineState, connection: pg.Connection): void {
  const { stream } = connection;
  stream.cork();
  try {
    const through = withoutSync(connection);
    for (const query of queries) {
      const refused = query.submit(through);
      state.unsendable ??= refused ?? null;
      if (state.unsendable !== null) break;
    }
    connection.sync();
  } finally {
    stream.uncork();
  }
}

const unsynced = new WeakMap<pg.Connection, pg.Connection>();

/** The connection without Sync, which is sent once for all; and without Close, so that a statement whose values cannot be sent stays prepared. */
function withoutSync(connection: pg.Connection): pg.Connection {
  const known = unsynced.get(connection);
  if (known !== undefined) return known;
  const nothing = (): void => undefined;
  const made = Object.assign(Object.create(connection) as pg.Connection, { sync: nothing, close: nothing });
  unsynced.set(connection, made);
  return made;
}
