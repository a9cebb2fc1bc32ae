import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judgeRun, type FoundRun, type DecisionPlan, type Told } from '../../drill/judge.js';

describe('the kill drill', () => {
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
  const told = (status: number, code: string | null): Told => ({
    ...{ run: 'run_1', by: 'ann', reply: { status, code, body: null } },
  });
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
    it(`finds ${name}`, () =>
      assert.deepEqual(judgeRun(asked, { ...good, ...change }, [told(200, null)]), faults));

  it('finds who was told a refusal, or nothing, of a decision that counted', () => {
    const faultsOf = (reply: Told): unknown => judgeRun(plan, good, [reply]);
    assert.deepEqual(faultsOf(told(202, null)), []);
    assert.deepEqual(faultsOf(told(409, 'APPROVAL_REVOKED')), ['refusedAndApplied']);
    assert.deepEqual(faultsOf({ ...told(409, 'ALREADY_DECIDED'), by: 'bob' }), []);
    for (const status of [0, 503]) assert.deepEqual(faultsOf(told(status, null)), ['neverAnswered']);
  });
});
