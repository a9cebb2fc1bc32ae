import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Plan, State, Transition } from '../../../src/engine/plan.js';
import type { RestExecutor } from '../../../src/executors/rest/types.js';
import { checkFlowText, type CompiledFlow, type LoadedFolder } from '../../../src/policy/index.js';
import { loadShipped, readShippedText } from '../documents.js';

// The two flows that the service ships are the examples of its seeds, as written there.

let folder: LoadedFolder;
before(async () => {
  folder = await loadShipped();
});

function flow(name: string): CompiledFlow {
  const found = folder.flows.find((entry) => entry.name === name);
  assert.ok(found, `no flow ${name}`);
  return found;
}

function state(plan: Plan, name: string): State {
  const found = plan.states.find((entry) => entry.name === name);
  assert.ok(found, `no state ${name}`);
  return found;
}

function transition(plan: Plan, from: string, name: string): Transition {
  const found = state(plan, from).transitions.find((entry) => entry.name === name);
  assert.ok(found, `no transition ${name}`);
  return found;
}

const guardsOf = (given: Transition): readonly string[] =>
  given.guards.map((guard) =>
    guard.kind === 'permission' ? guard.permission : guard.kind === 'expr' ? guard.expr.text : guard.kind,
  );

test('the folder holds exactly the two flows', () => {
  assert.deepEqual(
    folder.flows.map((entry) => [entry.name, entry.environment, entry.owner]),
    [
      ['expense_approval', 'dev', null],
      ['vendor-invoice-reconciliation', 'staging', 'team.finance-ops'],
    ],
  );
});

test('expense_approval: its states, transitions, actors and guards', () => {
  const { plan } = flow('expense_approval');
  assert.equal(plan.notation, 'states');
  assert.equal(plan.initialState, 'submitted');
  assert.deepEqual(plan.initialContext, { policyOk: null, requiresFinance: null });
  assert.equal(plan.charter, null);
  assert.deepEqual(plan.tags, ['expense', 'finance', 'governed']);
  const shape = plan.states.map((entry) => [
    entry.name,
    entry.terminal,
    entry.transitions.map((each) => [each.name, each.actor, each.target, guardsOf(each)]),
  ]);
  const manager = 'expense.approve.manager';
  const finance = 'expense.approve.finance';
  assert.deepEqual(shape, [
    [
      'submitted',
      false,
      [
        ['to_manager', 'agent', 'manager_review', ['$.context.policyOk == true']],
        ['policy_reject', 'agent', 'rejected', ['$.context.policyOk == false']],
      ],
    ],
    [
      'manager_review',
      false,
      [
        ['approve', 'human', 'reimbursement', [manager, '$.context.requiresFinance == false']],
        ['approve_to_finance', 'human', 'finance_review', [manager, '$.context.requiresFinance == true']],
        ['reject', 'human', 'rejected', [manager]],
      ],
    ],
    [
      'finance_review',
      false,
      [
        ['finance_approve', 'human', 'reimbursement', [finance]],
        ['finance_reject', 'human', 'rejected', [finance]],
      ],
    ],
    ['reimbursement', false, [['mark_paid', 'agent', 'paid', []]]],
    ['paid', true, []],
    ['rejected', true, []],
  ]);
  assert.ok(plan.states.every((entry) => entry.transitions.every((each) => each.gates.length === 0)));
  assert.equal(state(plan, 'submitted').linkFilter, 'byGuards');
});

test('expense_approval: the classifier is asked with the run’s input', () => {
  const { onEnter } = state(flow('expense_approval').plan, 'submitted');
  assert.deepEqual(onEnter?.executor, {
    kind: 'mcp',
    connection: 'classifier',
    tool: 'classify_expense',
    map: null,
    idempotencyKey: false,
  });
  assert.deepEqual(
    onEnter?.output.map(({ key, spec }) => [
      key,
      spec.kind === 'set' && spec.value.kind === 'path' ? spec.value.text : null,
    ]),
    [
      ['policyOk', '$.output.policyOk'],
      ['requiresFinance', '$.output.requiresFinance'],
    ],
  );
});

test('expense_approval: the money is sent under a key, three times at most, each time later', () => {
  const { onEnter } = state(flow('expense_approval').plan, 'reimbursement');
  assert.ok(onEnter?.executor.kind === 'rest');
  const executor = onEnter.executor as RestExecutor;
  assert.equal(executor.method, 'POST');
  assert.deepEqual(executor.path.parts, ['/reimbursements']);
  assert.equal(executor.idempotencyKey, true);
  assert.deepEqual(onEnter.reliability, {
    timeoutMs: 30_000,
    maxAttempts: 3,
    backoff: 'exponential',
    initialDelayMs: 1_000,
    maxDelayMs: 60_000,
    retryOn: ['timeout', 'connection', 'rate_limited', 'transient'],
    fallback: [],
  });
});

