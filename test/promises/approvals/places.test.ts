// Mostly waits: for the timers of gates.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startStack, type Answer, type Stack } from '../../../testing/servers/stack.js';
import { audit, until } from '../../../testing/flows.js';

// Gates of every place that may ask for one, on the real service.

const money = `name: money
environment: prod
owner: team
permissions:
  execute:
    - bank.pay
    - note.write
    - note.slow
    - note.shared
approval_gate:
  on: "amount > 50000"
  approver_role: cfo
`;

const policies: Readonly<Record<string, string>> = {
  'environments.yaml': `
environments:
  prod:
    gates:
      - tiers: [irreversible, none]
        roles: [sre, cfo]
        separation: { author: true }
`,
  'roles.yaml':
    'roles: { cfo: { permissions: [] }, sre: { permissions: [] }, clerk: { permissions: [] }, ops: { permissions: [] } }\n',
  'connections.yaml': 'connections: { echo: { kind: cli, command: /bin/echo } }\n',
  'tools/desk.yaml': `
tools:
  - name: bank.pay
    tier: irreversible
    inputSchema:
      type: object
      additionalProperties: false
      properties: { amount: { type: number } }
    executor: { kind: cli, connection: echo, args: [paid] }
  - name: note.write
    tier: reversible
    inputSchema: { type: object, additionalProperties: false, properties: { amount: { type: number } } }
    executor: { kind: noop, output: { written: true } }
  - name: note.slow
    tier: reversible
    inputSchema: { type: object, additionalProperties: false, properties: { amount: { type: number } } }
    gate:
      roles: [clerk]
      reminders: [0.5]
      timeout: { after: 3s, action: escalate, to: [ops], then: { after: 2s, action: deny } }
    executor: { kind: noop }
  - name: note.shared
    tier: reversible
    inputSchema: { type: object, additionalProperties: false, properties: { amount: { type: number } } }
    gate: { roles: [sre, ops], quorum: { count: 3, perRole: { sre: 1, ops: 2 } }, timeout: { after: 1h } }
    executor: { kind: noop, output: { shared: true } }
`,
  'flows/money.yaml': money,
  'flows/open.yaml': `
workflows:
  open:
    environment: prod
    owner: team
    initialState: a
    states:
      a:
        transitions:
          send:
            target: b
            actor: agent
            tier: irreversible
            executor: { kind: cli, connection: echo, args: [sent] }
      b: { terminal: true }
`,
};

const people = {
  carl: { kind: 'human', roles: ['cfo'] },
  sam: { kind: 'human', roles: ['sre'] },
  both: { kind: 'human', roles: ['sre', 'ops'] },
  olga: { kind: 'human', roles: ['ops'] },
  otto: { kind: 'human', roles: ['ops'] },
  clark: { kind: 'human', roles: ['clerk'] },
  ann: { kind: 'human', roles: ['cfo', 'sre'], permissions: ['flow.publish'] },
  robot: { kind: 'agent', permissions: ['run.start'] },
} as const;
type Person = keyof typeof people;

