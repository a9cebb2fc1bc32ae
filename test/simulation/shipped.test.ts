import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadFolder } from '../../src/policy/index.js';
import type { ExpectShape } from '../../src/policy/shape/tests.js';
import { parseText } from '../../src/policy/text/source.js';
import { readCases, runCase, type Case } from '../../src/simulation/index.js';
import { draw } from '../../testing/samples.js';
import { countersign, makeFolder, policies, type Folder } from './world.js';

// The cases beside the shipped policies: they pass, each of their expectations can fail, and a policy that lost a
// rule fails at least one of them.

async function shippedCases(root = policies): Promise<{ cases: Case[]; failed: () => string[] }> {
  const loaded = await loadFolder(root);
  assert.equal(loaded.status, 'loaded', JSON.stringify(loaded.status === 'invalid' ? loaded.errors : ''));
  assert.ok(loaded.status === 'loaded');
  const cases = readdirSync(join(root, 'tests')).flatMap((name) => {
    const parsed = parseText(readFileSync(join(root, 'tests', name), 'utf8'), name);
    assert.ok(parsed.status === 'parsed');
    const read = readCases(parsed.source, loaded);
    assert.ok(read.status === 'read', JSON.stringify(read));
    return read.cases;
  });
  return {
    cases,
    failed: () =>
      cases
        .filter((testCase) => runCase(testCase, loaded.policySet).status === 'failed')
        .map((testCase) => testCase.name),
  };
}

describe('the shipped cases', () => {
  it('pass, and leave no transition of either flow untried', async () => {
    const ran = await countersign(['test']);
    assert.equal(ran.code, 0, `${ran.out}\n${ran.err}`);
    assert.match(ran.out, /\n(\d{2,}) passed, 0 failed$/);
    assert.doesNotMatch(ran.out, /FAILED|not tried/);
    const json = JSON.parse((await countersign(['test', policies, '--json'])).out);
    assert.deepEqual([json.failed, json.invalid, json.untested], [0, [], []]);
    assert.deepEqual(new Set(json.cases.map((testCase: { flow: string }) => testCase.flow)), new Set(flows));
  });

  it('say the same every time', async () => {
    const [once, again] = [await countersign(['test', '--json']), await countersign(['test', '--json'])];
    assert.equal(once.out, again.out);
  });

  it('fail one by one when any one of their expectations is another', async () => {
    const loaded = await loadFolder(policies);
    assert.ok(loaded.status === 'loaded');
    let tried = 0;
    for (const testCase of (await shippedCases()).cases) {
      for (const [index, step] of testCase.steps.entries()) {
        for (const [key, wrong] of wrongs(step.expect?.shape ?? {})) {
          const expect = { ...step.expect!, shape: { ...step.expect!.shape, ...wrong } };
          const steps = testCase.steps.map((each, at) => (at === index ? { ...each, expect } : each));
          const { failure } = runCase({ ...testCase, steps }, loaded.policySet);
          assert.equal(failure?.step, step.title, `${testCase.name}: another ${key} passes`);
          assert.ok(failure.mismatches.some(({ what }) => what.split('.')[0] === key));
          tried += 1;
        }
      }
    }
    assert.ok(tried > 250, `only ${tried} expectations`);
  });
});

const flows = ['expense_approval', 'vendor-invoice-reconciliation'];

/** For each expectation, another one that must fail. */
function wrongs(shape: ExpectShape): [string, ExpectShape][] {
  const other: { [K in keyof ExpectShape]-?: ExpectShape[K] } = {
    verdict: shape.verdict === 'executed' ? 'pending' : 'executed',
    code: shape.code === 'RUN_BUSY' ? 'RUN_STUCK' : 'RUN_BUSY',
    guard: 17,
    rule: shape.rule === 'denied' ? 'undeclared' : 'denied',
    why: shape.why === 'requester' ? 'not_human' : 'requester',
    class: shape.class === 'auth' ? 'timeout' : 'auth',
    message: 'nobody would say this',
    errors: ['/arguments/nothing'],
    state: 'elsewhere',
    status: shape.status === 'cancelled' ? 'stuck' : 'cancelled',
    version: 99,
    context: { policyOk: 'other' },
    problem: shape.problem === 'STATE_TOO_LARGE' ? null : 'STATE_TOO_LARGE',
    evidence: { unheard_of: 1 },
    executing: 'something else',
    chain: ['nothing'],
    approval: { quorum: 99 },
    records: ['timeout.fired'],
    someRecords: ['timeout.fired'],
    noRecords: ['transition.requested', 'policy.blocked', 'human.approval.requested', 'approval.decided'],
    links: { human: ['nothing'] },
  };
  const keys = Object.keys(shape).filter((key) => key !== 'noRecords') as (keyof ExpectShape)[];
  return keys.map((key) => [key, { [key]: other[key] }]);
}

