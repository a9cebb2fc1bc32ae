import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { newId } from '../../../src/model/names/ids.js';
import { currentPolicies, putPolicies } from '../../../src/store/flows/policy.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

// Removing an environment from the policies changes nothing of what it requires of the runs that are under way in it.

const dev = 'environments: { dev: {} }\n';
const both =
  'environments: { dev: {}, emea: { gateTimeout: 5h, gates: [{ roles: [finance.controller], reason: required }] } }\n';
const floor = 'emea: reversible, irreversible, none by finance.controller, reason required';
const flow = (environment: string): string => `
workflows:
  far:
    owner: team
    environment: ${environment}
    initialState: open
    states:
      open:
        transitions:
          pay:
            target: open
            tier: reversible
            inputSchema: { type: object, properties: { of: { type: number } } }
            executor: { kind: cli, connection: echo, args: [paid] }
          end: { target: done, tier: reversible }
      done: { terminal: true }
`;

describe('runs under way in an environment that the policies declare no more', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
    writeFileSync(file('connections.yaml'), 'connections: { echo: { kind: cli, command: /bin/echo } }\n');
    writeFileSync(file('environments.yaml'), both);
    writeFileSync(file('flows/far.yaml'), flow('emea'));
    assert.equal((await reload(['staging', 'prod'])).status, 200);
  });
  after(() => api.stop());

  const file = (name: string): string => join(api.home, 'policies', name);
  const reload = (confirm: string[] = []): Promise<Answer> =>
    api.ask('admin', 'POST', '/v1/policies/reload', { confirm });
  const restart = () => api.deps.policies.start({ kind: 'runtime', id: 'countersign' }, newId('trc'));
  const start = async (): Promise<string> =>
    (await api.ask('agent', 'POST', '/v1/flows/far/runs', { environment: 'emea' })).body.run.id as string;
  const pay = (run: string, of: number): Promise<Answer> =>
    api.ask('agent', 'POST', `/v1/runs/${run}/transitions/pay?wait=20`, { arguments: { of } });
  const takeAway = (): void => {
    writeFileSync(file('flows/far.yaml'), flow('dev'));
    writeFileSync(file('environments.yaml'), dev);
  };
  const bringBack = async (text = both, confirm: string[] = []): Promise<Answer> => {
    writeFileSync(file('flows/far.yaml'), flow('emea'));
    writeFileSync(file('environments.yaml'), text);
    return reload(confirm);
  };

  it('are held to the floors that it had last, after a reload and after every restart', async () => {
    const [reloaded, restarted] = [await start(), await start()];
    takeAway();
    assert.deepEqual(codes(await reload(['emea'])), [409, 'CONFIRM_REQUIRED']);
    assert.equal((await reload(['emea', floor])).status, 200);
    const parked = await pay(reloaded, 1);
    assert.equal(parked.status, 202, parked.text);
    const { body: card } = await api.ask(
      'admin',
      'GET',
      `/v1/approvals/${parked.body.result.approval.id as string}`,
    );
    assert.deepEqual(card.gates[0].roles, ['finance.controller']);
    const open = Date.parse(card.expiresAt as string) - Date.parse(card.requestedAt as string);
    assert.equal(open, 5 * 3_600_000, 'its own time, not the default');
    for (const of of [2, 3]) {
      assert.equal((await restart()).status, 'loaded');
      assert.equal((await pay(restarted, of)).status, 202);
    }
    assert.equal((await bringBack()).status, 200);
  });

  it('lose none of them when it comes back without, unless their names are confirmed', async () => {
    const run = await start();
    takeAway();
    assert.equal((await reload(['emea', floor])).status, 200);
    const bare = 'environments: { dev: {}, emea: {} }\n';
    const refused = await bringBack(bare);
    assert.deepEqual(codes(refused), [409, 'CONFIRM_REQUIRED']);
    assert.deepEqual(refused.body.removed, [
      { kind: 'floor', name: floor, confirm: true },
      { kind: 'rule', name: 'emea: gateTimeout', confirm: true },
    ]);
    assert.equal((await pay(run, 1)).status, 202);
    assert.deepEqual(codes(await bringBack(bare, [floor])), [409, 'CONFIRM_REQUIRED']);
    assert.equal((await bringBack(bare, [floor, 'emea: gateTimeout'])).status, 200);
    assert.equal((await pay(run, 2)).status, 200);
    assert.equal((await bringBack()).status, 200);
  });

  it('call nothing where nobody knows what it asked for: refused, recorded, and told what to do', async () => {
    const run = await start();
    takeAway();
    assert.equal((await reload(['emea', floor])).status, 200);
    const loaded = (await currentPolicies(api.database.pool)) ?? assert.fail();
    const { formerEnvironments: _gone, ...policySet } = loaded.policySet;
    await putPolicies(api.database.pool, { ...loaded, policySet });
    const refused = await pay(run, 1);
    assert.deepEqual(codes(refused), [403, 'BLOCKED']);
    assert.equal(refused.body.rule, 'environment');
    assert.match(refused.body.detail as string, /declare it again in environments\.yaml/);
    const { body } = await api.ask('auditor', 'GET', `/v1/runs/${run}/audit`);
    const types = (body.data as { type: string }[]).map((record) => record.type);
    assert.ok(types.includes('policy.blocked'), types.join());
    assert.ok(!types.includes('executor.started'), types.join());
    assert.equal((await bringBack()).status, 200);
    assert.equal((await pay(run, 2)).status, 202);
  });
});