describe('a gate', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack({ policies, principals: people });
  });
  after(() => stack.stop());

  async function submit(flow: string, transition: string, args: object = {}): Promise<Answer['body']> {
    const started = await stack.fetchAs('robot', 'POST', `/v1/flows/${flow}/runs`, {});
    assert.equal(started.status, 201, JSON.stringify(started.body));
    const run = started.body.run.id as string;
    const sent = await stack.fetchAs('robot', 'POST', `/v1/runs/${run}/transitions/${transition}`, {
      arguments: args,
    });
    return { run, status: sent.status, ...sent.body.result };
  }
  const shown = async (by: Person, approval: string): Promise<Answer['body']> =>
    (await stack.fetchAs(by, 'GET', `/v1/approvals/${approval}`)).body;
  const decide = async (by: Person, approval: { id: string; digest: string }): Promise<Answer> =>
    stack.fetchAs(by, 'POST', `/v1/approvals/${approval.id}/decision`, {
      decision: 'approve',
      digest: approval.digest,
    });

  it('says of each rule that asks where it stands, and what it read', async () => {
    const { approval } = await submit('money', 'bank.pay', { amount: 60_000 });
    const body = await shown('carl', approval.id);
    assert.equal(
      body.reason,
      'asked because amount 60,000 > 50,000, charter line 11; and the tool is irreversible; and environment prod: irreversible, none',
    );
    assert.deepEqual(
      body.because.map(({ source, line }: { source: string; line?: number }) => [source, line]),
      [
        ['charter', 11],
        ['tier', undefined],
        ['environment', undefined],
      ],
    );
    assert.deepEqual(body.roles, ['cfo', 'sre']);
    assert.deepEqual(
      body.gates.map(({ source, roles }: { source: string; roles: string[] }) => [source, roles]),
      [
        ['charter', ['cfo']],
        ['environment', ['sre', 'cfo']],
      ],
    );
  });

  it('leaves out the rules that do not apply', async () => {
    const { approval } = await submit('money', 'bank.pay', { amount: 10 });
    const body = await shown('sam', approval.id);
    assert.deepEqual(
      body.because.map(({ source }: { source: string }) => source),
      ['tier', 'environment'],
    );
    assert.deepEqual(body.roles, ['sre', 'cfo']);
    assert.equal((await submit('money', 'note.write', { amount: 10 })).status, 'executed');
  });

  it('of the environment stands under what its author left open', async () => {
    const started = await stack.fetchAs('robot', 'POST', '/v1/flows/open/runs', {});
    const [link] = started.body.links;
    assert.deepEqual([link.rel, link.gated, link.gateOn], ['send', true, undefined]);
    const version = await stack.fetchAs('admin', 'GET', '/v1/flows/open/versions/1');
    assert.equal(version.body.graph.edges[0].gated, true);
    const { approval } = await submit('open', 'send');
    const body = await shown('sam', approval.id);
    assert.deepEqual(body.roles, ['sre', 'cfo']);
    assert.equal((await decide('clark', body)).body.code, 'NOT_FOUND');
    assert.equal((await decide('sam', body)).status, 200);
  });

  it('that separates the author refuses who published that version', async () => {
    const published = await stack.fetchAs('ann', 'POST', '/v1/flows', money.replace('50000', '40000'), {
      'content-type': 'application/yaml',
    });
    assert.equal(published.status, 201, JSON.stringify(published.body));
    const small = await submit('money', 'bank.pay', { amount: 10 });
    const refused = await decide('ann', await shown('carl', small.approval.id));
    assert.deepEqual([refused.status, refused.body.code], [403, 'NOT_AN_APPROVER']);
    assert.match(refused.body.detail, /`ann` wrote this version of the flow/);
    // At the charter's gate, which does not separate, the author counts; the floor waits for somebody else.
    const { approval } = await submit('money', 'bank.pay', { amount: 45_000 });
    const body = await shown('carl', approval.id);
    assert.equal((await decide('ann', body)).status, 200);
    assert.equal((await shown('carl', approval.id)).status, 'open');
    assert.equal((await decide('carl', body)).status, 200);
    assert.notEqual((await shown('carl', approval.id)).status, 'open');
  });

  it("wants each role's share from people of their own", async () => {
    const { run, approval } = await submit('money', 'note.shared', { amount: 1 });
    const body = await shown('both', approval.id);
    assert.equal((await decide('both', body)).status, 200);
    assert.equal((await decide('olga', body)).status, 200);
    const half = await shown('both', approval.id);
    assert.deepEqual(half.quorum, {
      count: 3,
      approved: 2,
      perRole: [
        { role: 'sre', count: 1, approved: 1 },
        { role: 'ops', count: 2, approved: 1 },
      ],
    });
    assert.equal((await decide('otto', body)).status, 200);
    await until('it has run', async () => (await audit(stack, run, 'executor.succeeded')).length === 1);
  });

  it('reminds, goes on to others, and ends: each at its time', { timeout: 60_000 }, async () => {
    const { run, approval } = await submit('money', 'note.slow', { amount: 1 });
    const first = await shown('clark', approval.id);
    assert.equal(first.onTimeout, 'escalate');
    assert.match(first.onExpiry, /it also goes to `ops`/);
    await until('it is escalated', async () => (await shown('clark', approval.id)).status === 'escalated');
    const second = await shown('olga', approval.id);
    assert.deepEqual([second.roles, second.onTimeout], [['clerk', 'ops'], 'deny']);
    assert.match(second.onExpiry, /it expires/);
    await until('it has expired', async () => (await shown('olga', approval.id)).status === 'expired');
    assert.equal((await decide('olga', second)).body.code, 'APPROVAL_EXPIRED');
    const told = (await audit(stack, run)).map(({ type }) => type);
    assert.deepEqual(
      told.filter((type) => /^approval\.(reminded|escalated|expired)$/.test(type)),
      ['approval.reminded', 'approval.escalated', 'approval.reminded', 'approval.expired'],
    );
  });
});
