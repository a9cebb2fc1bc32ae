import assert from 'node:assert/strict';
import { it } from 'node:test';
import { makeDeps } from '../../src/activities/deps.js';
import { makePayloads, makeServiceChain } from '../../src/audit/index.js';
import { makePool, withTransaction } from '../../src/db/index.js';
import { lockUntaken } from '../../src/store/runs/messages.js';
import { withDatabase } from '../../testing/servers/database.js';

it('a policy check on a cold worker needs no second connection: as many as the pool holds run at once', async () => {
  await withDatabase(async ({ url }) => {
    const pool = makePool({ url, applicationName: 'test', max: 1 });
    const chain = makeServiceChain({ pool, kind: 'worker' });
    const deps = makeDeps(pool, makePayloads({ kek: Buffer.alloc(32) }), chain, assert.fail);
    const found = await withTransaction(pool, async (tx) => ({
      messages: await lockUntaken(tx, 'run_unknown', { kind: null, except: [], limit: 1 }),
      plan: await deps.plan(tx, 'sha256:unknown'),
    }));
    assert.deepEqual(found, { messages: [], plan: null });
    await assert.rejects(
      withTransaction(pool, (tx) => deps.policySet(tx)),
      /no policy set is loaded/,
    );
    await pool.end();
  });
});