test('the agent: one state with what it may do, and a way to end', () => {
  const { plan } = flow('vendor-invoice-reconciliation');
  assert.equal(plan.notation, 'agent');
  assert.deepEqual(plan.charter, {
    read: ['erp.invoices', 'erp.vendors'],
    execute: ['erp.payment.draft'],
    deny: ['erp.payment.release'],
    unmapped: [],
  });
  assert.deepEqual(
    plan.states.map((entry) => [entry.name, entry.terminal, entry.outcome]),
    [
      ['active', false, null],
      ['completed', true, 'success'],
    ],
  );
  assert.deepEqual(
    state(plan, 'active').transitions.map((entry) => [
      entry.name,
      entry.target,
      entry.tier,
      entry.gates.length > 0,
    ]),
    [
      ['erp.invoices', 'active', 'read_only', false],
      ['erp.vendors', 'active', 'read_only', false],
      ['erp.payment.draft', 'active', 'reversible', true],
      ['complete', 'completed', null, false],
    ],
  );
});

test('the agent: payments above 50000 wait for a controller who is not the requester', () => {
  const [gate] = transition(flow('vendor-invoice-reconciliation').plan, 'active', 'erp.payment.draft').gates;
  assert.ok(gate?.on?.kind === 'expr');
  const { left, operator, right } = gate.on.expr;
  assert.deepEqual(
    [left.kind === 'path' ? [left.scope, left.segments] : left, operator, right],
    [['arguments', ['amount']], '>', { kind: 'literal', value: 50_000 }],
  );
  assert.deepEqual(gate.roles, ['finance.controller']);
  assert.deepEqual(gate.quorum, { count: 1, perRole: [] });
  assert.equal(gate.separation.requester, true);
  assert.equal(gate.timeout, null);
});

test('either flow alone, as text, compiles to the plan of the folder', async () => {
  for (const [file, name] of [
    ['flows/vendor-invoice-reconciliation.json', 'vendor-invoice-reconciliation'],
    ['flows/expense_approval.yaml', 'expense_approval'],
  ] as const) {
    const text = await readShippedText(file);
    const alone = checkFlowText(text, { catalog: folder.catalog });
    assert.ok(alone.status === 'valid', JSON.stringify(alone));
    assert.deepEqual(alone.flow.plan, flow(name).plan);
    assert.deepEqual(alone.flow.definition, flow(name).definition);
    assert.equal(alone.flow.source, text);
  }
});

test('the catalog survives being stored', async () => {
  const catalog = JSON.parse(JSON.stringify(folder.catalog)) as typeof folder.catalog;
  const text = await readShippedText('flows/vendor-invoice-reconciliation.json');
  const again = checkFlowText(text, { catalog });
  assert.ok(again.status === 'valid');
  assert.deepEqual(again.flow.plan, flow('vendor-invoice-reconciliation').plan);
});

test('YAML or JSON, the same flow: layout and comments do not change the plan', async () => {
  const agent = JSON.parse(await readShippedText('flows/vendor-invoice-reconciliation.json')) as Record<
    string,
    unknown
  >;
  const yaml = `# an agent\n${Object.entries(agent)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
    .join('\n\n')}\n`;
  const compact = checkFlowText(JSON.stringify(agent), { catalog: folder.catalog });
  const spread = checkFlowText(yaml, { catalog: folder.catalog });
  assert.ok(compact.status === 'valid' && spread.status === 'valid', JSON.stringify(spread));
  assert.deepEqual(spread.flow.plan, compact.flow.plan);
  assert.deepEqual(spread.flow.definition, compact.flow.definition);
});

test('the warnings of the shipped folder are known', () => {
  assert.deepEqual(
    folder.warnings.map((finding) => [finding.file, finding.code]),
    [
      ['flows/expense_approval.yaml', 'NO_OWNER'],
      ['flows/expense_approval.yaml', 'TIER_MISSING'],
      ['flows/expense_approval.yaml', 'TIER_MISSING'],
      ['flows/vendor-invoice-reconciliation.json', 'GATE_WITHOUT_TIMEOUT'],
    ],
  );
});
