import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Principal } from '../../src/model/principal.js';
import { listApprovals } from '../../src/store/approvals/inbox.js';
import { insertDecision } from '../../src/store/approvals/decisions.js';
import { getVisibleRun, listRuns } from '../../src/store/runs/runs.js';
import { filterVisible, viewerOf } from '../../src/store/runs/visibility.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { putApproval, putRun } from './rows.js';

function principal(id: string, change: Partial<Principal> = {}): Principal {
  return { id, kind: 'human', roles: [], permissions: [], ...change };
}

describe('who sees what', () => {
  let database: Database;
  before(async () => {
    database = await makeDatabase();
    const { pool } = database;
    await putRun(pool, 'run_own', { startedBy: 'employee' });
    await putRun(pool, 'run_finance', { startedBy: 'agent' });
    await putApproval(pool, 'run_finance', 'apr_finance', { roles: ['finance.controller'] });
    await putRun(pool, 'run_closed', { startedBy: 'agent' });
    await putApproval(pool, 'run_closed', 'apr_closed', { roles: ['finance.controller'], status: 'denied' });
    await putRun(pool, 'run_norole', { startedBy: 'agent' });
    await putApproval(pool, 'run_norole', 'apr_norole');
    await decided('dec_1', 'run_norole', 'apr_norole', 'decider', 'applied');
    await decided('dec_2', 'run_own', 'apr_finance', 'chancer', 'refused');
  });
  after(() => database.drop());

  async function decided(
    id: string,
    run: string,
    approval: string,
    byId: string,
    status: 'applied' | 'refused',
  ): Promise<void> {
    const act = {
      id,
      run,
      approval,
      byId,
      byKind: 'human',
      decision: 'approve',
      reasonRef: null,
      digest: 'sha256:d',
      at: '2026-11-21T08:00:00.000Z',
    } as const;
    await insertDecision(database.pool, { ...act, status, code: null });
  }

  async function sees(who: Principal): Promise<string[]> {
    const viewer = viewerOf(who);
    const list = await listRuns(database.pool, { viewer, limit: 50, cursor: null });
    const listed = (list?.items ?? []).map((run) => run.id).sort();
    const all = ['run_closed', 'run_finance', 'run_norole', 'run_own'];
    const got = await Promise.all(all.map((id) => getVisibleRun(database.pool, id, viewer)));
    assert.deepEqual(
      got.flatMap((run) => run?.id ?? []),
      listed,
      'list and get agree',
    );
    return listed;
  }

  test('who started it', async () => assert.deepEqual(await sees(principal('employee')), ['run_own']));
  test('nobody else', async () => assert.deepEqual(await sees(principal('stranger')), []));
  for (const permission of ['run.read', 'audit.read']) {
    test(`a holder of ${permission} sees all`, async () => {
      assert.equal((await sees(principal('auditor', { permissions: [permission] }))).length, 4);
    });
  }
  test('whose role lets them decide one of its approvals, open or closed', async () => {
    assert.deepEqual(await sees(principal('finance', { roles: ['finance.controller'] })), [
      'run_closed',
      'run_finance',
    ]);
  });
  test('not an agent with that role, which decides nothing', async () => {
    assert.deepEqual(
      await sees(
        principal('bot', { kind: 'agent', roles: ['finance.controller'], permissions: ['approval.decide'] }),
      ),
      [],
    );
  });
  test('holders of approval.decide, where an approval names no role', async () => {
    assert.deepEqual(await sees(principal('manager', { permissions: ['approval.decide'] })), ['run_norole']);
  });
  test('who has decided, though the role is gone; not who was refused', async () => {
    assert.deepEqual(await sees(principal('decider')), ['run_norole']);
    assert.deepEqual(await sees(principal('chancer')), []);
  });

  test('approvals: what the viewer sees, and with mine what it may decide now and has not', async () => {
    const list = async (who: Principal, mine: boolean): Promise<string[]> =>
      (
        (await listApprovals(database.pool, { viewer: viewerOf(who), mine, limit: 50, cursor: null }))
          ?.items ?? []
      )
        .map((approval) => approval.id)
        .sort();
    const finance = principal('finance', { roles: ['finance.controller'] });
    assert.deepEqual(await list(finance, false), ['apr_closed', 'apr_finance']);
    assert.deepEqual(await list(finance, true), ['apr_finance']);
    const decides = { permissions: ['approval.decide', 'run.read'] };
    assert.deepEqual(await list(principal('manager', decides), true), ['apr_norole']);
    assert.deepEqual(await list(principal('decider', decides), true), []);
  });

  test('pages meet without a gap and without a double; a cursor of somebody else’s making is told apart', async () => {
    const viewer = viewerOf(principal('auditor', { permissions: ['run.read'] }));
    const seen: string[] = [];
    for (let cursor: string | null = null; ;) {
      const page = await listRuns(database.pool, { viewer, limit: 1, cursor });
      seen.push(...(page?.items ?? []).map((run) => run.id));
      cursor = page?.nextCursor ?? null;
      if (cursor === null) break;
    }
    assert.deepEqual(seen, ['run_own', 'run_norole', 'run_finance', 'run_closed']);
    const forged = [
      '',
      'x',
      '!!',
      ...[
        ['never', 'a'],
        [1, 2],
        ['2026-11-21T08:00:00.000Z', 'a\0b'],
        ['2026-99-21T08:00:00.000Z', 'a'],
        {},
      ].map((value) => Buffer.from(JSON.stringify(value)).toString('base64url')),
    ];
    for (const cursor of forged) {
      assert.equal(await listRuns(database.pool, { viewer, limit: 1, cursor }), null);
      assert.equal(await listApprovals(database.pool, { viewer, limit: 1, cursor }), null);
    }
  });

  test('an id or a filter with a NUL in it is nobody’s', async () => {
    const viewer = viewerOf(principal('au\0ditor', { permissions: ['run.read'] }));
    assert.equal(await getVisibleRun(database.pool, 'run_own\0', viewer), null);
    assert.deepEqual(
      (await listRuns(database.pool, { viewer, flow: 'expense\0', limit: 1, cursor: null }))?.items,
      [],
    );
  });

  test('every way of asking agrees, whoever looks', async () => {
    const { pool } = database;
    await putRun(pool, 'run_mixed', { startedBy: 'decider' });
    await putApproval(pool, 'run_mixed', 'apr_mixed_1', { roles: ['legal', 'finance.controller'] });
    await putApproval(pool, 'run_mixed', 'apr_mixed_2', { status: 'consumed' });
    await putRun(pool, 'run_alone', { startedBy: 'finance' });
    const runs = ['run_alone', 'run_closed', 'run_finance', 'run_mixed', 'run_norole', 'run_own'];
    const counts = new Set<number>();
    for (const id of ['employee', 'decider', 'chancer', 'finance', 'stranger', 'fin\0ance'])
      for (const kind of ['human', 'agent', 'system'] as const)
        for (const roles of [[], ['finance.controller'], ['legal', 'other'], ['']])
          for (const permissions of [
            [],
            ['approval.decide'],
            ['run.read'],
            ['audit.read', 'approval.decide'],
          ]) {
            const viewer = viewerOf(principal(id, { kind, roles, permissions }));
            const [list, inbox, seen, ...got] = await Promise.all([
              listRuns(pool, { viewer, limit: 50, cursor: null }),
              listApprovals(pool, { viewer, limit: 50, cursor: null }),
              filterVisible(pool, viewer, runs),
              ...runs.map((run) => getVisibleRun(pool, run, viewer)),
            ]);
            const visible = got.flatMap((run) => run?.id ?? []);
            const who = JSON.stringify({ id, kind, roles, permissions });
            assert.deepEqual([...seen].sort(), visible, who);
            assert.deepEqual((list?.items ?? []).map((run) => run.id).sort(), visible, who);
            const asked = new Set((inbox?.items ?? []).map(({ run }) => run));
            assert.deepEqual(
              [...asked].sort(),
              visible.filter((run) => run !== 'run_alone' && run !== 'run_own'),
              who,
            );
            counts.add(visible.length);
          }
    assert.deepEqual([...counts].sort(), [0, 1, 2, 3, 4, 5, 6]);
  });
});
