import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import pg from 'pg';
import { changerOf } from '../../../testing/rights.js';
import { keepInShare, OutOfTurn } from '../../../src/service/changes.js';
import { until } from '../../../testing/until.js';
import { startApi, type Harness } from '../harness.js';

describe('many changes at once, behind a store that stalls', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  it('are all made once it goes on, and keep nobody from reading or starting meanwhile', async (t) => {
    // Together they could hold more connections than there are.
    const makers = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const maker = { id: `maker-${index}`, kind: 'human', permissions: ['key.manage'] };
        return (await api.ask('admin', 'POST', '/v1/keys', maker)).body.key as string;
      }),
    );
    const holder = new pg.Client({ connectionString: api.database.url });
    await holder.connect();
    t.after(() => holder.end());
    // Keys are made under this lock; a read or a start asks for none of it.
    await holder.query('begin; lock table api_key in share row exclusive mode');
    const { rows } = await holder.query<{ pid: number }>('select pg_backend_pid() as pid');
    const ids = Array.from({ length: 40 }, (_, index) => `one-of-many-${index}`);
    const asked = ids.map((id, index) =>
      api.ask(makers[index % makers.length] ?? '', 'POST', '/v1/keys', { id, kind: 'human' }),
    );
    await until('the first to wait', async () => {
      const waiting = 'select 1 from pg_stat_activity where $1 = any(pg_blocking_pids(pid))';
      return ((await api.database.asSuperuser(waiting, [rows[0]?.pid])).rowCount ?? 0) > 0;
    });
    // Longer than the rights are trusted that the requests came with, so that each is asked for them again.
    await setTimeout(1_100);
    const others = await Promise.all([
      api.ask('agent', 'GET', '/v1/flows'),
      api.ask('agent', 'POST', '/v1/flows/pay/runs', {}),
    ]);
    assert.deepEqual(
      others.map(({ status }) => status),
      [200, 201],
    );
    await holder.query('commit');
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    assert.deepEqual([...new Set(statuses)], [201]);
  });

  it('are 503 whose turn does not come, with when to try again', async () => {
    const maker = { id: 'busy-maker', kind: 'human', permissions: ['key.manage'] };
    const { key } = (await api.ask('admin', 'POST', '/v1/keys', maker)).body;
    const ending = new EventEmitter();
    const caller = changerOf(maker.id);
    const atWork = Array.from({ length: 2 }, () => keepInShare(caller, () => once(ending, 'end')));
    const make = () => api.ask(key, 'POST', '/v1/keys', { id: 'late', kind: 'human' });
    const { status, body, headers } = await make();
    assert.deepEqual([status, body.code, headers.get('retry-after')], [503, 'AUDIT_UNAVAILABLE', '2']);
    assert.match(
      body.detail,
      /the turn of this one did not come within 10 s: nothing of this attempt is kept/,
    );
    ending.emit('end');
    await Promise.all(atWork);
    const made = "select 1 from api_key where principal_id = 'late'";
    assert.equal((await api.database.asSuperuser(made)).rowCount, 0);
    assert.equal((await make()).status, 201);
  });

  it('are not made whose turn does not come within ten seconds, and their callers are told so', async (t) => {
    const ending = new EventEmitter();
    const caller = changerOf('busy');
    const atWork = Array.from({ length: 2 }, () => keepInShare(caller, () => once(ending, 'end')));
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let isMade = false;
    const late = keepInShare(caller, () => {
      isMade = true;
      return Promise.resolve();
    });
    const other = keepInShare(changerOf('other'), () => Promise.resolve('made'));
    assert.equal(await other, 'made');
    t.mock.timers.tick(10_000);
    await assert.rejects(late, OutOfTurn);
    ending.emit('end');
    await Promise.all(atWork);
    assert.equal(await keepInShare(caller, () => Promise.resolve('next')), 'next');
    assert.equal(isMade, false);
  });

  it('are not made whose turn has not come when the process stops, and their callers are told so at once', async () => {
    const ending = new EventEmitter();
    const process = new AbortController();
    const caller = { ...changerOf('last'), stopping: process.signal };
    const atWork = Array.from({ length: 2 }, () => keepInShare(caller, () => once(ending, 'end')));
    let made = 0;
    const make = (): Promise<number> => Promise.resolve((made += 1));
    const isStopping = /this process of the API is stopping, and the turn of this change had not come/;
    const refused = assert.rejects(keepInShare(caller, make), isStopping);
    process.abort();
    await refused;
    await assert.rejects(keepInShare(caller, make), isStopping);
    // It need not wait.
    assert.equal(await keepInShare({ ...changerOf('other'), stopping: process.signal }, make), 1);
    ending.emit('end');
    await Promise.all(atWork);
    assert.equal(made, 1);
  });
});
