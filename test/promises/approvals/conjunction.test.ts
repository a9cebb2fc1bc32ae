import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startStack, type Answer, type Stack } from '../../../testing/servers/stack.js';
import { audit, until } from '../../../testing/flows.js';

// Several gates before one action on the real service: none of them is weakened by another.

const tool = (name: string, tier: string, gate: string): string => `
  - name: ${name}
    tier: ${tier}
    inputSchema: { type: object, additionalProperties: false, properties: { amount: { type: number }, until: {} } }
    gate: ${gate}
    executor: { kind: cli, connection: echo, args: [done] }`;

const roles = (desk: string): string => `
roles: { controller: { permissions: [] }, clerk: { permissions: [] }, boss: { permissions: [] } }
queues: { ${desk} }
`;

const policies: Readonly<Record<string, string>> = {
  'environments.yaml': `
environments:
  dev:
    gates: [{ tiers: [reversible, irreversible], roles: [controller], reason: required, timeout: { after: 1h } }]
`,
  'roles.yaml': roles('desk: { roles: [clerk, boss] }, vault: { roles: [clerk] }'),
  'connections.yaml': 'connections: { echo: { kind: cli, command: /bin/echo } }\n',
  'tools/desk.yaml': `tools:${tool('by.time', 'reversible', '{ timeout: { after: 1s, action: approve } }')}${tool(
    'by.others',
    'irreversible',
    '{ roles: [clerk], timeout: { after: 1s, action: escalate, to: [boss], then: { after: 1h } } }',
  )}${tool('by.desk', 'reversible', '{ queue: desk, timeout: { after: 1h } }')}${tool(
    'by.vault',
    'reversible',
    '{ queue: vault, timeout: { after: 1h } }',
  )}${tool('with.end', 'reversible', '{ roles: [clerk], expiresWith: "$.arguments.until", timeout: { after: 1h } }')}
`,
  'flows/money.yaml': `name: money
environment: dev
owner: team
permissions: { execute: [by.time, by.others, by.desk, by.vault, with.end] }
`,
};

const people = {
  cora: { kind: 'human', roles: ['controller'] },
  cleo: { kind: 'human', roles: ['clerk'] },
  bob: { kind: 'human', roles: ['boss'] },
  dan: { kind: 'human', permissions: ['approval.decide', 'run.read'] },
  robot: { kind: 'agent', permissions: ['run.start'] },
} as const;
type Person = keyof typeof people;

