import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { withTransaction } from '../../src/db/index.js';
import { takeOverdueRuns } from '../../src/store/runs/overdue.js';
import {
  bell,
  makeGoverned,
  operator,
  starter,
  type Governed,
  type Handle,
} from '../fail-closed/support/governed.js';
import { projectRoot } from '../../testing/paths.js';

// When a run is looked after of which nobody asks anything: what its last step said, in a column of its own.

const policies = {
  'roles.yaml': 'roles: { finance.controller: { permissions: [] } }\n',
  'flows/f.yaml': `
workflows:
  f:
    owner: team
    initialState: a
    states:
      a:
        transitions:
          gated: { target: a, tier: reversible, gate: { roles: [finance.controller], timeout: { after: 1h, action: deny } }, executor: { kind: noop } }
          runs: { target: a, tier: reversible, executor: { kind: noop } }
      done: { terminal: true }
`,
};

let governed: Governed;
before(async () => {
  governed = await makeGoverned(policies);
});
after(() => governed.stop());

const checkAt = async (run: Handle): Promise<number | null> => {
  const { rows } = await governed.deps.pool.query<{ at: number | null }>(
    'select check_at as at from run where id = $1',
    [run.id],
  );
  return rows[0]?.at ?? null;
};
const taken = async (graceMs: number): Promise<readonly string[]> => {
  const runs = await withTransaction(governed.deps.pool, (tx) =>
    takeOverdueRuns(tx, { graceMs, againMs: 60_000, limit: 50 }),
  );
  return runs.map(({ id }) => id);
};

describe('a run is looked after', () => {
  it('at its next moment, at the end of its attempt, and never when nothing is due of it or it has ended', async () => {
    const run = await governed.start('f');
    assert.equal(await checkAt(run), null);
    await run.submit(starter, 'gated');
    assert.equal(await checkAt(run), run.state.approvals[0]?.timer);
    await run.submit(starter, 'runs');
    const end = (await checkAt(run)) ?? 0;
    assert.ok(end < (run.state.approvals[0]?.timer ?? 0) && end > Date.now(), String(end));
    await run.execute();
    assert.equal(await checkAt(run), run.state.approvals[0]?.timer);
    await run.take(bell(await run.ask(operator, { kind: 'cancel' })));
    assert.equal(await checkAt(run), null);
  });

  it('once over all who look, and again later', async () => {
    const run = await governed.start('f');
    await run.submit(starter, 'gated');
    assert.deepEqual(await taken(0), []);
    await governed.deps.pool.query('update run set check_at = 0 where id = $1', [run.id]);
    const [first = [], other = []] = await Promise.all([taken(1_000), taken(1_000)]);
    assert.deepEqual([...first, ...other], [run.id]);
    assert.ok(((await checkAt(run)) ?? 0) > Date.now());
    assert.deepEqual(await taken(0), []);
  });

  it('also where it is from before that column', async () => {
    const waits = await governed.start('f');
    await waits.submit(starter, 'gated');
    const runs = await governed.start('f');
    await runs.submit(starter, 'runs');
    const before = await checkAt(waits);
    const file = join(projectRoot, 'src/db/migrations/0013_lost_workflows.sql');
    const updates = readFileSync(file, 'utf8').match(/^update [^;]+;/gm) ?? [];
    assert.equal(updates.length, 2);
    await governed.deps.pool.query('update run set check_at = null');
    for (const update of updates) await governed.deps.pool.query(update);
    assert.equal(await checkAt(waits), before);
    assert.ok(((await checkAt(runs)) ?? Infinity) <= Date.now());
  });
});
