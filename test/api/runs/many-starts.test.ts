import assert from 'node:assert/strict';
import pg from 'pg';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../testing/until.js';
import { startApi, type Harness } from '../harness.js';

/** A fifth of the connections of the harness. */
const own = 6;
const lock = 4711;

describe('300 starts of one principal at once', () => {
  let api: Harness;
  let holder: pg.Client;
  before(async () => {
    api = await startApi();
    // Each start is kept, and answered with 202.
    api.kernel.idle = true;
    // The store takes no run of the agent while the lock is held.
    await api.database.asSuperuser(
      `create function hold_up() returns trigger language plpgsql as
         $$ begin perform pg_advisory_xact_lock_shared(${lock}); return new; end $$`,
    );
    await api.database.asSuperuser(
      `create trigger hold_up before insert on run for each row when (new.started_by = 'agent') execute function hold_up()`,
    );
    holder = new pg.Client({ connectionString: api.database.url });
    await holder.connect();
  });
  after(async () => {
    await holder.end();
    await api.stop();
  });
  const start = (as: string) => api.ask(as, 'POST', '/v1/flows/pay/runs?wait=0', {});
  const heldUp = async (): Promise<number> => {
    const { rows } = await holder.query<{ count: number }>(
      `select count(*)::int as count from pg_locks where locktype = 'advisory' and objid = ${lock} and not granted`,
    );
    return rows[0]?.count ?? 0;
  };

  it('are all taken, and meanwhile others read their inbox, start and decide', async () => {
    const parked = await api.ask('employee', 'POST', '/v1/flows/pay/runs?wait=0', {});
    assert.equal(parked.status, 202, parked.text);
    await holder.query(`select pg_advisory_lock(${lock})`);
    const asked = Array.from({ length: 300 }, () => start('agent'));
    await until('starts that are held up', async () => (await heldUp()) === own || null, 10_000);
    const inbox = await api.ask('finance', 'GET', '/v1/approvals?mine=true');
    assert.equal(inbox.status, 200, inbox.text);
    const others = await Promise.all([start('employee'), start('employee'), start('manager')]);
    assert.deepEqual(
      others.map(({ status }) => status),
      [202, 202, 202],
    );
    const run = parked.body.run.id as string;
    const cancelled = await api.ask('admin', 'POST', `/v1/runs/${run}/cancel`, { reason: 'not needed' });
    assert.ok(cancelled.status < 300, cancelled.text);
    assert.equal(await heldUp(), own, 'the others of the agent hold no connection');
    await holder.query(`select pg_advisory_unlock(${lock})`);
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    assert.deepEqual([...new Set(statuses)], [202]);
  });
});
