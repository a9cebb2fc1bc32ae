import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import {
  assertAppendOnly,
  isUnavailable,
  listen,
  makePool,
  migrate,
  onOneConnection,
  withTransaction,
} from '../../src/db/index.js';
import { typeParsers } from '../../src/db/types.js';
import { asSuperuser, makeDatabase, withDatabase, type Database } from '../../testing/servers/database.js';
import { makeEmptyDatabase } from '../../testing/servers/servers.js';
import { startPooler, startTransactionPooler } from '../../testing/servers/pooler.js';

describe('a store that is away is told from a mistake', () => {
  let database: Database;
  before(async () => {
    database = await makeDatabase();
  });
  after(() => database.drop());

  async function failure(work: () => Promise<unknown>): Promise<unknown> {
    return work().then(
      () => assert.fail('it worked'),
      (error: unknown) => error,
    );
  }

  test('nobody listens', async () => {
    const pool = makePool({ url: 'postgres://nobody@127.0.0.1:1/none', applicationName: 'test', max: 1 });
    assert.equal(isUnavailable(await failure(() => pool.query('select 1'))), true);
    await pool.end();
  });

  test('somebody listens and never answers: an error within five seconds', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    after(() => silent.close());
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    const pool = makePool({
      url: `postgres://nobody@127.0.0.1:${port}/none`,
      applicationName: 'test',
      max: 1,
    });
    const started = Date.now();
    assert.equal(isUnavailable(await failure(() => pool.query('select 1'))), true);
    assert.ok(Date.now() - started < 5_000);
    await pool.end();
  });

  test('the connection is cut in the middle of a transaction: unavailable, and the next one works', async () => {
    const error = await failure(() =>
      withTransaction(database.pool, async (tx) => {
        const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
        await database.asSuperuser('select pg_terminate_backend($1)', [rows[0]?.pid]);
        await tx.query('select 1');
      }),
    );
    assert.equal(isUnavailable(error), true);
    assert.equal(
      await withTransaction(database.pool, async (tx) => (await tx.query('select 1')).rowCount),
      1,
    );
  });

  for (const how of ['closed', 'reset'] as const)
    test(`the network is ${how} while something is asked: unavailable, and the process goes on`, async () => {
      const network = await makeNetwork(database.url);
      const pool = makePool({ url: network.url, applicationName: `test ${how}`, max: 1 });
      const reads = {
        'without a transaction': () => onOneConnection(pool, (q) => q.query('select pg_sleep(60)')),
        'in one': () => withTransaction(pool, (tx) => tx.query('select pg_sleep(60)')),
      };
      for (const [name, read] of Object.entries(reads)) {
        const failed = failure(read);
        const asked = `select 1 from pg_stat_activity where application_name = $1 and wait_event = 'PgSleep'`;
        while ((await database.asSuperuser(asked, [`test ${how}`])).rowCount === 0);
        network.cut(how);
        const error = await failed;
        assert.equal(isUnavailable(error), true, `${name}: ${String(error)}`);
        await database.asSuperuser(
          'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1',
          [`test ${how}`],
        );
        assert.equal((await pool.query('select 1')).rowCount, 1, 'the next one works');
      }
      await pool.end();
      network.close();
    });

  test('a transaction that stood still for too long, or lasted too long, is ended: unavailable, and nobody’s mistake', async () => {
    for (const setting of ['idle_in_transaction_session_timeout', 'transaction_timeout']) {
      const error = await failure(() =>
        withTransaction(database.pool, async (tx) => {
          const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
          await tx.query(`set local ${setting} = 50`);
          const gone = `select 1 from pg_stat_activity where pid = $1`;
          while ((await database.asSuperuser(gone, [rows[0]?.pid])).rowCount === 1);
          await tx.query('select 1');
        }),
      );
      assert.equal(isUnavailable(error), true, `${setting}: ${String(error)}`);
    }
  });

  test('a wrong statement and a broken rule are not the store being away', async () => {
    assert.equal(isUnavailable(await failure(() => database.pool.query('selec 1'))), false);
    assert.equal(isUnavailable(await failure(() => database.pool.query('delete from audit_record'))), false);
    assert.equal(isUnavailable(new Error('no')), false);
  });

  test('nothing of a transaction that throws is kept', async () => {
    await failure(() =>
      withTransaction(database.pool, async (tx) => {
        await tx.query(`insert into plan (hash, body) values ('sha256:x', '{}')`);
        throw new Error('stop');
      }),
    );
    assert.equal((await database.pool.query('select 1 from plan')).rowCount, 0);
  });
});

test('a pooler that takes few parameters of the start is passed, and the time of statements is limited behind it', async () => {
  await withDatabase(async ({ url }) => {
    const pooler = await startPooler(url);
    for (const byKeys of [false, true]) {
      const pool = makePool({ url: pooler.url, applicationName: 'test', max: 1, byKeys });
      const { rows } = await pool.query<Record<string, string>>(
        `select current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle, current_setting('role') as role, current_setting('enable_seqscan') as scan`,
      );
      await pool.end();
      const scan = byKeys ? 'off' : 'on';
      assert.deepEqual(rows, [{ statement: '15s', idle: '30s', role: 'countersign_app', scan }]);
    }
    await migrate(pooler.url);
    const listener = await listen(pooler.url, ['any'], () => undefined);
    await listener.close();
    pooler.close();
  });
});

