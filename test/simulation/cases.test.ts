import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { loadFolder } from '../../src/policy/index.js';
import { parseText } from '../../src/policy/text/source.js';
import { readCases, runCase, type Case } from '../../src/simulation/index.js';
import { countersign, makeFolder, policies, type Folder } from './world.js';

// Case files as people write them: what is left out, what is written wrongly, and what a failure says.

const flow = `workflows:
  pay:
    owner: team
    inputSchema: { type: object, properties: { amount: { type: number, default: 5 } }, additionalProperties: false }
    initialState: open
    initialContext: { checked: null }
    timeout: 2d
    onTimeout: { target: late }
    states:
      open:
        transitions:
          check:
            target: open
            inputSchema: { type: object, properties: { by: { type: string } }, additionalProperties: false }
            executor: { kind: rest, connection: bank, method: POST, path: /check }
            output: { checked: $.output.ok }
          release:
            target: done
            tier: reversible
            actor: human
            guards:
              - { kind: expr, expr: $.context.checked == true }
              - kind: not
                guard: { kind: role, role: intern }
            gate:
              roles: [boss, deputy]
              quorum: { count: 2 }
              reason: required
              direct: required
              timeout: { after: 1h, action: escalate, to: [board] }
          ask:
            target: done
            onDeny: late
            executor: { kind: human, queue: desk }
      done: { terminal: true }
      late: { terminal: true, outcome: failure }
`;
const base = {
  'connections.yaml': 'connections: { bank: { kind: rest, baseUrl: "https://bank.example.com" } }\n',
  'roles.yaml':
    'roles: { boss: { permissions: [run.operate] }, deputy: {}, board: {}, clerk: {} }\nqueues: { desk: { roles: [clerk] } }\n',
  'flows/pay.yaml': flow,
};
const head = `flow: pay
principals:
  ann: { kind: human }
  bob: { kind: human, roles: [boss] }
  cat: { kind: human, roles: [deputy] }
  dan: { kind: human, roles: [board] }
  eve: { kind: human, roles: [clerk] }
  ida: { kind: human, roles: [intern] }
  bot-for-bob: { kind: human, id: bob, roles: [boss], actedBy: chat }
`;

let folder: Folder;
before(() => {
  folder = makeFolder();
  for (const [path, text] of Object.entries(base)) folder.write(path, text);
});
after(() => folder.remove());

async function play(cases: string, argv: readonly string[] = []) {
  const file = folder.write('tests/pay.test.yaml', `${head}cases:\n${cases}`);
  return { file, ...(await countersign(['test', file, ...argv], folder.root)) };
}

