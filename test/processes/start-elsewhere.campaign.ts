import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { migrate } from '../../src/db/index.js';
import { asSuperuser } from '../../testing/servers/database.js';
import { startProduct } from '../../testing/servers/product.js';
import { makeEmptyDatabase, temporaryFolder } from '../../testing/servers/servers.js';

// `npm start` with a database of the operator's: whose it is, is asked before anything in it is changed.

describe('npm start with a database that it is given', () => {
  const home = temporaryFolder('elsewhere');
  let url = '';
  let drop: () => Promise<void>;
  before(async () => {
    ({ url, drop } = await makeEmptyDatabase());
  });
  after(async () => {
    await drop();
    rmSync(home, { recursive: true, force: true });
  });

  it('migrates it where it is empty, and is ready', async () => {
    const product = await startProduct({ home, env: { DATABASE_URL: url }, args: ['--no-demo'] });
    await product.ready();
    assert.deepEqual(await product.stop(), { code: 0, signal: null });
    assert.deepEqual((await migrate(url)).applied, []);
  });

  it('ends where it is of another deployment, says what to do, and has not migrated it', async () => {
    for (const statement of [
      "update temporal_home set task_queue = 'other'",
      'alter table temporal_home drop column address',
      "delete from schema_migration where name like '0020%'",
    ])
      await asSuperuser(url, statement);
    const product = await startProduct({ home, env: { DATABASE_URL: url }, args: ['--no-demo'] });
    assert.deepEqual(await product.exited, { code: 1, signal: null });
    assert.match(product.output(), /this store belongs to another deployment/);
    const { applied } = await migrate(url);
    assert.equal(applied.length, 1);
  });
});