test('a pooler that pools by transaction is refused before anything is changed, and no pooler is not', async () => {
  const { url, drop } = await makeEmptyDatabase();
  const pooler = await startTransactionPooler(url);
  try {
    await assert.rejects(
      migrate(pooler.url),
      /^Error: the pooler in front of this Postgres pools by transaction, .*: have it pool by session, /,
    );
    const { rows } = await asSuperuser(
      url,
      `select count(*)::int as tables from pg_tables where schemaname = 'public'`,
    );
    assert.deepEqual(rows, [{ tables: 0 }]);
    await pooler.close();
    assert.notDeepEqual((await migrate(url)).applied, []);
  } finally {
    await drop();
  }
});

for (const [setting, value] of [
  ['datestyle', 'German'],
  ['datestyle', 'SQL, DMY'],
  ['timezone', 'Asia/Kolkata'],
  ['default_transaction_isolation', 'serializable'],
] as const)
  test(`a database with its own ${setting} (${value}) is worked with as any other`, async () => {
    await withDatabase(async ({ url, asSuperuser }) => {
      const name = new URL(url).pathname.slice(1);
      await asSuperuser(`alter database ${name} set ${setting} = '${value}'`);
      const pool = makePool({ url, applicationName: 'test', max: 1 });
      const { rows } = await withTransaction(pool, (tx) =>
        tx.query(
          `select timestamptz '2026-12-10T18:30:00.123456Z' as time, current_setting('transaction_isolation') as isolation`,
        ),
      );
      await pool.end();
      assert.deepEqual(rows, [{ time: '2026-12-10T18:30:00.123Z', isolation: 'read committed' }]);
    });
  });

test('a time that is none of ISO 8601 is an error, and not handed on', () => {
  const read = typeParsers.getTypeParser(1184, 'text') as (text: string) => unknown;
  assert.equal(read('2026-12-10 18:30:00+00'), '2026-12-10T18:30:00.000Z');
  for (const text of ['10.12.2026 18:30:00 UTC', '10/12/2026 18:30:00 UTC', 'infinity'])
    assert.throws(() => read(text), RangeError, text);
});

test('of what a pooler says under 08P01, a refusal is not the store being away', () => {
  const said = (message: string): Error => Object.assign(new Error(message), { code: '08P01' });
  for (const message of ['unsupported startup parameter in options: jit', 'no such database: shop'])
    assert.equal(isUnavailable(said(message)), false, message);
  for (const message of ['query_wait_timeout', 'no more connections allowed (max_client_conn)'])
    assert.equal(isUnavailable(said(message)), true, message);
});

test('a read-only Postgres is the store being away, and not a record that lost its triggers', async () => {
  await withDatabase(async ({ url, asSuperuser }) => {
    const name = new URL(url).pathname.slice(1);
    await asSuperuser(`alter database ${name} set default_transaction_read_only = on`);
    const pool = makePool({ url, applicationName: 'test', max: 1 });
    await assert.rejects(assertAppendOnly(pool), (error: unknown) => {
      assert.match(String(error), /cannot execute UPDATE in a read-only transaction/);
      return isUnavailable(error);
    });
    await pool.end();
  });
});

test('no PG* variable of the shell reaches a connection to our own Postgres', async () => {
  const shell = {
    PGSSLMODE: 'require',
    PGSSLNEGOTIATION: 'direct',
    PGOPTIONS: '-c default_transaction_read_only=on',
    PGHOST: 'nowhere.invalid',
    PGPORT: '1',
    PGUSER: 'nobody',
    PGPASSWORD: 'wrong',
    PGDATABASE: 'none',
  };
  await withDatabase(async ({ url }) => {
    Object.assign(process.env, shell);
    try {
      const pool = makePool({ url, applicationName: 'test', max: 1 });
      const { rows } = await pool.query(`select current_setting('transaction_read_only') as "on"`);
      await pool.end();
      assert.deepEqual(rows, [{ on: 'off' }]);
    } finally {
      for (const name of Object.keys(shell)) Reflect.deleteProperty(process.env, name);
    }
  });
});

interface Network {
  /** Of the database, through it. */
  readonly url: string;
  /** Ends each connection, with a FIN or an RST. */
  cut(how: 'closed' | 'reset'): void;
  close(): void;
}

async function makeNetwork(database: string): Promise<Network> {
  const to = new URL(database);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const folder = to.searchParams.get('host');
    const port = Number(to.port === '' ? 5432 : to.port);
    const far = folder === null ? connect(port, to.hostname) : connect(`${folder}/.s.PGSQL.${String(port)}`);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    near.pipe(far);
    far.pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(database);
  url.searchParams.delete('host');
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    cut: (how) => {
      for (const socket of sockets) {
        if (how === 'closed') socket.destroy();
        else socket.resetAndDestroy();
      }
      sockets.clear();
    },
    close: () => {
      server.close();
    },
  };
}

test('a listener whose connection is cut comes back, says so, and hears again', async () => {
  const database = await makeDatabase();
  const heard: string[] = [];
  let notified = (): void => undefined;
  let reconnected = (): void => undefined;
  const back = new Promise<void>((resolve) => {
    reconnected = resolve;
  });
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      notified = resolve;
    });
  const listener = await listen(
    database.url,
    ['countersign_run'],
    (channel, payload) => {
      heard.push(`${channel} ${payload}`);
      notified();
    },
    () => reconnected(),
  );
  const first = next();
  await database.pool.query(`select pg_notify('countersign_run', 'run_1')`);
  await first;
  await database.asSuperuser(
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'countersign listen' and datname = current_database()`,
  );
  await back;
  const second = next();
  await database.pool.query(`select pg_notify('countersign_run', 'run_2')`);
  await second;
  assert.deepEqual(heard, ['countersign_run run_1', 'countersign_run run_2']);
  await listener.close();
  await database.drop();
});