describe('several gates before one action', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack({ policies, principals: people });
  });
  after(() => stack.stop());

  const shown = async (by: Person, approval: string): Promise<Answer['body']> =>
    (await stack.fetchAs(by, 'GET', `/v1/approvals/${approval}`)).body;
  async function ask(transition: string, args: object = {}): Promise<Answer> {
    const started = await stack.fetchAs('robot', 'POST', '/v1/flows/money/runs', {});
    assert.equal(started.status, 201, JSON.stringify(started.body));
    const run = started.body.run.id as string;
    return stack.fetchAs('robot', 'POST', `/v1/runs/${run}/transitions/${transition}`, { arguments: args });
  }
  async function parked(transition: string): Promise<{ run: string; id: string; digest: string }> {
    const { status, body } = await ask(transition);
    assert.equal(status, 202, JSON.stringify(body));
    return { run: body.run.id as string, ...body.result.approval };
  }
  const decide = (
    by: Person,
    { id, digest }: { id: string; digest: string },
    more: object = {},
  ): Promise<Answer> =>
    stack.fetchAs(by, 'POST', `/v1/approvals/${id}/decision`, {
      decision: 'approve',
      digest,
      reason: 'seen',
      ...more,
    });
  const ran = async (run: string): Promise<number> => (await audit(stack, run, 'executor.succeeded')).length;

  it('a gate that time approves leaves the floor waiting for its own people and their reason', async () => {
    const approval = await parked('by.time');
    await until(
      'time has approved',
      async () => (await audit(stack, approval.run, 'approval.decided')).length === 1,
    );
    const body = await shown('cora', approval.id);
    assert.deepEqual([body.status, await ran(approval.run)], ['open', 0]);
    assert.deepEqual(
      body.gates.map((one: { source: string; missing: unknown }) => [one.source, one.missing]),
      [
        ['tool', []],
        ['environment', [{ roles: ['controller'], count: 1 }]],
      ],
    );
    assert.equal((await decide('cora', approval, { reason: '' })).body.code, 'REASON_REQUIRED');
    assert.equal((await decide('cora', approval)).status, 200);
    await until('it has run', async () => (await ran(approval.run)) === 1);
  });

  it('people whom one gate escalates to do not decide the other, of what is irreversible too', async () => {
    const approval = await parked('by.others');
    await until('it is escalated', async () => (await shown('bob', approval.id)).status === 'escalated');
    assert.equal((await decide('bob', approval)).status, 200);
    const body = await shown('bob', approval.id);
    assert.deepEqual([body.status, await ran(approval.run)], ['escalated', 0]);
    assert.deepEqual([body.may.decide, body.may.why], [false, 'already_decided']);
    const before = await shown('cora', approval.id);
    assert.deepEqual(before.may, { decide: true, verbs: ['approve', 'deny'], why: null, message: null });
    assert.equal((await decide('cora', approval)).status, 200);
    await until('it has run', async () => (await ran(approval.run)) === 1);
  });

  it('whoever dropped out of a queue decides no more, and a queue that vanished opens to nobody', async () => {
    const [desk, vault] = [await parked('by.desk'), await parked('by.vault')];
    const changed = roles('desk: { roles: [boss] }, other: { roles: [clerk] }');
    writeFileSync(join(stack.policies, 'roles.yaml'), changed);
    // Runs under way go on with the queue that their plans name.
    const tools = join(stack.policies, 'tools', 'desk.yaml');
    writeFileSync(tools, readFileSync(tools, 'utf8').replaceAll('queue: vault', 'queue: other'));
    const reloaded = await stack.fetchAs('admin', 'POST', '/v1/policies/reload', { confirm: ['vault'] });
    assert.equal(reloaded.status, 200, JSON.stringify(reloaded.body));
    assert.equal((await decide('cleo', desk)).body.why, 'role_missing');
    for (const who of ['cleo', 'dan'] as const)
      assert.equal((await decide(who, vault)).body.code, 'NOT_AN_APPROVER');
    assert.match((await shown('cora', vault.id)).gates[0].text, /^nobody: its queue names no role any more/);
    assert.equal((await decide('cora', vault)).status, 200);
    assert.equal((await shown('cora', vault.id)).status, 'open');
    assert.equal((await decide('bob', desk)).status, 200);
    assert.equal((await decide('cora', desk)).status, 200);
    await until('it has run', async () => (await ran(desk.run)) === 1);
    assert.equal(await ran(vault.run), 0);
  });

  it('a time that ends it and cannot be read is refused before anybody is asked, and on record', async () => {
    for (const until_ of ['2027-01-01 10:00:00Z', '2027-01-01', 1_798_797_600, '2027-02-30T10:00:00Z']) {
      const refused = await ask('with.end', { until: until_ });
      assert.deepEqual(
        [refused.status, refused.body.code],
        [422, 'INPUT_INVALID'],
        JSON.stringify(refused.body),
      );
      assert.match(refused.body.detail, /`\$\.arguments\.until`.*is no time with a zone/);
    }
    assert.equal((await ask('with.end', { until: '2099-01-01T10:00:00+01:00' })).status, 202);
  });

  it('says of a gate that nobody who is known here could approve it', async () => {
    const approval = await parked('by.time');
    const reach = async (key: string): Promise<boolean[]> => {
      const authorization = `Bearer ${key}`;
      const path = `/v1/approvals/${approval.id}`;
      const { body } = await stack.fetchAs(null, 'GET', path, undefined, { authorization });
      return body.gates.map((one: { outOfReach: boolean }) => one.outOfReach);
    };
    const own = stack.keys['cora'] ?? '';
    assert.deepEqual(await reach(own), [false, false]);
    const ids = await stack.fetchAs('admin', 'GET', '/v1/keys');
    const cora = ids.body.data.find((one: { id: string }) => one.id === 'cora');
    const spare = await stack.fetchAs('admin', 'POST', '/v1/keys', {
      id: 'cora',
      kind: 'human',
      permissions: ['run.read'],
    });
    await stack.fetchAs('admin', 'DELETE', `/v1/keys/${cora.keyId as string}`);
    assert.deepEqual(await reach(spare.body.key), [false, true]);
    assert.notEqual(own, spare.body.key);
  });
});
