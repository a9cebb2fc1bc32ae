import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { newId } from '../../src/model/names/ids.js';
import { assertAppendOnly, makePool, migrate, whyNotMigrated } from '../../src/db/index.js';
import { asSuperuser, serverUrl, withDatabase } from '../../testing/servers/database.js';
import { makeEmptyDatabase } from '../../testing/servers/servers.js';

const migrations = readdirSync(new URL('../../src/db/migrations/', import.meta.url))
  .filter((name) => name.endsWith('.sql'))
  .sort();

test('a migration of a store that is worked with holds one table, and takes nothing from it that it has added to', () => {
  for (const name of migrations.filter((file) => file >= '0027')) {
    const text = readFileSync(new URL(`../../src/db/migrations/${name}`, import.meta.url), 'utf8');
    const tables = [...text.matchAll(/\b(?:alter table|on) (\w+)/g)].map(([, table]) => table);
    assert.ok(new Set(tables).size <= 1, name);
    const kinds = [...text.matchAll(/^(create index|drop index|alter table)/gm)].map(([kind]) => kind);
    assert.equal(new Set(kinds).size, 1, name);
  }
});

test('a fresh database gets every migration, and gets none twice', async () => {
  const { url, drop } = await makeEmptyDatabase();
  try {
    assert.deepEqual((await migrate(url)).applied, migrations);
    assert.deepEqual((await migrate(url)).applied, []);
  } finally {
    await drop();
  }
});

test('twenty processes that race to migrate one database apply each migration once', async () => {
  const { url, drop } = await makeEmptyDatabase();
  try {
    const all = await Promise.all(Array.from({ length: 20 }, () => migrate(url)));
    assert.deepEqual(all.flatMap(({ applied }) => applied).sort(), migrations);
  } finally {
    await drop();
  }
});

test('processes that race to migrate different databases of one server all succeed', async () => {
  const databases = await Promise.all(Array.from({ length: 5 }, () => makeEmptyDatabase()));
  try {
    await asSuperuser(serverUrl(), 'select 1');
    const all = await Promise.all(databases.flatMap(({ url }) => [migrate(url), migrate(url)]));
    assert.equal(all.flatMap(({ applied }) => applied).length, 5 * migrations.length);
  } finally {
    await Promise.all(databases.map(({ drop }) => drop()));
  }
});

test('a database that a newer version has migrated is refused', async () => {
  await withDatabase(async ({ url, asSuperuser: run }) => {
    await run(`insert into schema_migration (name, hash) values ('0999_later.sql', 'x')`);
    await assert.rejects(migrate(url), /`0999_later.sql`, which this version does not know/);
  });
});

const reads = {
  name: '0026_reads.sql',
  hash: '43e4f466ce4b7dd0f734aeb27112044e9c5b0400d1600e10996cf3abdcb36bf0',
};
const afterReads = migrations.filter((name) => name >= '0026');

test('a database of the version that had 0026 to 0031 in one file is taken as it is', async () => {
  await withDatabase(async ({ url, asSuperuser: run }) => {
    const read = async (): Promise<unknown> =>
      (await run('select name, hash from schema_migration order by name')).rows;
    const before = await read();
    await run('delete from schema_migration where name = any($1)', [afterReads]);
    await run('insert into schema_migration (name, hash) values ($1, $2)', [reads.name, reads.hash]);
    assert.deepEqual((await migrate(url)).applied, []);
    assert.deepEqual(await read(), before);
    assert.deepEqual((await migrate(url)).applied, []);
  });
});

test('a database with another file of that name is refused, and left as it is', async () => {
  await withDatabase(async ({ url, asSuperuser: run }) => {
    await run('delete from schema_migration where name = any($1)', [afterReads]);
    await run('insert into schema_migration (name, hash) values ($1, $2)', [reads.name, 'x']);
    await assert.rejects(
      migrate(url),
      /`0026_reads.sql`, which this version does not know: start the version that applied it, or a later one/,
    );
    assert.equal((await run('select 1 from schema_migration where name = $1', [reads.name])).rowCount, 1);
  });
});

/** As migrations until that one have left it, with an approval that names these roles. */
async function withEarlier(
  last: string,
  roles: readonly string[],
  use: (url: string, run: (text: string) => Promise<{ rows: unknown[] }>) => Promise<void>,
): Promise<void> {
  const { url, drop } = await makeEmptyDatabase();
  const run = (text: string, values?: readonly unknown[]) => asSuperuser(url, text, values);
  try {
    await run('create table schema_migration (name text primary key, hash text, applied_at timestamptz)');
    for (const name of migrations.filter((file) => file <= last)) {
      const text = readFileSync(new URL(`../../src/db/migrations/${name}`, import.meta.url), 'utf8');
      await run(text);
      const hash = createHash('sha256').update(text).digest('hex');
      await run('insert into schema_migration (name, hash) values ($1, $2)', [name, hash]);
    }
    await run('alter table approval disable trigger all');
    for (const [at, role] of roles.entries())
      await run(
        `insert into approval (id, run, action, flow, environment, transition, status, roles, requested_by, requested_at, digest, doc, updated_at)
         values ($1, 'run_1', 'act_1', 'pay', 'dev', 'pay', 'consumed', array['short', $2], 'agent', now(), 'sha256:', '{}', now())`,
        [`apr_${at}`, role],
      );
    await use(url, run);
  } finally {
    await drop();
  }
}
/** Nothing of it can be told shorter. */
const random = (bytes: number): string => randomBytes(bytes / 2).toString('hex');

