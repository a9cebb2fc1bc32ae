import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Pool } from '../../src/db/index.js';
import { approvalsQuery } from '../../src/model/contract/api.js';
import { listInbox } from '../../src/service/inbox/inbox.js';
import { startRun } from '../../src/service/runs/start.js';
import { fillStore } from '../../testing/many-rows.js';
import { callerOf, makeGround, taken, type Ground } from './callers.js';

/** Approvals older than all others, requested by the reader itself. */
const own = 1_500;

describe('an inbox most of which its reader has asked for', () => {
  let ground: Ground;
  const theirs: string[] = [];
  before(async () => {
    ground = await makeGround();
    const original = await park('finance');
    for (let n = 0; n < 5; n += 1) theirs.push((await park('agent')).approval);
    const sizes = { runs: own, approvals: own, closedApprovals: 0, records: 0 };
    await fillStore(ground.database.asSuperuser, original, sizes);
  });
  after(() => ground.stop());

  async function park(name: string, currency = 'EUR'): Promise<{ run: string; approval: string }> {
    const submit = { transition: 'bank.pay', arguments: { amount: 150, currency } };
    const started = taken(await startRun(await callerOf(ground, name), 'pay', { submit }, 20));
    assert.ok(started.kind === 'pending');
    return { run: started.body.run.id, approval: String(started.approval['id']) };
  }

  /** For each reading of a list, how many rows it brought. */
  function noteReadings(pool: Pool): { pool: Pool; readings: number[] } {
    const readings: number[] = [];
    const ask = pool.query.bind(pool) as (...args: unknown[]) => Promise<{ rows: unknown[] }>;
    const query = async (text: string, values: unknown): Promise<unknown> => {
      const result = await ask(text, values);
      if (/page\.place <=/.test(text)) readings.push(result.rows.length);
      return result;
    };
    const noted = new Proxy(pool, {
      get: (target, name) => (name === 'query' ? query : (Reflect.get(target, name, target) as unknown)),
    });
    return { pool: noted, readings };
  }

  it('reads a thousand rows for a page at most, and goes on behind them: none is lost, and none comes twice', async () => {
    const caller = await callerOf(ground, 'finance');
    const pages: { found: number; readings: number; rows: number }[] = [];
    const found: string[] = [];
    let cursor: string | null = null;
    do {
      const { pool, readings } = noteReadings(ground.database.pool);
      const after: object = cursor === null ? {} : { cursor };
      const asked = { mine: 'true', order: 'age', limit: '2', ...after };
      const page = taken(
        await listInbox({ ...caller, deps: { ...caller.deps, pool } }, approvalsQuery.parse(asked)),
      );
      found.push(...page.data.map(({ id }) => id));
      const rows = readings.reduce((sum, rows) => sum + rows, 0);
      pages.push({ found: page.data.length, readings: readings.length, rows });
      cursor = page.nextCursor;
    } while (cursor !== null && pages.length < 20);
    assert.deepEqual(found, theirs);
    // Three of four approvals are its own requests that go to its role. Dropped items are read again for the next page.
    assert.deepEqual(pages, [
      { found: 0, readings: 20, rows: 1_000 },
      { found: 2, readings: 3, rows: (own * 3) / 4 + 1 + theirs.length - 1_000 },
      { found: 2, readings: 1, rows: 3 },
      { found: 1, readings: 1, rows: 1 },
    ]);
  });

  it('reads no further for a page once what it has found is as much as an answer holds', async () => {
    for (let n = 0; n < 6; n += 1) await park('agent', 'x'.repeat(900_000));
    const caller = await callerOf(ground, 'finance');
    const { pool, readings } = noteReadings(ground.database.pool);
    const asked = approvalsQuery.parse({ requestedBy: 'agent', order: 'age', limit: '50' });
    const page = taken(await listInbox({ ...caller, deps: { ...caller.deps, pool } }, asked));
    assert.deepEqual([page.data.length, readings], [theirs.length + 4, [theirs.length + 6]]);
    assert.notEqual(page.nextCursor, null);
  });
});
