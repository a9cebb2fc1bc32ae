import assert from 'node:assert/strict';
import { after, before, describe, mock, test } from 'node:test';
import pg from 'pg';
import { makePool, withTransaction, write, type Pool, type Tx } from '../../src/db/index.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { holdRun } from '../../testing/servers/locks.js';
import { putRun } from '../store/rows.js';

describe('statements of a transaction that go together', () => {
  let database: Database;
  /** One connection: what one transaction leaves behind on it, the next one meets. */
  let pool: Pool;
  before(async () => {
    database = await makeDatabase();
    pool = makePool({ url: database.url, applicationName: 'test', max: 1 });
  });
  after(async () => {
    await pool.end();
    await database.drop();
  });

  const putPlan = (tx: Tx | Pool, hash: unknown): Promise<void> =>
    write(tx, 'insert into plan (hash, body) values ($1, $2)', [hash, '{}']);
  const plans = async (q: Tx | Pool, like: string): Promise<string[]> => {
    const { rows } = await q.query<{ hash: string }>(
      'select hash from plan where hash like $1 order by hash',
      [`${like}%`],
    );
    return rows.map((row) => row.hash);
  };

  test('the beginning goes with the first statement, writes with the next, and the last of them with the commit', async () => {
    await pool.query('select 1');
    const trips = mock.method(pg.Client.prototype, 'query');
    const own = makePool({ url: database.url, applicationName: 'test', max: 1 });
    await own.query('select 1');
    const before = trips.mock.callCount();
    const seen = await withTransaction(own, async (tx) => {
      for (const hash of ['trip:a', 'trip:b', 'trip:c']) await putPlan(tx, hash);
      const [there, answer] = await Promise.all([plans(tx, 'trip:'), tx.query('select $1::int as n', [1])]);
      await putPlan(tx, 'trip:d');
      return [...there, answer.rowCount];
    });
    const count = trips.mock.callCount() - before;
    trips.mock.restore();
    await own.end();
    assert.deepEqual(seen, ['trip:a', 'trip:b', 'trip:c', 1]);
    assert.equal(count, 2);
    assert.deepEqual(await plans(pool, 'trip:'), ['trip:a', 'trip:b', 'trip:c', 'trip:d']);
  });

  test('what follows a lock sees what its holder had committed', async () => {
    await putRun(database.pool, 'run_locked');
    const held = await holdRun(database.url, 'run_locked');
    const reading = withTransaction(pool, async (tx) => {
      const [, there] = await Promise.all([
        tx.query('select 1 from run where id = $1 for update', ['run_locked']),
        plans(tx, 'behind:'),
      ]);
      return there;
    });
    while (!(await held.someoneWaits())) await new Promise((resolve) => setImmediate(resolve));
    await putPlan(database.pool, 'behind:lock');
    await held.release();
    assert.deepEqual(await reading, ['behind:lock']);
  });

  test('one that fails at the commit undoes all of them, and says why', async () => {
    await assert.rejects(
      withTransaction(pool, async (tx) => {
        await putPlan(tx, 'twice:a');
        await putPlan(tx, 'twice:a');
        await putPlan(tx, 'twice:b');
      }),
      { code: '23505' },
    );
    assert.deepEqual(await plans(pool, 'twice:'), []);
  });

  test('one that fails in the middle fails what was asked with it, for the same reason', async () => {
    const asked = await withTransaction(pool, async (tx) => {
      await putPlan(tx, 'middle:a');
      return Promise.allSettled([
        plans(tx, 'middle:'),
        tx.query('select 1 / $1::int', [0]),
        tx.query('select $1::int', [1]),
      ]);
    }).then(
      () => assert.fail('it was committed'),
      (error: unknown) => error,
    );
    assert.match(String(asked), /rolled back/);
    assert.deepEqual(await plans(pool, 'middle:'), []);
    await assert.rejects(
      withTransaction(pool, async (tx) => {
        await putPlan(tx, 'middle:b');
        await Promise.all([plans(tx, 'middle:'), tx.query('select 1 / $1::int', [0])]);
      }),
      { code: '22012' },
    );
    assert.deepEqual(await plans(pool, 'middle:'), []);
  });

  test('a value that cannot be sent: nothing behind it runs, and nothing is committed', async () => {
    const unsendable = {
      toPostgres: () => {
        throw new Error('no such value');
      },
    };
    await assert.rejects(
      withTransaction(pool, async (tx) => {
        await putPlan(tx, 'value:a');
        await putPlan(tx, unsendable);
        await putPlan(tx, 'value:b');
      }),
      /no such value/,
    );
    assert.deepEqual(await plans(pool, 'value:'), []);
    await withTransaction(pool, (tx) => putPlan(tx, 'value:c'));
    assert.deepEqual(await plans(pool, 'value:'), ['value:c']);
  });

  test('what was prepared, and what was not for a failure before it, works again on the same connection', async () => {
    const late = (tx: Tx): Promise<unknown> =>
      Promise.all([
        tx.query('select 1 / $1::int as first', [0]),
        tx.query('select $1::int as never_parsed_yet', [1]),
      ]);
    await assert.rejects(withTransaction(pool, late), { code: '22012' });
    await assert.rejects(withTransaction(pool, late), { code: '22012' });
    const { rows } = await withTransaction(pool, (tx) =>
      tx.query<{ never_parsed_yet: number }>('select $1::int as never_parsed_yet', [7]),
    );
    assert.equal(rows[0]?.never_parsed_yet, 7);
  });

  test('a transaction that throws sends nothing of what it had left to go with the next', async () => {
    await assert.rejects(
      withTransaction(pool, async (tx) => {
        await plans(tx, 'left:');
        await putPlan(tx, 'left:a');
        throw new Error('stop');
      }),
      /stop/,
    );
    await withTransaction(pool, (tx) => putPlan(tx, 'left:b'));
    assert.deepEqual(await plans(pool, 'left:'), ['left:b']);
  });

  test('a statement that is asked for in another form does not come before the beginning', async () => {
    const text = 'insert into plan (hash, body) values ($1, $2)';
    await assert.rejects(
      withTransaction(pool, async (tx) => {
        await tx.query({ text, values: ['form:a', '{}'] });
        throw new Error('stop');
      }),
      /stop/,
    );
    assert.deepEqual(await plans(pool, 'form:'), []);
  });

  test('outside a transaction a write is done when it says so', async () => {
    await putPlan(pool, 'outside:a');
    assert.deepEqual(await plans(database.pool, 'outside:'), ['outside:a']);
  });

  test('the connection is cut while they are under way: all of them fail, and nothing hangs', async () => {
    const settled = withTransaction(pool, async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
      await putPlan(tx, 'cut:a');
      const asked = [tx.query('select pg_sleep($1)', [30]), plans(tx, 'cut:')];
      const answers = Promise.allSettled(asked);
      await database.asSuperuser('select pg_terminate_backend($1)', [rows[0]?.pid]);
      assert.deepEqual(
        (await answers).map((result) => result.status),
        ['rejected', 'rejected'],
      );
    });
    await assert.rejects(settled);
    assert.deepEqual(await plans(database.pool, 'cut:'), []);
  });
});
