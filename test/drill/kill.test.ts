import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { judgeRun, type FoundRun, type DecisionPlan } from '../../drill/judge.js';
import { renderKillTable, type KillReport } from '../../drill/table.js';
import { projectRoot } from '../../testing/paths.js';

describe('the kill drill', () => {
  it('loses nothing, runs nothing unapproved and nothing twice, whatever is killed and deployed', async () => {
    const script = ['--import', 'tsx', join('drill', 'kill.ts'), '--parked', '6'];
    const { stdout } = await promisify(execFile)(process.execPath, script, { cwd: projectRoot });
    const report = JSON.parse(stdout) as Record<string, any>;
    const zero = { lost: 0, executedWithoutApproval: 0, twice: 0, chainBroken: 0, notEnded: 0 };
    for (const [fault, count] of Object.entries(zero)) assert.equal(report[fault], count, stdout);
    assert.deepEqual(
      {
        ok: report['ok'],
        parked: report['parked'],
        approved: report['approved'],
        effects: report['effects'],
      },
      { ok: true, parked: 6, approved: 5, effects: 5 },
    );
    const outages = [
      'kill -9 of the worker',
      'kill -9 of the API',
      'a new build deployed',
      'kill -9 of Temporal',
      'kill -9 of Postgres',
    ];
    const stood = report['whileAllWait'] as { name: string; waiting: number }[];
    const struck = report['whilePeopleDecide'] as { name: string; decisions: number }[];
    assert.deepEqual(
      stood.map(({ name, waiting }) => [name, waiting]),
      outages.map((name) => [name, 6]),
    );
    assert.equal(report['effectsBeforeAnyDecision'], 0);
    assert.deepEqual(
      struck.map((one) => one.name),
      outages,
    );
    assert.equal(new Set(Object.values(report['builds'])).size, 3);
    const underWay = [
      'cancel under way, then kill -9 of the worker',
      'deadline under way, then kill -9 of the worker',
      '30 messages under way, the worker stopped and continued',
    ];
    assert.deepEqual(
      (report['underWay'] as { name: string; faults: string[] }[]).map(({ name, faults }) => [name, faults]),
      underWay.map((name) => [name, []]),
    );
    const shown = renderKillTable(report as unknown as KillReport);
    assert.match(shown, /executed exactly once \| 5 of 5 \|\n\| denied, and never executed \| 1 of 1 \|/);
    for (const name of outages) assert.equal(shown.split(`\n| ${name} |`).length, 3);
  });

  const plan: DecisionPlan = { run: 'run_1', approval: 'apr_1', decision: 'approve', people: 1 };
  const effect = { key: 'run_1:pay:x:0', run: 'run_1', requests: 1 };
  const record = (type: string, actor = 'runtime', decision: string | null = null) => ({
    ...{ type, actor, decision, at: 0 },
  });
  const good: FoundRun = {
    run: 'run_1',
    approvalStatus: 'consumed',
    actionStatus: 'executed',
    decisions: [{ by: 'ann', decision: 'approve', status: 'applied', code: null }],
    records: [
      record('approval.decided', 'ann', 'approve'),
      record('executor.started'),
      record('executor.succeeded'),
    ],
    others: [],
    effects: [effect],
    chainProblem: null,
  };
  const cases: readonly [string, DecisionPlan, Partial<FoundRun>, readonly string[]][] = [
    ['nothing in a run as it should be', plan, {}, []],
    ['a decision that was not applied', plan, { decisions: [] }, ['lost']],
    ['an approval without its effect', plan, { effects: [] }, ['lost']],
    ['an approval that stayed open', plan, { approvalStatus: 'open' }, ['notEnded']],
    ['two effects', plan, { effects: [effect, { ...effect, key: 'run_1:pay:x:1' }] }, ['twice']],
    [
      'an effect whose approval came after it',
      plan,
      { records: good.records.toReversed() },
      ['executedWithoutApproval'],
    ],
    ['one approval where two are needed', { ...plan, people: 2 }, {}, ['lost', 'executedWithoutApproval']],
    [
      'the same person twice where two are needed',
      { ...plan, people: 2 },
      {
        decisions: [...good.decisions, ...good.decisions],
        records: [record('approval.decided', 'ann', 'approve'), ...good.records],
      },
      ['executedWithoutApproval'],
    ],
    [
      'an effect of what was denied',
      { ...plan, decision: 'deny' },
      { actionStatus: 'denied', approvalStatus: 'denied' },
      ['executedWithoutApproval'],
    ],
    ['a chain that does not verify', plan, { chainProblem: 'record 2' }, ['chainBroken']],
  ];
  for (const [name, asked, change, faults] of cases)
    it(`finds ${name}`, () => assert.deepEqual(judgeRun(asked, { ...good, ...change }), faults));
});