describe('what can be told in a case', () => {
  const good: readonly (readonly [what: string, cases: string])[] = [
    [
      'defaults of the input are applied, the starter is a system, and nothing was recorded yet',
      '- { name: a, expect: { state: open, status: running, version: 0, records: [run.started] } }',
    ],
    [
      'an executor that answers, fails, and answers late',
      `
- name: at once
  answers: { check: { output: { ok: true } } }
  submit: check
  as: agent
  expect: { verdict: executed, context: { checked: true }, evidence: { rest_call: 1 } }
- name: fails
  answers: { check: { failed: auth, message: no key } }
  submit: check
  as: agent
  expect: { code: EXECUTOR_FAILED, class: auth, message: no key, context: { checked: null } }
- name: late
  steps:
    - { submit: check, as: agent, expect: executing }
    - { answered: { ok: false }, response: { status: 201 }, evidence: [bank_said], expect: { context: { checked: false }, evidence: { bank_said: 1, rest_call: 0 } } }
- name: does not say
  answers: { check: { output: { fine: true } } }
  submit: check
  as: agent
  expect: { context: { checked: null }, someRecords: [{ type: mapping.unresolved, data: { path: $.output.ok } }] }`,
    ],
    [
      'a quorum of two, a reason that is asked for, and a requester who may not',
      `
- name: quorum
  state: open
  context: { checked: true }
  steps:
    - { submit: release, as: ann, expect: { verdict: pending, approval: { status: open, roles: [boss, deputy], quorum: 2 } } }
    - { approve: bot-for-bob, reason: fine, expect: { code: NOT_AN_APPROVER, why: not_direct } }
    - { approve: bob, expect: REASON_REQUIRED }
    - { approve: bob, reason: "\\u200b\\u3164", expect: REASON_REQUIRED }
    - { approve: bob, reason: fine, expect: { verdict: accepted, approval: { status: open, decisions: 1 } } }
    - { approve: bob, reason: again, expect: { code: ALREADY_DECIDED, why: already_decided } }
    - { approve: cat, reason: fine, expect: { status: completed, state: done, evidence: { human_request: 2 } } }`,
    ],
    [
      'a deadline that escalates, then expires',
      `
- name: escalation
  state: open
  context: { checked: true }
  steps:
    - { submit: release, as: ann }
    - { approve: dan, reason: fine, expect: { why: role_missing } }
    - { passes: deadline, expect: { approval: { status: escalated, roles: [boss, deputy, board] }, records: [approval.escalated] } }
    - { approve: dan, reason: fine, expect: accepted }
    - { passes: deadline, expect: { approval: expired, status: running, version: 0 } }`,
    ],
    [
      'a queue, its roles, and where a denial leads',
      `
- name: denied
  steps:
    - { submit: ask, as: agent, expect: { verdict: pending, approval: { roles: [clerk] } } }
    - { deny: eve, approval: ask, expect: { state: late, status: failed, problem: OUTCOME_FAILURE } }
- name: two are open
  state: open
  context: { checked: true }
  steps:
    - { submit: ask, as: agent }
    - { submit: release, as: ann }
    - { approve: eve, approval: ask, expect: { status: completed, approval: { transition: release, status: revoked } } }`,
    ],
    [
      'the run’s own time',
      '- { name: t, passes: timeout, expect: { state: late, status: timed_out, someRecords: [timeout.fired] } }',
    ],
    [
      'a guard by its index, kind and verdict, for several principals',
      `
- name: guards
  state: open
  submit: release
  as:
    ann: { guard: 0 }
    ida: { guard: { index: 0, kind: expr, verdict: fail, reason: checked } }
- name: under not
  state: open
  context: { checked: true }
  submit: release
  as: { ida: { code: GUARD_REJECTED, guard: { index: 1, kind: not } }, agent: ACTOR_MISMATCH, bob: pending }
- name: of another type
  state: open
  context: { checked: 'yes' }
  submit: release
  as: ann
  expect: { guard: { index: 0, verdict: error } }`,
    ],
    [
      'names that the flow does not know, where that is what the case is about',
      '- { name: u, submit: relase, as: ann, expect: UNKNOWN_TRANSITION }',
    ],
    [
      'permissions of roles, and an operator',
      '- { name: c, steps: [{ cancel: ann, expect: FORBIDDEN }, { cancel: bob, expect: cancelled }, { retry: bob, expect: RUN_CLOSED }] }',
    ],
  ];
  for (const [what, cases] of good)
    it(what, async () => {
      const ran = await play(cases);
      assert.equal(ran.code, 0, ran.out);
    });
});

