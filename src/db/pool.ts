import pg from 'pg';

export type Pool = pg.Pool;
export type Tx = pg.PoolClient;
export type Queryable = pg.Pool | pg.PoolClient | pg.Client;

export interface PoolOptions {
  readonly url: string;
  readonly applicationName: string;
  readonly max: number;
}

// Sizes and sequence numbers stay far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);
// Times leave the store as ISO 8601 UTC, milliseconds.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => new Date(text).toISOString());

const connectMs = 3_000;
const statementMs = 20_000;
export const appRole = 'countersign_app';

/** A pool whose sessions take the app role where the login may: then nobody here can change the log. */
export function makePool({ url, applicationName, max }: PoolOptions): Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: applicationName,
    max,
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
  });
  pool.on('error', () => undefined);
  // Queued on the session before anything that the pool hands it out for.
  pool.on('connect', (client) => void takeAppRole(client).catch(() => undefined));
  return pool;
}

async function takeAppRole(client: pg.ClientBase): Promise<void> {
  await client.query(`select set_config('role', $1, false) where exists (select 1 from pg_roles where rolname = $1 and pg_has_role(current_user, oid, 'member'))`, [appRole]);
}

/** Commits what `fn` did, or nothing of it. */
export async function withTransaction<T>(pool: Pool, fn: (tx: Tx) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const note = (error: Error): void => {
    broken = error;
  };
  client.on('error', note);
  try {
    await client.query('begin');
    const result = await fn(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch(note);
    throw error;
  } finally {
    client.off('error', note);
    client.release(broken);
  }
}

const lostStates = new Set(['57P01', '57P02', '57P03', '08000', '08001', '08003', '08004', '08006', '53300', '25P03']);
const lostCodes = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH', 'ENETUNREACH']);
const lostMessages = /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed|not queryable/;

/** Is the audit store down, as against a statement that is wrong? */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isUnavailable);
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return lostStates.has(code) || (lostCodes.has(code) && !isForeign(error)) || lostMessages.test(error.message) || isUnavailable(error.cause);
}

/** A refused connection to something else (Temporal's gRPC) is not ours to explain. */
function isForeign(error: Error): boolean {
  return error.name === 'ServiceError';
}
