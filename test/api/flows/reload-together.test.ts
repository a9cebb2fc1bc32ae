import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { makePolicies, type Policies } from '../../../src/service/flows/policies.js';
import { makeServiceChain } from '../../../src/audit/index.js';
import { withTransaction, type Tx } from '../../../src/db/index.js';
import { newId } from '../../../src/model/names/ids.js';
import { makeDatabase, type Database } from '../../../testing/servers/database.js';
import { until } from '../../../testing/until.js';

// Two processes load policies at the same instant: each compares them with those in force when its own come into force.

describe('two that load policies at once', () => {
  let database: Database;
  const folders: string[] = [];
  /** Runs after `slow` has compared its folder with the policies in force, and before it stores its own for the first time. */
  let beforeStoring: () => Promise<void> = () => Promise.resolve();
  /** Runs after `slow` has read and compared its folder for the first time, and before it locks the policies. */
  let beforeLocking: () => Promise<void> = () => Promise.resolve();
  let slow: Policies;
  let quick: Policies;
  before(async () => {
    database = await makeDatabase();
    const chain = makeServiceChain({ pool: database.pool, kind: 'api' });
    const make = (transaction: <T>(fn: (tx: Tx) => Promise<T>) => Promise<T>): Policies => {
      const folder = mkdtempSync(join(tmpdir(), 'countersign-together-'));
      folders.push(folder);
      return makePolicies({ pool: database.pool, transaction, chain, folder, now: () => new Date() });
    };
    slow = make((fn) =>
      withTransaction(database.pool, async (tx) => {
        const query = tx.query.bind(tx) as (...given: unknown[]) => Promise<unknown>;
        const waiting = async (...given: unknown[]): Promise<unknown> => {
          if (String(given[0]).startsWith('insert into policy_set')) await beforeStoring();
          if (String(given[0]).includes('pg_advisory_xact_lock') && String(given[1]) === 'policies')
            await beforeLocking();
          return query(...given);
        };
        Object.assign(tx, { query: waiting });
        try {
          return await fn(tx);
        } finally {
          Object.assign(tx, { query });
        }
      }),
    );
    quick = make((fn) => withTransaction(database.pool, fn));
  });
  after(async () => {
    await database.drop();
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  const write = (which: 0 | 1, hours: number, floor: string): void =>
    writeFileSync(
      join(folders[which] ?? '', 'environments.yaml'),
      `environments: { dev: { gateTimeout: ${hours}h${floor} } }\n`,
    );
  const floor = ', gates: [{ tiers: [irreversible], roles: [cfo] }]';
  const by = { kind: 'human', id: 'admin' } as const;
  const load = (policies: Policies, how: 'reload' | 'start') =>
    how === 'start'
      ? policies.start(by, newId('trc'))
      : policies.reload(by, newId('trc'), [], () => Promise.resolve());
  const floorsInForce = async (): Promise<number | undefined> =>
    (await quick.policySet())?.environments[0]?.floors?.length ?? 0;

  for (const how of ['reload', 'start'] as const)
    it(`take no floor away that nobody has confirmed: ${how}`, async () => {
      write(0, how === 'reload' ? 70 : 69, '');
      assert.equal((await slow.start({ kind: 'human', id: 'admin' }, newId('trc'))).status, 'loaded');
      write(0, 60, '');
      write(1, 50, floor);
      let other: Promise<unknown> = Promise.resolve();
      beforeStoring = async () => {
        beforeStoring = () => Promise.resolve();
        let isOver = false;
        other = load(quick, 'reload').finally(() => (isOver = true));
        await until(
          'the other has loaded, or waits for this one',
          async () => {
            const { rows } = await database.asSuperuser(
              `select 1 from pg_locks l join pg_database d on d.oid = l.database
              where not l.granted and l.locktype = 'advisory' and d.datname = current_database()`,
            );
            return isOver || rows.length > 0 || null;
          },
          15_000,
        );
      };
      const result = await load(slow, how);
      assert.equal(result.status, 'loaded');
      assert.deepEqual('removed' in result ? result.removed : null, []);
      assert.equal(((await other) as { status: string }).status, 'loaded');
      assert.equal(await floorsInForce(), 1);
      const again = await load(slow, 'reload');
      assert.equal(again.status, 'unconfirmed');
    });

  it('take no floor away that has come into force since the folder was read', async () => {
    write(0, 40, '');
    assert.equal((await load(slow, 'start')).status, 'loaded');
    write(0, 30, '');
    write(1, 20, floor);
    beforeLocking = async () => {
      beforeLocking = () => Promise.resolve();
      assert.equal((await load(quick, 'reload')).status, 'loaded');
    };
    assert.equal((await load(slow, 'reload')).status, 'unconfirmed');
    assert.equal(await floorsInForce(), 1);
  });
});
