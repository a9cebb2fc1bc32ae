import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { newId } from '../../../src/model/names/ids.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

// A removed queue is not treated as an undeclared label: nobody, and not everybody, may decide what waits in it.

describe('queues that the policies declare no more', () => {
  let api: Harness;
  let roles = '';
  before(async () => {
    api = await startApi();
    roles = readFileSync(file('roles.yaml'), 'utf8');
    writeFileSync(
      file('roles.yaml'),
      `${roles}\nqueues: { money: { roles: [cfo] }, idle: { roles: [cfo] } }\n`,
    );
    assert.equal((await reload()).status, 200);
  });
  after(() => api.stop());

  const file = (name: string): string => join(api.home, 'policies', name);
  const reload = (confirm: string[] = []): Promise<Answer> =>
    api.ask('admin', 'POST', '/v1/policies/reload', { confirm });
  const flow = (name: string) => ({
    name,
    owner: 'team',
    permissions: { read: ['bank.balance'], execute: ['bank.pay'], deny: [] },
    approval_gate: { queue: 'money' },
  });
  const approval = async (name: string): Promise<{ id: string; digest: string }> => {
    const run = (await api.ask('agent', 'POST', `/v1/flows/${name}/runs`, {})).body.run.id as string;
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const parked = await api.ask('agent', 'POST', path, { arguments: { amount: 5 } });
    assert.ok(parked.body.result.approval !== undefined, parked.text);
    return parked.body.result.approval;
  };
  const decide = async (as: string, { id, digest }: { id: string; digest: string }): Promise<Answer> =>
    api.ask(as, 'POST', `/v1/approvals/${id}/decision`, { decision: 'approve', digest, reason: 'yes' });
  const key = async (id: string, rolesOf: string[], permissions: string[]): Promise<string> =>
    (await api.ask('admin', 'POST', '/v1/keys', { id, kind: 'human', roles: rolesOf, permissions })).body.key;

  it('need their names where a flow in force waits in one, and no other; then what waits there opens to nobody', async () => {
    const [decider, cfo] = [
      await key('decider', [], ['approval.decide', 'run.read']),
      await key('cy', ['cfo'], ['run.read']),
    ];
    assert.equal((await api.ask('admin', 'POST', '/v1/flows', flow('wired'))).status, 201);
    const opened = await approval('wired');
    writeFileSync(file('roles.yaml'), roles);
    const refused = await reload(['idle']);
    assert.deepEqual(codes(refused), [409, 'CONFIRM_REQUIRED']);
    assert.deepEqual(refused.body.removed, [
      { kind: 'queue', name: 'money', confirm: true },
      { kind: 'queue', name: 'idle', confirm: false },
    ]);
    assert.equal((await reload(['money'])).status, 200);

    const later = await approval('wired');
    for (const approval of [opened, later])
      for (const who of [decider, cfo])
        assert.deepEqual(codes(await decide(who, approval)), [403, 'NOT_AN_APPROVER']);
    const before = await api.ask('admin', 'GET', `/v1/approvals/${opened.id}`);
    assert.deepEqual([before.body.roles, before.body.gates[0].roles], [[], []], 'it had those of the queue');
    const { body } = await api.ask('admin', 'GET', `/v1/approvals/${later.id}`);
    assert.match(body.gates[0].text, /^nobody: its queue names no role any more; .*nobody who is known here/);

    const again = await api.ask('admin', 'POST', '/v1/flows', flow('wired_later'));
    assert.match(JSON.stringify(again.body.warnings), /nobody decides what waits in it, until one does/);
    assert.deepEqual(codes(await decide(decider, await approval('wired_later'))), [403, 'NOT_AN_APPROVER']);

    writeFileSync(file('roles.yaml'), `${roles}\nqueues: { money: { roles: [cfo] } }\n`);
    assert.equal((await reload()).status, 200);
    assert.equal((await decide(cfo, later)).status, 200, 'it is declared again');
  });

  it('are told at a start, and a file of the folder that names one is told that nobody decides', async () => {
    writeFileSync(file('flows/wired.json'), JSON.stringify(flow('from_folder')));
    assert.equal((await reload()).status, 200);
    writeFileSync(file('roles.yaml'), roles);
    const started = await api.deps.policies.start({ kind: 'runtime', id: 'countersign' }, newId('trc'));
    assert.ok(started.status === 'loaded');
    assert.deepEqual(started.removed, [{ kind: 'queue', name: 'money', confirm: true }]);
    assert.match(JSON.stringify(started.warnings), /nobody decides what waits in it, until one does/);
    const decider = await key('decider-2', [], ['approval.decide', 'run.read']);
    assert.deepEqual(codes(await decide(decider, await approval('from_folder'))), [403, 'NOT_AN_APPROVER']);
    rmSync(file('flows/wired.json'));
  });

  it('are labels where none of that name was ever declared', async () => {
    const decider = await key('decider-3', [], ['approval.decide', 'run.read']);
    const label = { ...flow('labelled'), approval_gate: { queue: 'desk' } };
    assert.equal((await api.ask('admin', 'POST', '/v1/flows', label)).status, 201);
    assert.equal((await decide(decider, await approval('labelled'))).status, 200);
  });

  it('stand at what was done while they were there, in lists too', async () => {
    const cfo = await key('cy-2', ['cfo'], ['run.read']);
    writeFileSync(file('roles.yaml'), `${roles}\nqueues: { money: { roles: [cfo] } }\n`);
    assert.equal((await reload()).status, 200);
    const done = await approval('wired');
    assert.equal((await decide(cfo, done)).status, 200);
    await api.kernel.settled();
    writeFileSync(file('roles.yaml'), roles);
    assert.equal((await reload(['money'])).status, 200);
    const { data } = (await api.ask('admin', 'GET', '/v1/approvals?flow=wired&status=consumed')).body;
    const listed = data.find(({ id }: { id: string }) => id === done.id);
    assert.equal(listed.gates[0].text, 'one of the roles cfo; 1 of 1 have approved');
  });
});