describe('what fails, and what is said then', () => {
  it('a wrong expectation is shown at its place, with what happened, why, and the records', async () => {
    const ran = await play(
      '- name: wrong\n  state: open\n  submit: release\n  as: ann\n  expect:\n    code: ACTOR_MISMATCH\n    version: 3\n',
    );
    assert.equal(ran.code, 1);
    assert.ok(
      ran.out.includes(
        `${ran.file}:16:11: submit \`release\` as \`ann\`: expected code \`ACTOR_MISMATCH\`, got \`GUARD_REJECTED\``,
      ),
      ran.out,
    );
    assert.ok(ran.out.includes(`${ran.file}:17:14: `));
    assert.match(ran.out, /why +guard 0 \(expr\) of `release` refused: .*checked is `null`/);
    assert.match(ran.out, /the run +is running in state `open`, version 0/);
    assert.match(ran.out, /guard\.evaluated +by ann \(human\) +release/);
    assert.match(ran.out, /0 passed, 1 failed$/);
    assert.match(ran.out, /not tried by any case: pay: check, ask\n/);
  });

  const bad: readonly (readonly [what: string, cases: string, said: RegExp])[] = [
    [
      'a step that is refused and says nothing of it',
      '- { name: n, steps: [{ submit: release, as: ann }, { cancel: bob }] }',
      /:1\d:\d+: step 1: submit `release` as `ann`: expected verdict `not refused`, got `refused: GUARD_REJECTED`/,
    ],
    [
      'a run that gets stuck, when nobody spoke of that',
      '- { name: n, answers: { check: { failed: unknown_outcome } }, submit: check, as: agent, expect: { code: EXECUTOR_FAILED } }',
      /expected status `not stuck`, got `stuck: EXECUTOR_UNKNOWN`/,
    ],
    [
      'an answer that nobody waits for',
      '- { name: n, answered: {}, expect: executed }',
      /nothing is executing: the run is running/,
    ],
    [
      'an approval that nobody asked for',
      '- { name: n, approve: bob, expect: accepted }',
      /no approval was opened/,
    ],
    [
      'an approval that could be either of two',
      '- { name: n, state: open, context: { checked: true }, steps: [{ submit: ask, as: agent }, { submit: release, as: ann }, { approve: bob }] }',
      /2 approvals are open \(`ask`, `release`\): name one with `approval`/,
    ],
    [
      'a verdict that is executing, not executed',
      '- { name: n, submit: check, as: agent, expect: executed }',
      /expected verdict `executed`, got `executing`/,
    ],
    [
      'a record too many',
      '- { name: n, submit: release, as: ann, expect: { records: [transition.requested, guard.evaluated] } }',
      /expected records `transition.requested, guard.evaluated`, got `transition.requested, guard.evaluated, transition.rejected`/,
    ],
    [
      'a record with another field',
      '- { name: n, submit: release, as: ann, expect: { someRecords: [{ type: transition.rejected, by: bob }] } }',
      /expected someRecords.0 .*got .*"by":"ann"/,
    ],
    [
      'a record that must not be',
      '- { name: n, submit: release, as: ann, expect: { noRecords: [transition.rejected] } }',
      /expected noRecords.0 `no transition.rejected`/,
    ],
    [
      'other links',
      '- { name: n, expect: { links: { ann: [release] } } }',
      /expected links.ann `\["release"\]`, got `\["ask","check","release"\]`/,
    ],
    [
      'an input that does not start',
      '- { name: n, input: { amount: x }, submit: check, as: agent, expect: executing }',
      /the start: expected `a run that has started`, got `START_REFUSED`/,
    ],
  ];
  for (const [what, cases, said] of bad)
    it(what, async () => {
      const ran = await play(cases);
      assert.equal(ran.code, 1, ran.out);
      assert.match(ran.out, said);
    });

  it('one principal of several fails, and only that one', async () => {
    const ran = await play(
      '- { name: n, state: open, submit: release, as: [ann, agent], expect: GUARD_REJECTED }',
      ['--json'],
    );
    assert.equal(ran.code, 1);
    const { passed, failed, cases } = JSON.parse(ran.out);
    assert.deepEqual([passed, failed], [1, 1]);
    assert.deepEqual(
      cases.map((testCase: { name: string; status: string }) => [testCase.name, testCase.status]),
      [
        ['n (ann)', 'passed'],
        ['n (agent)', 'failed'],
      ],
    );
    assert.equal(cases[1].failure.mismatches[0].actual, 'ACTOR_MISMATCH');
    assert.equal(cases[1].failure.trace.at(-1).type, 'transition.rejected');
  });
});

