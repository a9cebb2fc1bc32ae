import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import { connectTimeoutMs, sessionDefaults } from './pool.js';
import { refuseTransactionPooler } from './pooler.js';
import { applicationRole, canOwn, ensureRoles, ownerRole } from './roles.js';

export interface Migrated {
  /** Files applied by this call, in order. */
  readonly applied: string[];
  /** What the login was not allowed to do, and what to do about it. */
  readonly notices: string[];
}

interface MigrationFile {
  readonly name: string;
  readonly sql: string;
  readonly hash: string;
}

/** The advisory lock of all who migrate a database. Any number, but always the same. */
const lockKey = 7_202_611_210;
const firstFile = '0001_init.sql';
const folder = new URL('./migrations/', import.meta.url);

/** A migration of a version that was never released, and the files that took its place, with the same statements. */
const split = {
  name: '0026_reads.sql',
  hash: '43e4f466ce4b7dd0f734aeb27112044e9c5b0400d1600e10996cf3abdcb36bf0',
  into: [
    '0026_approval_state.sql',
    '0027_approval_orders.sql',
    '0028_decision_orders.sql',
    '0029_run_orders.sql',
    '0030_record_orders.sql',
    '0031_approval_orders_before.sql',
  ],
};

/**
 * Brings a database to this code's schema: applies each missing file, in order, in a transaction of its own. Several processes may
 * do so at once. Refuses a database that a newer version has migrated, and a file that was changed after it was applied.
 */
export async function migrate(url: string): Promise<Migrated> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'countersign migrate',
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await refuseTransactionPooler(url, client);
    await client.query(sessionDefaults);
    await client.query('select pg_advisory_lock($1)', [lockKey]);
    const notices = await ensureRoles(client);
    const owned = await canOwn(client);
    if (owned) await client.query(`set role ${ownerRole}`);
    const applied = await applyMissing(client, await readFiles());
    await grantRights(client, applied.length > 0);
    return { applied, notices };
  } finally {
    await client.end();
  }
}

/** By code of Postgres: why a database cannot be brought to the schema, where its login or its place is the reason. */
const unfit: Readonly<Record<string, string>> = {
  '42501':
    'its login may not make tables there: make it the owner of the database, `grant create on schema public` to it, or run `countersign migrate` with a login that may',
  '42P07':
    'it holds something of that name, and its table `schema_migration` does not say that Countersign made it: give DATABASE_URL an empty database, or, if it is the one that Countersign has worked with, restore `schema_migration` as well',
  '3F000': 'no schema of its `search_path` is there: correct `search_path`, or make the schema',
};

/** What to tell an operator of an error of `migrate`; null: it is none that they can mend. */
export function whyNotMigrated(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error)) return null;
  const why = unfit[String(error.code)];
  return why === undefined ? null : `the database cannot be migrated (${error.message}): ${why}`;
}

async function readFiles(): Promise<MigrationFile[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(new URL(name, folder), 'utf8');
      return { name, sql, hash: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

async function applyMissing(client: pg.Client, files: readonly MigrationFile[]): Promise<string[]> {
  await client.query(
    `create table if not exists schema_migration (name text primary key, hash text not null, applied_at timestamptz not null default now())`,
  );
  let known = await readApplied(client);
  if (known.get(split.name) === split.hash) {
    await recordSplit(client, files);
    known = await readApplied(client);
  }
  const unknown = [...known.keys()].find((name) => files.every((file) => file.name !== name));
  if (unknown !== undefined) {
    throw new Error(
      `the database has migration \`${unknown}\`, which this version does not know: start the version that applied it, or a later one`,
    );
  }
  // Not for a database from before kernel 2, which has other tables: the loop below refuses it.
  if (known.get(firstFile) === files.find(({ name }) => name === firstFile)?.hash)
    await refuseLongRole(client, known);
  const applied: string[] = [];
  for (const file of files) {
    const hash = known.get(file.name);
    if (hash === undefined) {
      await applyFile(client, file);
      applied.push(file.name);
    } else if (hash !== file.hash && file.name === firstFile) {
      throw new Error(
        'the database was made by a Countersign from before kernel 2, whose runs this version cannot go on with; it is left as it is: give DATABASE_URL an empty database',
      );
    } else if (hash !== file.hash) {
      throw new Error(
        `migration \`${file.name}\` is not the file that this database was made with: restore it, and write a new one instead`,
      );
    }
  }
  return applied;
}

/** The file that makes the index of roles, which takes no role longer than `longestRoleBytes`, and the file before it. */
const indexOfRoles = '0027_approval_orders.sql';
const beforeRoles = '0026_approval_state.sql';
const longestRoleBytes = 2_700;

/** Refuses before anything is changed, because no version could open a database that stopped between two files. */
async function refuseLongRole(client: pg.Client, known: ReadonlyMap<string, string>): Promise<void> {
  if (known.has(indexOfRoles)) return;
  const { rows } = await client.query<{ id: string; role: string; bytes: number }>(
    `select a.id, left(role, 40) as role, octet_length(role) as bytes from approval a, unnest(a.roles) role
      where octet_length(role) > $1 order by a.requested_at, a.id limit 1`,
    [longestRoleBytes],
  );
  const [found] = rows;
  if (found === undefined) return;
  const next = known.has(beforeRoles) ? '' : 'go on with the version that it was made with, or ';
  throw new Error(
    `approval \`${found.id}\` names the role \`${found.role}…\` of ${found.bytes} bytes, and \`${indexOfRoles}\` indexes roles of at most ${longestRoleBytes}; the database is left as it is: ${next}give DATABASE_URL an empty one`,
  );
}

/** The hashes of the applied files by name, in the order of the names. */
async function readApplied(client: pg.Client): Promise<ReadonlyMap<string, string>> {
  const { rows } = await client.query<{ name: string; hash: string }>(
    'select name, hash from schema_migration order by name',
  );
  return new Map(rows.map(({ name, hash }) => [name, hash]));
}

/** Records the files of the split as applied, in place of the file that was split. */
async function recordSplit(client: pg.Client, files: readonly MigrationFile[]): Promise<void> {
  const same = files.filter(({ name }) => split.into.includes(name));
  await client.query(
    `with gone as (delete from schema_migration where name = $1 and hash = $2 returning applied_at)
     insert into schema_migration (name, hash, applied_at)
     select f.name, f.hash, gone.applied_at from gone, unnest($3::text[], $4::text[]) as f (name, hash)`,
    [split.name, split.hash, same.map(({ name }) => name), same.map(({ hash }) => hash)],
  );
}

async function applyFile(client: pg.Client, file: MigrationFile): Promise<void> {
  try {
    await client.query('begin');
    await client.query(file.sql);
    await client.query('insert into schema_migration (name, hash) values ($1, $2)', [file.name, file.hash]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/**
 * Grants its rights to the application's role by functions of the migrations, `grant_application_rights` and
 * `grant_application_rights_<number>`, because the role may have been made later than the tables.
 */
async function grantRights(client: pg.Client, changed: boolean): Promise<void> {
  const { rows } = await client.query<{ missing: boolean }>(
    `select not has_table_privilege(oid, 'idempotency', 'delete') as missing from pg_roles where rolname = $1`,
    [applicationRole],
  );
  const [role] = rows;
  if (role === undefined || !(role.missing || changed)) return;
  const { rows: functions } = await client.query<{ name: string }>(
    `select quote_ident(proname) as name from pg_proc
      where pronamespace = current_schema()::regnamespace and proname like 'grant\\_application\\_rights%' order by proname`,
  );
  for (const { name } of functions) await client.query(`select ${name}()`);
}
