import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { appendRun, makePayloads } from '../../src/audit/index.js';
import { assertAppendOnly, withTransaction } from '../../src/db/index.js';
import { makeDatabase, withDatabase, type Database } from '../../testing/servers/database.js';
import { fact, scope } from '../audit/facts.js';

const refused = { code: '42501' };

describe('the record is append-only', () => {
  let database: Database;
  before(async () => {
    database = await makeDatabase();
    await withTransaction(database.pool, (tx) => appendRun(tx, scope('run_a'), [fact('one')]));
    await makePayloads({ kek: Buffer.alloc(32, 7) }).put(
      database.pool,
      'run_a',
      'args',
      'text/plain',
      'kept',
    );
  });
  after(() => database.drop());

  test('the processes work as a role that nobody logs in as, and own nothing', async () => {
    const { rows } = await database.pool.query<{ user: string; owner: string }>(
      `select current_user as user, relowner::regrole::text as owner from pg_class where relname = 'audit_record'`,
    );
    assert.deepEqual(rows, [{ user: 'countersign_app', owner: 'countersign_owner' }]);
  });

  const statements = [
    `update audit_record set body = 'x'`,
    `delete from audit_record`,
    `truncate audit_record cascade`,
    `update audit_log set index = 5`,
    `delete from audit_log where index = 77`,
    `truncate audit_log`,
    `update payload set ciphertext = 'x'`,
    `delete from payload`,
    `delete from payload_key`,
    `truncate payload_key`,
    `update payload_key set wrapped = 'another key'`,
    `delete from audit_chain where chain = 'none'`,
    `update audit_chain set size = 0`,
    `truncate audit_head`,
    `update plan set body = '{}'`,
  ];
  for (const statement of statements) {
    test(`refused for the application and for the owner: ${statement}`, async () => {
      await assert.rejects(database.pool.query(statement), refused);
      await assert.rejects(database.asSuperuser(`set role countersign_owner; ${statement}`), refused);
      await assert.rejects(
        database.asSuperuser(`set session_replication_role = replica; ${statement}`),
        refused,
      );
    });
  }

  test('a closed chain is not opened again', async () => {
    await withTransaction(database.pool, (tx) =>
      appendRun(tx, scope('run_closed'), [fact('end', { type: 'run.completed' })]),
    );
    await assert.rejects(
      database.pool.query(`update audit_chain set closed = false where chain = 'run_closed'`),
      refused,
    );
  });

  test('the check at boot passes, on empty tables too', async () => {
    await assertAppendOnly(database.pool);
    await withDatabase(({ pool }) => assertAppendOnly(pool));
  });
});

test('the check at boot names the statement that works when a trigger is gone', async () => {
  await withDatabase(async ({ pool, asSuperuser }) => {
    await asSuperuser(
      `alter table audit_log disable trigger user; grant delete on audit_log to countersign_app`,
    );
    await assert.rejects(assertAppendOnly(pool), /`delete from audit_log` must be refused/);
    const { rows } = await pool.query('select size from audit_head');
    assert.deepEqual(rows, [{ size: 0 }]);
  });
});