describe('a case file with an error proves nothing: exit code 2, and where it is', () => {
  const invalid: readonly (readonly [what: string, cases: string, said: string])[] = [
    [
      'an unknown key',
      '- { name: n, submitt: check, as: ann, expect: executed }',
      '11:14: error UNKNOWN_KEY: unknown key `submitt`: did you mean `submit`?',
    ],
    [
      'an unknown word',
      '- { name: n, submit: check, as: ann, expect: EXECUTOR_FALED }',
      'did you mean `EXECUTOR_FAILED`?',
    ],
    [
      'an unknown key of an expectation',
      '- { name: n, submit: check, as: ann, expect: { verdct: executed } }',
      'unknown key `verdct`: did you mean `verdict`?',
    ],
    ['an unknown record', '- { name: n, expect: { records: [run.start] } }', '`"run.start"` is not one of'],
    [
      'an executor’s record, which is not played',
      '- { name: n, expect: { records: [executor.started] } }',
      '`"executor.started"` is not one of',
    ],
    [
      'an unknown flow',
      '- { name: n, flow: pya, expect: running }',
      'unknown flow `pya`: did you mean `pay`?',
    ],
    [
      'an unknown principal',
      '- { name: n, submit: check, as: anne, expect: executed }',
      'unknown principal `anne`: did you mean `ann`?',
    ],
    [
      'an unknown principal in a table',
      '- { name: n, submit: check, as: { anne: executed } }',
      'unknown principal `anne`',
    ],
    [
      'an unknown principal of links',
      '- { name: n, expect: { links: { anne: [] } } }',
      'unknown principal `anne`',
    ],
    [
      'an unknown state',
      '- { name: n, state: opne, expect: running }',
      'unknown state `opne`: did you mean `open`?',
    ],
    ['an unknown state that is expected', '- { name: n, expect: { state: opne } }', 'unknown state `opne`'],
    [
      'an unknown transition',
      '- { name: n, submit: relase, as: ann, expect: GUARD_REJECTED }',
      'unknown transition `relase`: did you mean `release`?',
    ],
    [
      'an unknown executor',
      '- { name: n, answers: { chek: { output: 1 } }, expect: running }',
      'unknown executor `chek`: did you mean `check`?',
    ],
    [
      'a context that the flow cannot have',
      '- { name: n, state: open, context: { cheked: true }, expect: running }',
      'error UNKNOWN_CONTEXT_KEY: unknown context key `cheked`: did you mean `checked`?',
    ],
    [
      'an expected context that the flow cannot have',
      '- { name: n, expect: { context: { cheked: true } } }',
      'unknown context key `cheked`',
    ],
    [
      'a context without a state',
      '- { name: n, context: { checked: true }, expect: running }',
      '`context` is of a run that stands somewhere already: name its `state` too',
    ],
    [
      'an input that the flow does not take, of a placed run',
      '- { name: n, state: open, input: { amount: x }, expect: running }',
      '`pay` does not take this input: `input.amount` must be number',
    ],
    ['no expectation', '- { name: n, submit: check, as: ann }', 'case `n` expects nothing'],
    [
      'an empty expectation',
      '- { name: n, submit: check, as: ann, expect: {} }',
      'this expects nothing: name at least one thing',
    ],
    ['nobody', '- { name: n, submit: check, expect: executed }', '`as` is required here'],
    [
      'two actions',
      '- { name: n, steps: [{ approve: bob, deny: bob }] }',
      'a step does one thing, not `approve` and `deny`',
    ],
    ['no action', '- { name: n, steps: [{ expect: running }] }', 'a step does one thing, and none is named'],
    [
      'a key of another action',
      '- { name: n, steps: [{ approve: bob, with: {} }] }',
      '`with` does not go with `approve`',
    ],
    [
      'an action beside steps',
      '- { name: n, submit: check, steps: [{ approve: bob }] }',
      'with `steps`, `submit` belongs to one of the steps',
    ],
    [
      'two cases of one name',
      '- { name: n, expect: running }\n- { name: n, expect: running }',
      '12:11: error DUPLICATE_NAME',
    ],
    ['YAML that is none', '- { name: n', 'error MALFORMED'],
  ];
  for (const [what, cases, said] of invalid)
    it(what, async () => {
      const ran = await play(cases);
      assert.equal(ran.code, 2, ran.out);
      assert.ok(ran.out.includes(said), ran.out);
      assert.match(ran.out, /tests\/pay\.test\.yaml:\d+:\d+: error [A-Z_]+: /);
    });

  it('also when all others pass', async () => {
    folder.write('tests/other.test.yaml', `${head}cases: [{ name: n, expect: runing }]\n`);
    folder.write('tests/pay.test.yaml', `${head}cases: [{ name: n, expect: running }]\n`);
    const ran = await countersign(['test'], folder.root);
    assert.equal(ran.code, 2);
    assert.match(ran.out, /1 passed, 0 failed, 1 error in the files$/);
    folder.write('tests/other.test.yaml', `${head}cases: []\n`);
    assert.equal((await countersign(['test'], folder.root)).code, 0);
  });
});

