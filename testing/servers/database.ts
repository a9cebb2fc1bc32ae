import pg from 'pg';
import { makePool, type Pool } from '../../src/db/index.js';
import { makeMigratedDatabase, testVariable } from './servers.js';

export interface Database {
  /** Connects as the server's superuser, who owns everything and may switch triggers off. */
  readonly url: string;
  /** Works in the role `countersign_app`, as the product does. */
  readonly pool: Pool;
  /** Runs one statement as the superuser, without the application's role. */
  asSuperuser(statement: string, values?: readonly unknown[]): Promise<pg.QueryResult>;
  drop(): Promise<void>;
}

/** A database of its own, migrated; `drop` it when the tests are done. */
export async function makeDatabase(): Promise<Database> {
  const { url, drop } = await makeMigratedDatabase();
  const pool = makePool({ url, applicationName: 'test', max: 30 });
  return {
    url,
    pool,
    asSuperuser: (statement, values) => asSuperuser(url, statement, values),
    drop: async () => {
      await pool.end();
      await drop();
    },
  };
}

export async function withDatabase<T>(fn: (database: Database) => Promise<T>): Promise<T> {
  const database = await makeDatabase();
  try {
    return await fn(database);
  } finally {
    await database.drop();
  }
}

/** The URL of the same server with other credentials or another database. */
export function serverUrl(
  change: { readonly user?: string; readonly password?: string; readonly database?: string } = {},
): string {
  const url = new URL(testVariable('TEST_DATABASE_ADMIN_URL'));
  if (change.user !== undefined) url.username = change.user;
  if (change.password !== undefined) url.password = change.password;
  if (change.database !== undefined) url.pathname = `/${change.database}`;
  return url.href;
}

export async function asSuperuser(
  url: string,
  statement: string,
  values: readonly unknown[] = [],
): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await client.query(statement, [...values]);
  } finally {
    await client.end();
  }
}
