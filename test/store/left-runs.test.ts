import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { withTransaction } from '../../src/db/index.js';
import { getRun } from '../../src/store/runs/runs.js';
import { leaveRuns, type TemporalHome } from '../../src/store/processes/temporal-home.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { putRun } from './rows.js';

let database: Database;
before(async () => {
  database = await makeDatabase();
});
after(() => database.drop());

const homeOn = (taskQueue: string): TemporalHome => ({
  ...{ namespace: 'countersign-dev', namespaceId: 'n', taskQueue, address: null },
});

test('a run that is left to the first deployment stays its own where the copy moves on, or is copied itself', async () => {
  await putRun(database.pool, 'before');
  await putRun(database.pool, 'staging', { namespace: 'countersign-staging' });
  const leave = (left: readonly TemporalHome[], own: string): Promise<void> =>
    withTransaction(database.pool, (tx) => leaveRuns(tx, left, own));
  await leave([homeOn('first')], 'copy');
  await putRun(database.pool, 'since');
  await leave([homeOn('copy')], 'copy of the copy');
  await leave([], 'moved');
  const leftTo = (ids: readonly string[]): Promise<unknown[]> =>
    Promise.all(ids.map(async (id) => (await getRun(database.pool, id))?.leftTo));
  assert.deepEqual(await leftTo(['before', 'since', 'staging']), ['first', 'copy', null]);
  await leave([], 'copy');
  assert.deepEqual(await leftTo(['before', 'since']), ['first', null]);
});
