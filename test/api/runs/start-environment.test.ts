import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

describe('a start that names no environment', () => {
  let api: Harness;
  let names = 0;
  let name = '';
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());
  beforeEach(() => {
    names += 1;
    name = `placed_${names}`;
  });

  const publish = async (environment: string, above: number): Promise<void> => {
    const permissions = { read: [], execute: ['bank.pay'], deny: [] };
    const gate = { on: `amount > ${above}`, approver_role: 'finance.controller' };
    const flow = { name, owner: 'team', environment, permissions, approval_gate: gate };
    const published = await api.ask('admin', 'POST', '/v1/flows', flow);
    assert.equal(published.status, 201, published.text);
  };
  const start = (body: object = {}): Promise<Answer> =>
    api.ask('agent', 'POST', `/v1/flows/${name}/runs`, body);
  const started = async (body: object = {}): Promise<unknown[]> => {
    const { run } = (await start(body)).body;
    return [run?.environment, run?.flowVersion];
  };

  it('starts in `dev` where the flow is there, whatever was published last', async () => {
    await publish('dev', 100);
    await publish('prod', 100);
    assert.deepEqual(await started(), ['dev', 1]);
    await publish('prod', 200);
    assert.deepEqual(await started(), ['dev', 1]);
    assert.deepEqual(await started({ environment: 'prod' }), ['prod', 3]);
    assert.deepEqual(await started({ version: 3 }), ['prod', 3], 'a version says its environment');
  });

  it('starts in the only environment that holds the flow', async () => {
    await publish('prod', 100);
    assert.deepEqual(await started(), ['prod', 1]);
  });

  it('starts nowhere, and is told where it could, where several hold the flow, but not dev', async () => {
    await publish('staging', 100);
    await publish('prod', 100);
    const refused = await start();
    assert.deepEqual(codes(refused), [422, 'REQUEST_INVALID'], refused.text);
    assert.match(
      refused.body.detail,
      /is published in `prod`, `staging`, and not in `dev`: name one of them/,
    );
    assert.equal(refused.body.errors[0].pointer, '/environment');
    assert.deepEqual(await started({ environment: 'staging' }), ['staging', 1]);
  });

  it('starts where the flow is held still when the policies give up the environment of its newest version', async () => {
    const environments = join(api.home, 'policies', 'environments.yaml');
    const reload = async (confirm: string[]): Promise<void> =>
      assert.equal((await api.ask('admin', 'POST', '/v1/policies/reload', { confirm })).status, 200);
    writeFileSync(environments, 'environments: { dev: {}, lab: {}, prod: {}, staging: {} }\n');
    await reload([]);
    await publish('dev', 100);
    await publish('lab', 100);
    writeFileSync(environments, 'environments: { dev: {}, prod: {}, staging: {} }\n');
    await reload(['lab']);
    assert.deepEqual(await started(), ['dev', 1]);
    rmSync(environments);
    await reload([]);
  });

  it('says of an environment that no file declares that there is none, and which there are', async () => {
    await publish('dev', 100);
    const refused = await start({ environment: 'pord' });
    assert.deepEqual(codes(refused), [404, 'NOT_FOUND']);
    assert.equal(
      refused.body.detail,
      'the policies declare no environment `pord`: it is one of `dev`, `staging`, `prod`',
    );
  });
});
