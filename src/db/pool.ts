import pg from 'pg';
import { applicationRole, canTake } from './roles.js';
import { pipelineStatements } from './pipelined-connection.js';
import { typeParsers, type Pool, type Tx } from './types.js';

export interface PoolOptions {
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly max: number;
  /** For processes that find rows by indexed keys: a statement is planned once per connection, for whatever values. */
  readonly byKeys?: boolean;
}

/** Short, so that a caller soon hears that Postgres is away instead of hanging. */
export const connectTimeoutMs = 3_000;
const statementTimeoutMs = 15_000;
const idleTimeoutMs = 30_000;
/** For a server that answers nothing at all, not even that the statement's own time-out has passed. */
const answerTimeoutMs = 20_000;

/**
 * Makes a pool whose connections work as `countersign_app`, which may add to the record but not change it, wherever the login may
 * take that role.
 */
export function makePool({ url, applicationName, max, byKeys = false }: PoolOptions): Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: applicationName,
    max,
    types: typeParsers,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: answerTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    onConnect: async (client) => {
      await client.query([limitTimes, sessionDefaults, ...(byKeys ? [planOnce] : [])].join('; '));
      await takeApplicationRole(client);
      pipelineStatements(client);
    },
  });
  // The pool drops a connection that dies while idle; the next caller gets another connection, or an error.
  pool.on('error', () => undefined);
  return pool;
}

/** By statement: a pooler in front of Postgres, as PgBouncer is, refuses these as parameters of the start. */
const limitTimes = `set statement_timeout = ${statementTimeoutMs}; set idle_in_transaction_session_timeout = ${idleTimeoutMs}`;

/** A database or a login may have other defaults: times are read as ISO 8601, and all locks are made for `read committed`. */
export const sessionDefaults = `set datestyle = 'ISO'; set timezone = 'UTC'; set default_transaction_isolation = 'read committed'`;

/** The plan is kept for good, so it must not scan whole tables, as a plan made for an empty table would. */
const planOnce = `set plan_cache_mode = 'force_generic_plan'; set enable_seqscan = off; set jit = off`;

async function takeApplicationRole(client: pg.ClientBase): Promise<void> {
  await client.query(
    `select set_config('role', rolname, false) from pg_roles where rolname = $1 and ${canTake}`,
    [applicationRole],
  );
}

/** Losing a connection that is in use raises an event, which would end the process; its queries reject anyway. */
const ignoreLoss = (): void => undefined;

/** Reads without a transaction, on one connection, so that queries made at the same time share a round trip. */
export async function onOneConnection<T>(pool: Pool, read: (q: Tx) => Promise<T>): Promise<T> {
  const q = await pool.connect();
  q.on('error', ignoreLoss);
  let broken = true;
  try {
    const found = await read(q);
    broken = false;
    return found;
  } finally {
    q.off('error', ignoreLoss);
    q.release(broken);
  }
}

/**
 * Commits all that `fn` did, or nothing. `begin` is sent with the first statement, and `commit` with any writes that are still
 * unsent. A connection that cannot even roll back is thrown away.
 */
export async function withTransaction<T>(pool: Pool, fn: (tx: Tx) => Promise<T>): Promise<T> {
  const tx = await pool.connect();
  tx.on('error', ignoreLoss);
  const pipeline = pipelineStatements(tx);
  let broken = false;
  try {
    pipeline.begin();
    const result = await fn(tx);
    const ended = await tx.query('commit');
    if (ended.command !== 'COMMIT')
      throw new Error('the transaction was rolled back: one of its statements had failed unnoticed');
    return result;
  } catch (error) {
    pipeline.discard();
    broken = await tx.query('rollback').then(
      () => false,
      () => true,
    );
    throw error;
  } finally {
    pipeline.end();
    tx.off('error', ignoreLoss);
    tx.release(broken);
  }
}
