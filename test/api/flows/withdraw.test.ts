import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { newId } from '../../../src/model/names/ids.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

describe('which flows and versions start', () => {
  let api: Harness;
  let names = 0;
  let name = '';
  const notReady = new Set<string>();
  before(async () => {
    api = await startApi((deps) => ({
      ...deps,
      engines: { ...deps.engines, isReady: (environment) => Promise.resolve(!notReady.has(environment)) },
    }));
  });
  after(() => api.stop());
  beforeEach(() => {
    names += 1;
    name = `work_${names}`;
  });

  const text = (above: number): string =>
    JSON.stringify({
      name,
      owner: 'team',
      permissions: { read: ['bank.balance'], execute: ['bank.pay'], deny: [] },
      approval_gate: { on: `amount > ${above}`, approver_role: 'finance.controller' },
    });
  const publish = (above: number): Promise<Answer> => api.ask('admin', 'POST', '/v1/flows', text(above));
  const start = (body: object = {}, as = 'agent', headers = {}): Promise<Answer> =>
    api.ask(as, 'POST', `/v1/flows/${name}/runs`, body, headers);
  const withdraw = (as = 'admin'): Promise<Answer> =>
    api.ask(as, 'POST', `/v1/flows/${name}/withdraw`, { reason: 'the bank has closed' });
  const listed = async (): Promise<any> =>
    (await api.ask('admin', 'GET', '/v1/flows?limit=500')).body.data.find(
      (flow: { name: string }) => flow.name === name,
    );
  const recorded = async (type: string): Promise<any[]> =>
    (await api.ask('auditor', 'GET', `/v1/audit?limit=500&flow=${name}&type=${type}`)).body.data;
  const file = (): string => join(api.home, 'policies', 'flows', `${name}.json`);
  const reload = async (): Promise<any> => {
    const confirm = ['staging', 'prod', 'lab'];
    const reloaded = await api.ask('admin', 'POST', '/v1/policies/reload', { confirm });
    assert.equal(reloaded.status, 200, reloaded.text);
    return reloaded.body;
  };

  it('the newest, and an older one by number only for who may publish', async () => {
    await publish(100);
    await publish(200);
    assert.equal((await start()).body.run.flowVersion, 2);
    assert.equal((await start({ version: 2 })).body.run.flowVersion, 2);
    const refused = await start({ version: 1 });
    assert.deepEqual([...codes(refused), refused.body.newest], [409, 'VERSION_SUPERSEDED', 2]);
    assert.deepEqual(codes(await start({ version: 1, environment: 'dev' })), [409, 'VERSION_SUPERSEDED']);
    assert.deepEqual(codes(await start({ version: 3 })), [404, 'NOT_FOUND']);
    assert.equal((await start({ version: 1 }, 'admin')).body.run.flowVersion, 1);
    assert.deepEqual(
      codes(await start({ version: 1, submit: { transition: 'bank.balance' } })),
      [409, 'VERSION_SUPERSEDED'],
      'with its first submit too',
    );
  });

  it('older content that is published again is a new version, and the newest content is not', async () => {
    assert.deepEqual([(await publish(100)).body.version, (await publish(200)).body.version], [1, 2]);
    const same = await publish(200);
    assert.deepEqual([same.status, same.body.version], [200, 2]);
    const back = await publish(100);
    assert.deepEqual([back.status, back.body.version], [201, 3]);
    assert.equal((await start()).body.run.flowVersion, 3);
  });

  it('none of a flow that was withdrawn, until it is published again; runs under way go on', async () => {
    await publish(100);
    const run = (await start()).body.run.id as string;
    const headers = { 'idempotency-key': `begun-${name}` };
    const begun = await start({}, 'agent', headers);
    assert.deepEqual(codes(await withdraw('agent')), [403, 'FORBIDDEN']);
    assert.deepEqual(
      codes(await api.ask('admin', 'POST', '/v1/flows/no_such_flow/withdraw', { reason: 'x' })),
      [404, 'NOT_FOUND'],
    );
    assert.deepEqual(codes(await api.ask('admin', 'POST', `/v1/flows/${name}/withdraw`, {})), [
      422,
      'REQUEST_INVALID',
    ]);
    const withdrawn = await withdraw();
    assert.equal(withdrawn.status, 200, withdrawn.text);
    assert.deepEqual(
      [withdrawn.body.withdrawn.by, withdrawn.body.withdrawn.reason],
      ['admin', 'the bank has closed'],
    );
    for (const [as, body] of [
      ['agent', {}],
      ['admin', { version: 1 }],
      ['agent', { submit: { transition: 'bank.balance' } }],
    ] as const)
      assert.deepEqual(codes(await start(body, as)), [409, 'FLOW_WITHDRAWN']);
    assert.equal((await listed()).withdrawn.reason, 'the bank has closed');
    assert.equal((await api.ask('admin', 'GET', `/v1/flows/${name}/versions/1`)).body.withdrawn.by, 'admin');
    const [record, ...more] = await recorded('flow.withdrawn');
    assert.deepEqual([record.data, record.actor.id, more.length], [{ name, cause: 'asked' }, 'admin', 0]);
    assert.equal(record.refs[0].role, 'reason');
    assert.deepEqual(codes(await withdraw()), [409, 'FLOW_WITHDRAWN']);

    const go = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount: 5 },
    });
    assert.equal(go.body.result.status, 'executed');
    await api.database.asSuperuser(
      `update idempotency set status = null, response = null, held_until = now() - interval '1 second' where key = $1`,
      [headers['idempotency-key']],
    );
    assert.equal((await start({}, 'agent', headers)).body.run.id, begun.body.run.id, 'begun is begun');

    assert.equal((await publish(100)).status, 201);
    assert.equal((await start()).body.run.flowVersion, 2);
    assert.equal((await listed()).withdrawn, null);
  });

  it('none of a flow whose file is gone, until there is a file again', async () => {
    writeFileSync(file(), text(100));
    await reload();
    const run = (await start()).body.run.id as string;
    rmSync(file());
    assert.equal((await reload()).changed, true);
    assert.deepEqual(codes(await start()), [409, 'FLOW_WITHDRAWN']);
    assert.deepEqual([(await listed()).withdrawn.by, (await listed()).withdrawn.reason], ['admin', null]);
    assert.equal((await recorded('flow.withdrawn'))[0].data.cause, 'folder');
    assert.equal((await api.ask('agent', 'GET', `/v1/runs/${run}`)).body.run.status, 'running');
    assert.equal((await reload()).changed, false);
    writeFileSync(file(), text(100));
    await reload();
    assert.equal((await start()).body.run.flowVersion, 2);
    rmSync(file());
    await reload();
  });

  it('none in an environment that the policies no longer declare, or that the engine is not ready for', async () => {
    const declare = (text: string | null): void => {
      const path = join(api.home, 'policies', 'environments.yaml');
      if (text === null) rmSync(path);
      else writeFileSync(path, text);
    };
    declare('environments: { dev: {}, lab: {} }\n');
    await reload();
    await api.ask('admin', 'POST', '/v1/flows', { ...JSON.parse(text(100)), environment: 'lab' });
    assert.equal((await start()).body.run.environment, 'lab');
    const runs = async (): Promise<number> => {
      const { rows } = await api.database.asSuperuser('select count(*)::int as count from run');
      return Number((rows[0] as { count: number }).count);
    };
    const before = await runs();
    notReady.add('lab');
    const refused = await start();
    assert.deepEqual(
      [...codes(refused), refused.headers.get('retry-after')],
      [503, 'ENGINE_UNAVAILABLE', '2'],
    );
    notReady.clear();
    declare('environments: { dev: {} }\n');
    await reload();
    assert.deepEqual(codes(await start()), [404, 'NOT_FOUND']);
    assert.equal(await runs(), before);
    declare(null);
    await reload();
  });

  it('one whose file is gone and that was published too; one that was withdrawn stays so beside its unchanged file', async () => {
    writeFileSync(file(), text(100));
    await reload();
    assert.equal((await publish(100)).status, 200, 'the very same content');
    rmSync(file());
    await reload();
    assert.equal((await start()).status, 201);
    writeFileSync(file(), text(100));
    await reload();
    assert.equal((await withdraw()).status, 200);
    assert.equal((await reload()).changed, false);
    assert.deepEqual(codes(await start()), [409, 'FLOW_WITHDRAWN']);
    writeFileSync(file(), readFileSync(file(), 'utf8').replace('> 100', '> 300'));
    await reload();
    assert.deepEqual(codes(await start()), [409, 'FLOW_WITHDRAWN'], 'a changed file is stored, no more');
    assert.equal((await publish(300)).status, 201);
    assert.equal((await start()).status, 201);
    rmSync(file());
    await reload();
  });

  it('none that somebody withdrew, whatever the folder does, until somebody publishes it by the API', async () => {
    writeFileSync(file(), text(100));
    await reload();
    await withdraw();
    const refused = async (what: string): Promise<void> => {
      assert.deepEqual(codes(await start()), [409, 'FLOW_WITHDRAWN'], what);
      assert.equal((await listed()).withdrawn.reason, 'the bank has closed', what);
    };
    rmSync(file());
    await reload();
    await refused('its file is gone');
    writeFileSync(file(), text(100));
    await reload();
    await refused('its file is back');
    writeFileSync(file(), JSON.stringify({ ...JSON.parse(text(100)), description: 'pays bills' }));
    await reload();
    await refused('its description has changed');
    await api.deps.policies.start({ kind: 'runtime', id: 'countersign' }, newId('trc'));
    await refused('the service has started anew');
    assert.equal((await publish(100)).status, 201);
    assert.equal((await start()).status, 201);
    rmSync(file());
    await reload();
  });

  it('none that the folder had given up and somebody withdrew then, although its file is back', async () => {
    writeFileSync(file(), text(100));
    await reload();
    rmSync(file());
    await reload();
    assert.equal((await withdraw()).status, 200);
    assert.equal((await listed()).withdrawn.reason, 'the bank has closed');
    writeFileSync(file(), text(100));
    await reload();
    assert.deepEqual(codes(await start()), [409, 'FLOW_WITHDRAWN']);
    rmSync(file());
    await reload();
  });

  it('each by the permission that was used: one that the folder publishes is no publication by `flow.publish`', async () => {
    writeFileSync(file(), text(100));
    await reload();
    await publish(200);
    const records = await recorded('flow.published');
    assert.deepEqual(
      records.map((record) => record.permission),
      ['policy.reload', 'flow.publish'],
    );
    rmSync(file());
    await reload();
  });

  it('one that was withdrawn stays so when only a tool has changed', async () => {
    const tools = join(api.home, 'policies', 'tools', 'bank.yaml');
    const before = readFileSync(tools, 'utf8');
    writeFileSync(file(), text(100));
    await reload();
    await withdraw();
    writeFileSync(tools, before.replace('{ paid: true }', '{ paid: true, today: true }'));
    assert.equal((await reload()).changed, true);
    assert.equal((await listed()).version, 2, 'the plan is another one, and stored');
    assert.deepEqual(codes(await start()), [409, 'FLOW_WITHDRAWN']);
    assert.equal((await listed()).withdrawn.reason, 'the bank has closed');
    assert.equal((await publish(100)).status, 201);
    assert.equal((await start()).status, 201);
    rmSync(file());
    writeFileSync(tools, before);
    await reload();
  });

  it('none of a flow whose file is gone, although it was published before that file replaced it', async () => {
    await publish(100);
    writeFileSync(file(), text(100));
    await reload();
    assert.equal((await listed()).version, 1, 'the file says what was published: both hold it');
    writeFileSync(file(), text(200));
    await reload();
    assert.equal((await listed()).version, 2);
    rmSync(file());
    await reload();
    assert.deepEqual(codes(await start()), [409, 'FLOW_WITHDRAWN']);
    assert.equal((await recorded('flow.withdrawn'))[0].data.cause, 'folder');
  });

  it('none in an environment that the file has left, until it is back or somebody publishes it there', async () => {
    const inEnvironment = (environment: string): string =>
      JSON.stringify({ ...JSON.parse(text(100)), environment });
    const environments = join(api.home, 'policies', 'environments.yaml');
    writeFileSync(environments, 'environments: { dev: {}, lab: {} }\n');
    writeFileSync(file(), inEnvironment('dev'));
    await reload();
    assert.equal((await start()).body.run.environment, 'dev');
    writeFileSync(file(), inEnvironment('lab'));
    await reload();
    for (const [as, body] of [
      ['agent', { environment: 'dev' }],
      ['admin', { version: 1 }],
    ] as const)
      assert.deepEqual(codes(await start(body, as)), [409, 'FLOW_WITHDRAWN']);
    assert.equal((await start()).body.run.environment, 'lab');
    await api.ask('admin', 'POST', '/v1/flows', inEnvironment('dev'));
    assert.equal((await start({ environment: 'dev' })).body.run.flowVersion, 3, 'the same content again');
    writeFileSync(file(), inEnvironment('dev'));
    await reload();
    assert.deepEqual(codes(await start({ environment: 'lab' })), [409, 'FLOW_WITHDRAWN']);
    assert.equal((await start()).body.run.flowVersion, 3, 'both hold it');
    rmSync(file());
    rmSync(environments);
    await reload();
  });
});
