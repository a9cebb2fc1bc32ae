import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { newId } from '../../src/model/names/ids.js';
import {
  appendRun,
  makePayloads,
  makeServiceChain,
  readEntry,
  readRecords,
  sequence,
} from '../../src/audit/index.js';
import { listen, withTransaction } from '../../src/db/index.js';
import type { PayloadRef } from '../../src/model/records.js';
import { makeDatabase, withDatabase, type Database } from '../../testing/servers/database.js';
import { fact, scope } from './facts.js';

describe('the log', () => {
  test('twenty writers and four sequencers: every record has one index, gapless, in each chain’s order', async () => {
    await withDatabase(async ({ pool }) => {
      const runs = Array.from({ length: 20 }, () => newId('run'));
      let writing = true;
      const sequencers = Array.from({ length: 4 }, async () => {
        while (writing) await sequence(pool);
      });
      await Promise.all(
        runs.map(async (run) => {
          for (let at = 0; at < 10; at += 1)
            await withTransaction(pool, (tx) => appendRun(tx, scope(run), [fact(String(at))]));
        }),
      );
      writing = false;
      await Promise.all(sequencers);
      assert.equal(await sequence(pool), 200);
      const { rows } = await pool.query<{ index: number; chain: string; runseq: number }>(
        'select l.index, r.chain, r.runseq from audit_log l join audit_record r using (seq) order by l.index',
      );
      assert.deepEqual(
        rows.map((row) => row.index),
        Array.from({ length: 200 }, (_, at) => at),
      );
      for (const run of runs) {
        assert.deepEqual(
          rows.filter((row) => row.chain === run).map((row) => row.runseq),
          Array.from({ length: 10 }, (_, at) => at),
        );
      }
    });
  });

  test('growth is announced with the new size', async () => {
    await withDatabase(async ({ pool, url }) => {
      const listener = await new Promise<{ payload: string; close(): Promise<void> }>((resolve, reject) => {
        const opened = listen(
          url,
          ['countersign_feed'],
          (_channel, payload) =>
            void opened.then((listener) => resolve({ payload, close: () => listener.close() })),
        );
        opened
          .then(() => withTransaction(pool, (tx) => appendRun(tx, scope('run_a'), [fact('a'), fact('b')])))
          .then(() => sequence(pool))
          .catch(reject);
      });
      assert.equal(listener.payload, '2');
      await listener.close();
    });
  });
});

describe('reading', () => {
  let database: Database;
  before(async () => {
    database = await makeDatabase();
    const policy = { rule: 'guard 0', verdict: 'fail', reason: 'too much' };
    await withTransaction(database.pool, (tx) =>
      appendRun(tx, scope('run_a'), [
        fact('1'),
        fact('2', { type: 'guard.evaluated', policy, data: { index: 0 } }),
      ]),
    );
    await withTransaction(database.pool, (tx) =>
      appendRun(tx, scope('run_b'), [
        fact('1', { actor: { kind: 'human', id: 'o\0o' }, time: '2026-11-22T00:00:00.000Z' }),
      ]),
    );
    const chain = makeServiceChain({ pool: database.pool, kind: 'api' });
    await chain.append([{ ...fact('late', { type: 'message.refused' }), about: 'run_a' }]);
    await chain.append([{ ...fact('call', { type: 'api.called' }), about: 'run_a' }]);
  });
  after(() => database.drop());

  async function types(filter: Partial<Parameters<typeof readRecords>[1]>): Promise<string[]> {
    const { items } = await readRecords(database.pool, { limit: 50, ...filter });
    return items.map(
      (record) => `${record.run === '' ? `about ${record.about}` : record.run} ${record.type}`,
    );
  }

  test('a run’s list holds its own chain and, when asked, the service’s records about it', async () => {
    assert.deepEqual(await types({ run: 'run_a' }), ['run_a transition.requested', 'run_a guard.evaluated']);
    assert.deepEqual(await types({ run: 'run_a', includeAbout: true, notType: ['api.called'] }), [
      'run_a transition.requested',
      'run_a guard.evaluated',
      'about run_a message.refused',
    ]);
    assert.deepEqual(await types({ run: 'run_a', includeAbout: true, type: ['api.called'] }), [
      'about run_a api.called',
    ]);
  });

  test('filters by verdict, time and actor; a NUL finds nothing that it should not', async () => {
    assert.deepEqual(await types({ verdict: 'fail' }), ['run_a guard.evaluated']);
    assert.deepEqual(await types({ from: '2026-11-21T12:00:00.000Z' }), ['run_b transition.requested']);
    assert.deepEqual(await types({ actor: 'o\0o' }), ['run_b transition.requested']);
    assert.deepEqual(await types({ run: 'run_a\0' }), []);
  });

  test('pages by index, pinned to a size', async () => {
    const first = await readRecords(database.pool, { limit: 2 });
    assert.deepEqual([first.items.length, first.more], [2, true]);
    const second = await readRecords(database.pool, {
      limit: 50,
      afterIndex: first.items.at(-1)?.index ?? 0,
      asOfSize: first.asOfSize,
    });
    assert.deepEqual(
      [...first.items, ...second.items].map((record) => record.index),
      [0, 1, 2, 3, 4],
    );
    assert.equal(second.more, false);
    await withTransaction(database.pool, (tx) => appendRun(tx, scope('run_c'), [fact('1')]));
    assert.equal((await readRecords(database.pool, { limit: 50, asOfSize: first.asOfSize })).items.length, 5);
    assert.equal((await readRecords(database.pool, { limit: 50 })).items.length, 6);
  });

  test('an item says what its exact bytes say', async () => {
    const { items } = await readRecords(database.pool, { run: 'run_a', limit: 1, afterIndex: 0 });
    const [item] = items;
    const bytes = await readEntry(database.pool, item?.index ?? -1);
    assert.ok(item !== undefined && bytes !== null);
    const body = JSON.parse(bytes.toString('utf8')) as { id: string; prev: string };
    assert.deepEqual(
      [
        item.chain,
        item.runSeq,
        item.id,
        item.prev,
        item.policy,
        item.permission,
        item.approval,
        item.attempt,
      ],
      [
        'run',
        1,
        body.id,
        body.prev,
        { rule: 'guard 0', verdict: 'fail', reason: 'too much' },
        null,
        null,
        null,
      ],
    );
    assert.equal(await readEntry(database.pool, 999), null);
  });
});