// No policy that loads has an unmapped tool; a plan that was stored by an older version might.
it('a tool without a tier is blocked as unmapped, whatever the plan says of it', async () => {
  const shipped = await loadFolder(policies);
  assert.ok(shipped.status === 'loaded');
  const flows = shipped.flows.map((flow) => {
    const { charter } = flow.plan;
    return charter === null
      ? flow
      : { ...flow, plan: { ...flow.plan, charter: { ...charter, unmapped: ['erp.invoices'] } } };
  });
  const cases = (rule: string): Case[] => {
    const parsed = parseText(
      `flow: vendor-invoice-reconciliation\ncases: [{ name: n, submit: erp.invoices, as: agent, expect: { code: BLOCKED, rule: ${rule}, records: [transition.requested, policy.blocked] } }]`,
    );
    assert.ok(parsed.status === 'parsed');
    const read = readCases(parsed.source, { ...shipped, flows });
    assert.ok(read.status === 'read');
    return [...read.cases];
  };
  const played = (rule: string) => cases(rule).map((testCase) => runCase(testCase, shipped.policySet).status);
  assert.deepEqual([played('unmapped'), played('denied')], [['passed'], ['failed']]);
});

describe('which cases are played', () => {
  it('nothing to play is no success', async () => {
    const empty = makeFolder();
    empty.write(
      'flows/pay.yaml',
      'workflows: { f: { initialState: a, states: { a: { terminal: true } } } }\n',
    );
    const ran = await countersign(['test'], empty.root);
    assert.equal(ran.code, 2);
    assert.match(ran.err, /there are no cases in/);
    empty.write('tests/a.test.yaml', 'cases: []\n');
    assert.equal((await countersign(['test', empty.root])).code, 2);
    empty.remove();
  });

  it('policies that cannot be loaded are told, and nothing is played', async () => {
    const broken = makeFolder({ shipped: true });
    broken.write('flows/bad.yaml', 'workflows: { f: { initalState: a, states: {} } }\n');
    const ran = await countersign(['test'], broken.root);
    assert.equal(ran.code, 2);
    assert.match(ran.out, /flows\/bad\.yaml:1:\d+: error UNKNOWN_KEY: unknown key `initalState`/);
    assert.match(ran.out, /0 passed, 0 failed/);
    broken.remove();
  });

  it('a folder, its tests folder and a file play the same cases, each once', async () => {
    folder.write('tests/pay.test.yaml', `${head}cases: [{ name: n, expect: running }]\n`);
    const tests = `${folder.root}/tests`;
    for (const paths of [[folder.root], [tests], [`${tests}/pay.test.yaml`], [folder.root, tests]])
      assert.match((await countersign(['test', ...paths])).out, /\n1 passed, 0 failed$/, paths.join());
  });

  it('a path that is none is a mistake of whoever asked', async () => {
    assert.equal((await countersign(['test', 'nowhere'])).code, 2);
    assert.match((await countersign(['test', `${folder.root}/roles.yaml`])).err, /is no case file/);
    assert.match((await countersign(['test', '--input', '{}'])).err, /does not take --input/);
  });
});
