import pg from 'pg';
import { applicationRole, canTake } from './roles.js';
import { pipelineStatements } from './pipelined-connection.js';
import { typeParsers, type Pool, type Tx } from './types.js';

export interface PoolOptions {
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly max: number;
  /** For who finds rows by keys that are indexed: a statement is planned once a connection, whatever its values are. */
  readonly byKeys?: boolean;
}

/** Short, so that "Postgres is away" is an answer soon and never a hanging caller. */
export const connectTimeoutMs = 3_000;
const statementTimeoutMs = 15_000;
/** A server that no longer answers at all, where the statement's own time-out cannot come from it. */
const answerTimeoutMs = 20_000;

/**
 * Connections work as `countersign_app`, which may add to the record and not change it, wherever the
 * login is allowed to take that role.
 */
export function makePool({ url, applicationName, max, byKeys = false }: PoolOptions): Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: applicationName,
    max,
    types: typeParsers,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    query_timeout: answerTimeoutMs,
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    onConnect: async (client) => {
      await takeApplicationRole(client);
      if (byKeys) await client.query(planOnce);
      pipelineStatements(client);
    },
  });
  // A connection that dies while idle leaves the pool; whoever asks next gets another or an error.
  pool.on('error', () => undefined);
  return pool;
}

/** A plan that was made while a table was empty is kept when it has grown: it must not read all of it. */
const planOnce = `set plan_cache_mode = 'force_generic_plan'; set enable_seqscan = off; set jit = off`;

async function takeApplicationRole(client: pg.ClientBase): Promise<void> {
  await client.query(
    `select set_config('role', rolname, false) from pg_roles where rolname = $1 and ${canTake}`,
    [applicationRole],
  );
}

/** A checked-out connection that is lost raises an event, which would end the process; what it was asked rejects. */
const ignoreLoss = (): void => undefined;

/** For reads without a transaction: what they ask at once goes to the store in one round trip. */
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
 * Commits what `fn` did, or nothing of it. `begin` goes with the first statement, and `commit` with what was left to go
 * with the next. A connection that cannot even roll back is thrown away.
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