/** One rule taken from a shipped policy: text before, text after. */
const lost: readonly (readonly [what: string, file: string, from: RegExp, to: string])[] = [
  ['a human is asked', expense('approve:'), /actor: human/, 'actor: agent'],
  ['a human rejects', expense('reject:'), /actor: human/, 'actor: agent'],
  ['a human forwards', expense('approve_to_finance:'), /actor: human/, 'actor: agent'],
  ['finance is human', expense('finance_approve:'), /actor: human/, 'actor: agent'],
  ['finance rejects as human', expense('finance_reject:'), /actor: human/, 'actor: agent'],
  ['the manager’s permission', expense('approve:'), /expense.approve.manager/, 'run.start'],
  ['the permission to forward', expense('approve_to_finance:'), /expense.approve.manager/, 'run.start'],
  ['the permission to reject', expense('reject:'), /expense.approve.manager/, 'run.start'],
  ['finance’s permission', expense('finance_approve:'), /expense.approve.finance/, 'expense.approve.manager'],
  ['finance’s to reject', expense('finance_reject:'), /expense.approve.finance/, 'expense.approve.manager'],
  ['finance joins in', expense('approve:'), /requiresFinance == false/, 'requiresFinance != null'],
  [
    'finance joins in only then',
    expense('approve_to_finance:'),
    /requiresFinance == true/,
    'requiresFinance != 7',
  ],
  ['the policy is kept', expense('to_manager:'), /policyOk == true/, 'policyOk != 7'],
  ['only violations are rejected', expense('policy_reject:'), /policyOk == false/, 'policyOk != 7'],
  ['links are filtered', expense('submitted:'), /linkFilter: byGuards/, 'linkFilter: all'],
  ['the amount is no debt', expense('workflows:'), /, minimum: 0/, ''],
  ['the amount is a number', expense('workflows:'), /type: number, minimum: 0/, 'type: [number, string]'],
  ['the amount is asked for', expense('workflows:'), /required: \[employee, amount/, 'required: [employee'],
  ['the end of a rejection', expense('reject:'), /target: rejected/, 'target: paid'],
  ['the way to the money', expense('finance_approve:'), /target: reimbursement/, 'target: paid'],
  ['the limit', 'flows/vendor-invoice-reconciliation.json', /50000/, '500000'],
  ['the limit, by a cent', 'flows/vendor-invoice-reconciliation.json', /> 50000/, '>= 50000'],
  ['the approver’s role', 'flows/vendor-invoice-reconciliation.json', /finance.controller/, 'sales.manager'],
  [
    'the deny list',
    'flows/vendor-invoice-reconciliation.json',
    /"execute": \["erp.payment.draft"\],\s*"deny": +\["erp.payment.release"\]/,
    '"execute": ["erp.payment.draft", "erp.payment.release"], "deny": []',
  ],
  [
    'the deny list is a deny',
    'flows/vendor-invoice-reconciliation.json',
    /"erp.payment.release"/,
    '"erp.other"',
  ],
  ['the amount has a floor', 'tools/erp.yaml', /exclusiveMinimum: 0/, 'minimum: 0'],
  ['nothing else is sent', 'tools/erp.yaml', /additionalProperties: false/, 'additionalProperties: true'],
  ['the arguments are asked for', 'tools/erp.yaml', /required: \[vendor, amount\]/, 'required: [vendor]'],
];

/** Tests in the expense flow from that line on: `file#line`. */
function expense(from: string): string {
  return `flows/expense_approval.yaml#${from}`;
}

describe('a shipped policy that lost a rule fails a shipped case', () => {
  let folder: Folder;
  before(() => void (folder = makeFolder({ shipped: true })));
  after(() => folder.remove());

  for (const [what, place, from, to] of draw(lost, 8))
    it(`${what}: ${from.source} -> ${to === '' ? 'nothing' : to}`, async () => {
      const [file = '', line] = place.split('#');
      const text = folder.read(file);
      const start = line === undefined ? 0 : text.search(new RegExp(`^ *${line}`, 'm'));
      const changed = text.slice(0, start) + text.slice(start).replace(from, to);
      assert.notEqual(changed, text, 'there is no such rule');
      folder.write(file, changed);
      try {
        const { failed } = await shippedCases(folder.root);
        assert.notDeepEqual(failed(), []);
      } finally {
        folder.write(file, text);
      }
    });
});
