import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  makePool,
  onOneConnection,
  settleTogether,
  together,
  valueOf,
  withTransaction,
} from '../../src/db/index.js';
import { withDatabase } from '../../testing/servers/database.js';

describe('what is asked of the store together', () => {
  it('is given in its order, and goes in one round trip', async () => {
    await withDatabase(async ({ url }) => {
      const pool = makePool({ url, applicationName: 'test', max: 1 });
      const found = await onOneConnection(pool, (q) =>
        together([
          q.query('select statement_timestamp()::text as at'),
          'a value',
          q.query('select 2 as two'),
        ]),
      );
      assert.equal(found[1], 'a value');
      assert.deepEqual(found[2].rows, [{ two: 2 }]);
      await assert.rejects(
        onOneConnection(pool, (q) => q.query('select nothing')),
        /nothing/,
      );
      assert.deepEqual((await pool.query('select 1 as one')).rows, [{ one: 1 }], 'the pool goes on');
      await pool.end();
    });
  });

  it('has ended when it fails: nothing of it comes into the next transaction', async () => {
    let hasEnded = false;
    const later = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      hasEnded = true;
    });
    await assert.rejects(together([Promise.reject(new Error('first')), later]), /first/);
    assert.ok(hasEnded);
  });

  const ofStore = (code: string): Error => Object.assign(new Error(`store ${code}`), { code });
  const afterIt = ofStore('25P02');

  it('fails with its cause, and not with what a statement in a failed transaction is told', async () => {
    await assert.rejects(together([Promise.reject(afterIt), Promise.reject(ofStore('57014'))]), /57014/);
    await assert.rejects(together([1, Promise.reject(afterIt)]), /25P02/);
    await assert.rejects(
      together([Promise.reject(new Error('own')), Promise.reject(ofStore('57014'))]),
      /own/,
    );
  });

  it('fails at once where the store does, and else only for who needs what is missing', async () => {
    const own = Promise.reject(new Error('own'));
    const [missing, two] = await settleTogether([own, 2]);
    assert.equal(valueOf(two), 2);
    assert.throws(() => valueOf(missing), /own/);
    await assert.rejects(
      settleTogether([own, Promise.reject(afterIt), Promise.reject(ofStore('57014'))]),
      /57014/,
    );
    await assert.rejects(
      settleTogether([1, Promise.reject(new Error('Connection terminated'))]),
      /terminated/,
    );
  });

  it('by keys is planned once a connection, also where its table was empty then', async () => {
    await withDatabase(async ({ url }) => {
      const pool = makePool({ url, applicationName: 'test', max: 1, byKeys: true });
      const plan = await withTransaction(pool, async (tx) => {
        await tx.query('prepare found (text[]) as select 1 from audit_record where event_key = any($1)');
        return (await tx.query(`explain execute found ('{a}')`)).rows;
      });
      assert.match(JSON.stringify(plan), /Index.*event_key = ANY \(\$1\)/);
      await pool.end();
    });
  });
});
