import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { countersign, makeFolder, type Folder } from './world.js';

// In cases gates work as in an environment: their stages, their slots, and who has approved before.

const files: Readonly<Record<string, string>> = {
  'connections.yaml': 'connections: { bank: { kind: rest, baseUrl: "https://bank.example" } }\n',
  'environments.yaml': `environments:
  dev:
    gates:
      - tiers: [reversible]
        roles: [boss, deputy]
        separation: { approvers: true }
        timeout: { after: 8h, action: escalate, to: [board], then: { after: 1d } }
  live:
    gates: [{ roles: [boss, deputy], quorum: { perRole: { boss: 1, deputy: 1 } }, timeout: { after: 8h } }]
`,
  'flows/pay.yaml': `workflows:
  pay:
    owner: team
    initialState: open
    states:
      open: { transitions: { draft: { target: drafted, tier: reversible, executor: &post { kind: rest, connection: bank, method: POST, path: / } } } }
      drafted: { transitions: { send: { target: sent, tier: reversible, executor: *post } } }
      sent: { terminal: true }
  pay-live:
    owner: team
    environment: live
    initialState: open
    states:
      open: { transitions: { draft: { target: drafted, tier: reversible, executor: *post } } }
      drafted: { terminal: true }
`,
  'tests/pay.test.yaml': `flow: pay
principals:
  bot: { kind: agent }
  bob: { kind: human, roles: [boss] }
  dan: { kind: human, roles: [deputy] }
  both: { kind: human, roles: [boss, deputy] }
cases:
  - name: the floor of dev, somebody who has approved before, and two stages
    steps:
      - { submit: draft, as: bot, expect: { verdict: pending, approval: { roles: [boss, deputy], because: environment dev } } }
      - { approve: bob, expect: { executing: draft } }
      - { answered: {}, expect: { state: drafted } }
      - { submit: send, as: bot, expect: pending }
      - { approve: bob, expect: { code: NOT_AN_APPROVER, why: approver } }
      - { passes: deadline, expect: { approval: { status: escalated, roles: [boss, deputy, board] } } }
      - { passes: deadline, expect: { approval: expired, state: drafted } }
  - name: one person fills one slot
    flow: pay-live
    steps:
      - { submit: draft, as: bot, expect: { verdict: pending, approval: { because: environment live } } }
      - { approve: both, expect: { approval: { status: open, decisions: 1 } } }
      - { approve: dan, expect: { executing: draft } }
`,
};

let folder: Folder;
before(() => {
  folder = makeFolder();
  for (const [path, text] of Object.entries(files)) folder.write(path, text);
});
after(() => folder.remove());

test('floors, stages, slots and earlier approvers are played as they are decided', async () => {
  const { code, out, err } = await countersign(['test'], folder.root);
  assert.equal(code, 0, out + err);
  assert.match(out, /2 passed, 0 failed/);
});

test('a floor that is not there fails the case', async () => {
  folder.write('environments.yaml', 'environments: { dev: , live: }\n');
  const { code, out } = await countersign(['test'], folder.root);
  assert.equal(code, 1, out);
  assert.match(out, /0 passed, 2 failed/);
});