for (const [last, next] of [
  ['0025_left_runs.sql', 'go on with the version that it was made with, or give DATABASE_URL an empty one'],
  ['0026_approval_state.sql', 'give DATABASE_URL an empty one'],
] as const)
  test(`a database with a role that has no room in an index is refused before anything of it is changed (${last})`, async () => {
    const role = random(2_702);
    await withEarlier(last, [random(2_700), role], async (url, run) => {
      const read = async () => (await run('select name from schema_migration order by name')).rows;
      const before = await read();
      await assert.rejects(migrate(url), {
        message: `approval \`apr_1\` names the role \`${role.slice(0, 40)}…\` of 2702 bytes, and \`0027_approval_orders.sql\` indexes roles of at most 2700; the database is left as it is: ${next}`,
      });
      assert.deepEqual(await read(), before);
    });
  });

test('a database whose longest role has just room in the index is migrated', async () => {
  await withEarlier('0025_left_runs.sql', [random(2_700)], async (url) => {
    assert.deepEqual((await migrate(url)).applied, afterReads);
  });
});

test('a migration that was edited after it was applied is refused by name', async () => {
  await withDatabase(async ({ url, asSuperuser: run }) => {
    await run(`update schema_migration set hash = 'edited' where name = '0002_privileges.sql'`);
    await assert.rejects(
      migrate(url),
      /`0002_privileges.sql` is not the file that this database was made with/,
    );
  });
});

test('a database from before the second kernel is refused with what to do, and left as it is', async () => {
  await withDatabase(async ({ url, asSuperuser: run }) => {
    await run(`update schema_migration set hash = 'kernel 1' where name = '0001_init.sql'`);
    await run(`delete from schema_migration where name > '0001_init.sql'`);
    const read = async (): Promise<unknown> => (await run('select * from schema_migration')).rows;
    const before = await read();
    await assert.rejects(
      migrate(url),
      /from before kernel 2.*left as it is: give DATABASE_URL an empty database/,
    );
    assert.deepEqual(await read(), before);
  });
});

const login = newId('svc');
const password = 'only-for-this-test';
after(() => asSuperuser(serverUrl(), `drop role if exists ${login}`));

test('a login that may not make roles migrates without them, says so, and still cannot change the record', async () => {
  await asSuperuser(serverUrl(), `create role ${login} login password '${password}'`);
  const database = `test_${login}`;
  await asSuperuser(serverUrl(), `create database ${database} owner ${login}`);
  const url = serverUrl({ user: login, password, database });
  const pool = makePool({ url, applicationName: 'test', max: 2 });
  try {
    const { applied, notices } = await migrate(url);
    assert.deepEqual(applied, migrations);
    assert.match(notices.join('\n'), /may not make or take the role `countersign_app`/);
    const { rows } = await pool.query<{ user: string; owner: string }>(
      `select current_user as user, relowner::regrole::text as owner from pg_class where relname = 'audit_record'`,
    );
    assert.deepEqual(rows, [{ user: login, owner: login }]);
    await assertAppendOnly(pool);
  } finally {
    await pool.end();
    await asSuperuser(serverUrl(), `drop database ${database} with (force)`);
  }
});

test('a login that may not make tables is told so, and nobody is told that somebody changed the database', async () => {
  const poor = `poor_${randomBytes(4).toString('hex')}`;
  const database = `test_${poor}`;
  await asSuperuser(serverUrl(), `create role ${poor} login password '${password}'`);
  await asSuperuser(serverUrl(), `create database ${database}`);
  const url = serverUrl({ user: poor, password, database });
  const pool = makePool({ url, applicationName: 'test', max: 1 });
  try {
    const error: unknown = await migrate(url).catch((reason: unknown) => reason);
    assert.match(
      whyNotMigrated(error) ?? '',
      /^the database cannot be migrated \(permission denied .*\): its login may not make tables there: /,
    );
    await assert.rejects(assertAppendOnly(pool), /^Error: the database has not the tables of this version /);
  } finally {
    await pool.end();
    await asSuperuser(serverUrl(), `drop database ${database} with (force)`);
    await asSuperuser(serverUrl(), `drop role ${poor}`);
  }
});

test('a database of another application, and a search path that leads nowhere, are told', async () => {
  const { url, drop } = await makeEmptyDatabase();
  try {
    const why = async (at: string): Promise<string> =>
      whyNotMigrated(await migrate(at).catch((reason: unknown) => reason)) ?? '';
    const elsewhere = new URL(url);
    elsewhere.searchParams.set('options', '-c search_path=nowhere');
    assert.match(await why(elsewhere.href), /correct `search_path`/);
    await asSuperuser(url, 'create table approval (id int)');
    assert.match(
      await why(url),
      /relation "approval" already exists.*give DATABASE_URL an empty database, or/,
    );
  } finally {
    await drop();
  }
});
