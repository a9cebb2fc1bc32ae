import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { mostAnswerBytes } from '../../src/model/limits.js';
import type { ApprovalRow } from '../../src/store/approvals/approvals.js';
import { listApprovals } from '../../src/store/approvals/inbox.js';
import { viewerOf } from '../../src/store/runs/visibility.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { putApproval, putRun } from './rows.js';

const viewer = viewerOf({ id: 'auditor', kind: 'human', roles: [], permissions: ['run.read'] });

describe('a list of approvals', () => {
  let database: Database;
  before(async () => {
    database = await makeDatabase();
    await putRun(database.pool, 'run_1');
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const doc = { summary: 'x'.repeat(1_000) } as unknown as ApprovalRow['doc'];
      const state = (id === 'd' ? { note: 'x'.repeat(3_000) } : null) as unknown as ApprovalRow['state'];
      await putApproval(database.pool, 'run_1', id, { doc, state });
    }
  });
  after(() => database.drop());

  async function pages(limit: number, mostBytes?: number, flow = 'expense_approval'): Promise<string[]> {
    const found: string[] = [];
    for (let cursor: string | null = null; ;) {
      const page = await listApprovals(database.pool, { viewer, flow, limit, cursor }, mostBytes);
      assert.ok(page !== null);
      found.push(page.items.map(({ id }) => id).join(''));
      cursor = page.nextCursor;
      if (cursor === null) return found;
    }
  }

  test('reads documents, and what rows have of those of runs, up to so many bytes at a time, and goes on behind them', async () => {
    assert.deepEqual(await pages(50, 1_000_000), ['abcdef']);
    assert.deepEqual(await pages(50, 3_500), ['abc', 'd', 'ef']);
    assert.deepEqual(await pages(50, 6_500), ['abc', 'def']);
    assert.deepEqual(await pages(2, 3_500), ['ab', 'c', 'd', 'ef']);
  });

  test('reads no more of them at a time than an answer holds', async () => {
    const doc = { summary: 'x'.repeat(0.4 * mostAnswerBytes) } as unknown as ApprovalRow['doc'];
    for (const id of ['x', 'y', 'z']) await putApproval(database.pool, 'run_1', id, { flow: 'large', doc });
    assert.deepEqual(await pages(50, undefined, 'large'), ['xy', 'z']);
  });

  test('reads one approval at least, however large it is', async () => {
    assert.deepEqual(await pages(50, 1), ['a', 'b', 'c', 'd', 'e', 'f']);
  });
});