describe('payloads', () => {
  const payloads = makePayloads({ kek: Buffer.alloc(32, 7) });
  let database: Database;
  before(async () => {
    database = await makeDatabase();
  });
  after(() => database.drop());

  test('what was put is read again, by another process too, and is not there in plain', async () => {
    const ref = await payloads.put(database.pool, 'run_a', 'prompt', 'text/plain', 'pay Müller 60,000');
    const other = makePayloads({ kek: Buffer.alloc(32, 7) });
    assert.equal((await other.get(database.pool, ref))?.toString('utf8'), 'pay Müller 60,000');
    const { rows } = await database.pool.query<{ ciphertext: Buffer }>(
      'select ciphertext from payload where id = $1',
      [ref.payload],
    );
    assert.equal(rows[0]?.ciphertext.includes('Müller'), false);
  });

  test('two processes that put for one run at once agree on its key', async () => {
    const put = (): Promise<unknown> =>
      makePayloads({ kek: Buffer.alloc(32, 7) }).put(database.pool, 'run_race', 'args', 'text/plain', 'x');
    await Promise.all(Array.from({ length: 10 }, put));
    assert.equal((await database.pool.query(`select 1 from payload_key where run = 'run_race'`)).rowCount, 1);
  });

  test('so do two transactions, and what each of them put is read again', async () => {
    const put = (): Promise<PayloadRef> =>
      withTransaction(database.pool, (tx) =>
        makePayloads({ kek: Buffer.alloc(32, 7) }).put(tx, 'run_both', 'args', 'text/plain', 'x'),
      );
    const refs = await Promise.all(Array.from({ length: 10 }, put));
    for (const ref of refs) assert.equal((await payloads.get(database.pool, ref))?.toString(), 'x');
  });

  test('a key that was rolled back is not used afterwards, though it was read in between', async () => {
    await assert.rejects(
      withTransaction(database.pool, async (tx) => {
        const ref = await payloads.put(tx, 'run_back', 'args', 'text/plain', 'gone');
        assert.equal((await payloads.get(tx, ref))?.toString(), 'gone');
        throw new Error('rolled back');
      }),
      /rolled back/,
    );
    const ref = await payloads.put(database.pool, 'run_back', 'args', 'text/plain', 'kept');
    assert.equal(
      (await makePayloads({ kek: Buffer.alloc(32, 7) }).get(database.pool, ref))?.toString(),
      'kept',
    );
  });

  test('erasing a run’s key erases its payloads and nothing else, and nothing is added afterwards', async () => {
    const ref = await payloads.put(database.pool, 'run_erased', 'args', 'text/plain', 'secret');
    const kept = await payloads.put(database.pool, 'run_kept', 'args', 'text/plain', 'kept');
    await database.pool.query(`update payload_key set wrapped = null where run = 'run_erased'`);
    assert.equal(await payloads.get(database.pool, ref), null);
    assert.equal((await payloads.get(database.pool, kept))?.toString(), 'kept');
    await assert.rejects(
      payloads.put(database.pool, 'run_erased', 'args', 'text/plain', 'more'),
      /were erased/,
    );
  });

  test('bytes that were changed, moved, or are not those of the record are refused', async () => {
    const ref = await payloads.put(database.pool, 'run_b', 'args', 'text/plain', 'one');
    const two = await payloads.put(database.pool, 'run_b', 'args', 'text/plain', 'two');
    await assert.rejects(
      payloads.get(database.pool, { ...ref, commit: two.commit }),
      /not what the record committed to/,
    );
    await database.asSuperuser(
      `set session_replication_role = replica; alter table payload disable trigger user; update payload set ciphertext = (select ciphertext from payload where id = '${two.payload}') where id = '${ref.payload}'`,
    );
    await assert.rejects(payloads.get(database.pool, ref));
  });
});
