import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { makeFeed, type Feed } from '../../src/service/index.js';
import { makeSeats, makeTurns } from '../../src/service/seats.js';
import { makeSights } from '../../src/service/audit/sight.js';
import { makeServiceChain, type AuditItem, type ServiceChain } from '../../src/audit/index.js';
import { listen, type Pool } from '../../src/db/index.js';
import type { Principal } from '../../src/model/principal.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { noteStatements, type NotedStatement } from '../../testing/servers/statements.js';
import { putRun } from '../store/rows.js';

const viewer: Principal = { id: 'bob', kind: 'human', roles: ['controller'], permissions: [] };

describe('the log as it grows', () => {
  let database: Database;
  let chain: ServiceChain;
  let feed: Feed;
  let asked: readonly NotedStatement[];
  let pool: Pool;
  before(async () => {
    database = await makeDatabase();
    chain = makeServiceChain({ pool: database.pool, kind: 'api' });
    ({ pool, statements: asked } = noteStatements(database.pool));
    feed = await makeFeed({ pool, listen: (channels, wake) => listen(database.url, channels, wake) });
  });
  after(async () => {
    await feed.close();
    await database.drop();
  });

  const note = (key: string): Promise<void> =>
    chain.append([
      {
        key,
        type: 'api.called',
        time: new Date().toISOString(),
        actor: { kind: 'anonymous', id: 'anonymous' },
        data: { key },
      },
    ]);
  const keysOf = (items: readonly AuditItem[]): unknown[] => items.map((item) => item.data['key']);
  const readings = (): number => asked.filter(({ text }) => text.includes('from audit_log l')).length;
  const never = new AbortController().signal;
  setMaxListeners(0, never);

  it('is read once for all who follow it, however many they are', async () => {
    await note('before');
    const size = await feed.size();
    const followers = Array.from({ length: 300 }, () => feed.follow(size - 1, 'reader'));
    const got = Promise.all(followers.map((follower) => follower.next(never)));
    await new Promise((resolve) => setImmediate(resolve));
    const earlier = readings();
    await note('together');
    for (const items of await got) assert.deepEqual(keysOf(items), ['together']);
    assert.ok(readings() - earlier < 20, `${readings() - earlier} readings for 300 followers`);
    for (const follower of followers) follower.leave();
  });

  it('goes on where each of them was, also for one who is far behind', async () => {
    const size = await feed.size();
    for (let n = 0; n < 5; n += 1) await note(`more ${n}`);
    const live = feed.follow((await feed.size()) - 1, 'reader');
    const behind = feed.follow(size - 1, 'reader');
    const found: unknown[] = [];
    while (found.length < 5) found.push(...keysOf(await behind.next(never)));
    assert.deepEqual(found, ['more 0', 'more 1', 'more 2', 'more 3', 'more 4']);
    const both = Promise.all([live.next(never), behind.next(never)]);
    await note('for both');
    assert.deepEqual((await both).map(keysOf), [['for both'], ['for both']]);
    live.leave();
    behind.leave();
    assert.deepEqual(await feed.follow(size, 'reader').next(AbortSignal.abort()), []);
  });

  it('asks once whether somebody sees a run, yes or no, and again when that may have changed', async () => {
    await putRun(database.pool, 'run_mine', { startedBy: 'bob' });
    await putRun(database.pool, 'run_other', { startedBy: 'ann' });
    const sights = makeSights({ pool, turns: makeTurns(4) });
    const item = (run: string, type: string): AuditItem => ({ run, about: '', type }) as AuditItem;
    const items = [item('run_mine', 'run.started'), item('run_other', 'run.started'), item('', 'api.called')];
    // The feed uses the same pool whenever it reads on.
    const asksWhoSees = (): number => asked.filter(({ text }) => text.includes('from run r where')).length;
    const questions = async (): Promise<number> => {
      const before = asksWhoSees();
      assert.deepEqual(
        (await sights.visible(viewer, items)).map((item) => item.run),
        ['run_mine'],
      );
      return asksWhoSees() - before;
    };
    assert.deepEqual([await questions(), await questions(), await questions()], [1, 0, 0]);
    sights.changed([item('run_mine', 'executor.started')]);
    assert.equal(await questions(), 0);
    for (const type of ['human.approval.requested', 'approval.decided', 'policy.reloaded']) {
      sights.changed([item('run_other', type)]);
      assert.deepEqual([await questions(), await questions()], [1, 0], type);
    }
  });
});

describe('seats', () => {
  it('are counted for each principal and for all, and given back once', () => {
    const seats = makeSeats({ each: 2, all: 3 });
    const [first, second] = [seats.take('ann'), seats.take('ann')];
    assert.ok(first !== null && second !== null && seats.take('ann') === null);
    assert.ok(seats.take('bob') !== null);
    assert.equal(seats.take('eve'), null, 'all are taken');
    first.leave();
    first.leave();
    assert.ok(seats.take('eve') !== null);
    assert.equal(seats.take('ann'), null, 'given back twice is one');
  });
});
