import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import pg from 'pg';
import { prepareRoles } from './roles.js';

const folder = new URL('./migrations/', import.meta.url);
/** Everybody who migrates this database queues on it. */
const lockId = 7_266_315_001;

export interface Migrated {
  readonly applied: readonly string[];
  /** What could not be set up for lack of privileges. */
  readonly notices: readonly string[];
}

interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  readonly hash: string;
}

/** Brings the database up to this build's migrations: numbered, never edited, safe when many race. */
export async function migrate(url: string): Promise<Migrated> {
  const client = new pg.Client({ connectionString: url, application_name: 'countersign migrate' });
  await client.connect();
  try {
    const notices = await prepareRoles(client);
    await client.query('select pg_advisory_lock($1)', [lockId]);
    await client.query(
      `create table if not exists schema_migration (version integer primary key, name text not null, hash text not null, applied_at timestamptz not null default now())`,
    );
    const { rows } = await client.query<{ version: number; hash: string }>('select version, hash from schema_migration order by version');
    const migrations = readMigrations();
    assertKnown(migrations, rows);
    const done = new Set(rows.map((row) => row.version));
    const pending = migrations.filter((one) => !done.has(one.version));
    for (const one of pending) await apply(client, one);
    return { applied: pending.map((one) => one.name), notices };
  } finally {
    await client.end();
  }
}

function readMigrations(): Migration[] {
  return readdirSync(folder)
    .filter((name) => /^\d{4}_.+\.sql$/.test(name))
    .sort()
    .map((name) => {
      const sql = readFileSync(new URL(name, folder), 'utf8');
      return { version: Number(name.slice(0, 4)), name, sql, hash: createHash('sha256').update(sql).digest('hex') };
    });
}

function assertKnown(migrations: readonly Migration[], rows: readonly { version: number; hash: string }[]): void {
  for (const row of rows) {
    const own = migrations.find((one) => one.version === row.version);
    if (own === undefined) throw new Error(`the database has migration ${row.version}, which this build does not know: it is newer than this build; run the newer one`);
    if (own.hash !== row.hash) throw new Error(`migration \`${own.name}\` was edited after it was applied: restore it, and write a new one`);
  }
}

async function apply(client: pg.Client, one: Migration): Promise<void> {
  await client.query('begin');
  try {
    await client.query(one.sql);
    await client.query('insert into schema_migration (version, name, hash) values ($1, $2, $3)', [one.version, one.name, one.hash]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw new Error(`migration \`${one.name}\` failed: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
