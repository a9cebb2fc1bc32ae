import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { newId } from '../../../src/model/names/ids.js';
import { inCampaigns } from '../../../testing/samples.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

// A flow that was published by the API starts under the policies of now, not of when it was published.

describe('flows that were published by the API, when the policies change', () => {
  let api: Harness;
  let author = '';
  before(async () => {
    api = await startApi();
    const given = { id: 'mina', kind: 'human', roles: [], permissions: ['flow.publish'] };
    author = (await api.ask('admin', 'POST', '/v1/keys', given)).body.key as string;
  });
  beforeEach(async () => {
    tool();
    await reload();
  });
  after(() => api.stop());

  const file = (name: string): string => join(api.home, 'policies', name);
  /** Written as a whole, since a reload may read it meanwhile. */
  const replace = (name: string, text: string): void => {
    const draft = join(api.home, 'draft');
    writeFileSync(draft, text);
    renameSync(draft, file(name));
  };
  const tool = (tier = 'reversible', limit = 100): void =>
    replace(
      'tools/desk.yaml',
      `tools: [{ name: desk.send, tier: ${tier}, executor: { kind: noop }, inputSchema: { type: object, properties: { x: { type: number, maximum: ${limit} } } } }]\n`,
    );
  const noTool = (): void => replace('tools/desk.yaml', 'tools: []\n');
  const reload = async (): Promise<any> => {
    const reloaded = await api.ask('admin', 'POST', '/v1/policies/reload', {});
    assert.equal(reloaded.status, 200, reloaded.text);
    return reloaded.body;
  };
  const restart = async () => {
    const started = await api.deps.policies.start({ kind: 'runtime', id: 'countersign' }, newId('trc'));
    assert.ok(started.status === 'loaded');
    return started;
  };
  const text = (name: string, transitions: object): string =>
    JSON.stringify({
      workflows: {
        [name]: {
          owner: 'team',
          initialState: 'open',
          states: {
            open: { transitions: { ...transitions, end: { target: 'done', tier: 'reversible' } } },
            done: { terminal: true },
          },
        },
      },
    });
  const sends = { send: { target: 'open', tool: 'desk.send' } };
  const publish = async (name: string, transitions: object = sends): Promise<void> => {
    const published = await api.ask(author, 'POST', '/v1/flows', text(name, transitions));
    assert.equal(published.status, 201, published.text);
  };
  const begin = (name: string): Promise<Answer> => api.ask('agent', 'POST', `/v1/flows/${name}/runs`, {});
  const send = (run: string, x: number, transition = 'send'): Promise<Answer> =>
    api.ask('agent', 'POST', `/v1/runs/${run}/transitions/${transition}?wait=20`, { arguments: { x } });
  const recorded = async (flow: string, type: string): Promise<any[]> =>
    (await api.ask('auditor', 'GET', `/v1/audit?limit=500&flow=${flow}&type=${type}`)).body.data;

  it('start with the tool as it is now, as a version of their author; runs under way go on as they began', async () => {
    await publish('tightened');
    const old = (await begin('tightened')).body.run.id as string;
    tool('irreversible');
    const { flows, withdrawn } = await reload();
    assert.deepEqual(withdrawn, []);
    assert.deepEqual(
      flows.filter((flow: { change: string }) => flow.change === 'published'),
      [{ name: 'tightened', version: 2, change: 'published' }],
    );
    const { run } = (await begin('tightened')).body;
    assert.equal(run.flowVersion, 2);
    assert.equal((await send(run.id, 1)).status, 202, 'it waits for a person');
    assert.equal((await send(old, 1)).status, 200);
    const [, again] = await recorded('tightened', 'flow.published');
    assert.deepEqual([again.actor.id, again.permission], ['admin', 'policy.reload']);
    assert.match(again.data.why, /another plan/);
    const { body } = await api.ask('admin', 'GET', '/v1/flows/tightened/versions/2');
    assert.equal(body.publishedBy, 'mina', 'whom a separation of the author keeps out');
    assert.equal(body.source, text('tightened', sends));
    assert.equal((await reload()).changed, false);
  });

  it('are the same version as long as the policies are, in whatever order and notation they were written', async () => {
    const shouted = (name: string): string =>
      `workflows:\n  ${name}:\n    states:\n      open: { transitions: { z: { target: open, tier: reversible, executor: { kind: noop, output: { z: 1, a: 2 } } }, a: { target: done, tier: reversible } } }\n      done: { terminal: true }\n    owner: team\n    initialState: open\n`;
    const headers = { 'content-type': 'application/yaml' };
    await publish('ordered', {
      z: { target: 'open', tool: 'desk.send' },
      a: { target: 'done', tier: 'reversible' },
    });
    const published = await api.ask(author, 'POST', '/v1/flows', shouted('shouted'), headers);
    assert.equal(published.status, 201, published.text);
    await reload();
    await restart();
    for (const name of ['ordered', 'shouted'])
      assert.equal((await recorded(name, 'flow.published')).length, 1, name);
    const again = await api.ask(author, 'POST', '/v1/flows', shouted('shouted'), headers);
    assert.deepEqual([again.status, again.body.version], [200, 1]);
  });

  it('stay, whatever notation they were written in', inCampaigns, async () => {
    const yaml = { 'content-type': 'application/yaml' };
    const flows = {
      braced: `{workflows: {braced: {owner: team, initialState: open, states: {open: {transitions: {send: {target: open, tool: desk.send}, end: {target: done, tier: reversible},}}, done: {terminal: true}}}}}\n`,
      remarked: `  { # a remark\n workflows: { remarked: ${'{'} "owner": 'team', initialState: open, states: { open: { transitions: { send: { target: open, tool: desk.send } } }, done: { terminal: true } } } } }\n`,
      tagged: `{"workflows": {"tagged": {owner: &t team, initialState: open, states: {open: {description: *t, transitions: {send: {target: done, tool: desk.send}}}, done: {terminal: true}}}}}`,
    };
    for (const [name, source] of Object.entries(flows)) {
      const published = await api.ask(author, 'POST', '/v1/flows', source, yaml);
      assert.equal(published.status, 201, `${name}: ${published.text}`);
      assert.equal((await api.ask(author, 'POST', '/v1/flows', source)).status, 422, 'it is no JSON');
    }
    await publish('quoted');
    replace('tools/other.yaml', 'tools: [{ name: other, tier: reversible, executor: { kind: noop } }]\n');
    assert.deepEqual((await reload()).withdrawn, []);
    for (const name of [...Object.keys(flows), 'quoted']) assert.equal((await begin(name)).status, 201, name);
  });

  it('come into force with a reload, also those that are published as it goes on', async () => {
    const reloading = [];
    for (let round = 0; round < 3; round += 1) {
      tool('irreversible', 100 + round);
      reloading.push(reload());
      await publish(`meanwhile_${round}`);
    }
    await Promise.all(reloading);
    await reload();
    for (let round = 0; round < 3; round += 1) {
      const { run } = (await begin(`meanwhile_${round}`)).body;
      assert.equal((await send(run.id, 1)).status, 202, 'it waits for a person');
    }
  });

  for (const how of ['reload', 'restart'] as const)
    it(`are withdrawn where they have an error now, and it says which: ${how}`, async () => {
      const name = `orphan_${how}`;
      await publish(name);
      const old = (await begin(name)).body.run.id as string;
      noTool();
      const { withdrawn } = how === 'reload' ? await reload() : await restart();
      const own = withdrawn.filter((flow: { name: string }) => flow.name === name);
      assert.deepEqual([own.length, own[0].environment], [1, 'dev']);
      assert.match(own[0].reason, /UNKNOWN_TOOL: .*desk\.send/);
      assert.deepEqual(codes(await begin(name)), [409, 'FLOW_WITHDRAWN']);
      assert.equal((await send(old, 1)).status, 200, 'it ends under what it began with');
      const [fact] = await recorded(name, 'flow.withdrawn');
      assert.deepEqual([fact.data.cause, fact.data.why], ['policies', own[0].reason]);
      tool();
      await reload();
      assert.deepEqual(codes(await begin(name)), [409, 'FLOW_WITHDRAWN'], 'until somebody publishes it');
      await publish(name);
      assert.equal((await begin(name)).status, 201);
    });

  it('leave their place to the file of the folder where that is right', inCampaigns, async () => {
    const path = file('flows/both.json');
    writeFileSync(path, text('both', {}));
    await reload();
    await publish('both');
    assert.equal((await begin('both')).body.run.flowVersion, 2);
    noTool();
    const { withdrawn } = await reload();
    assert.ok(withdrawn.some((flow: { name: string }) => flow.name === 'both'));
    const { run } = (await begin('both')).body;
    assert.equal(run.flowVersion, 3);
    assert.deepEqual(codes(await send(run.id, 1)), [404, 'UNKNOWN_TRANSITION']);
    rmSync(path);
  });

  it('are not published as they were checked, where other policies came into force meanwhile', async () => {
    const asker = { principal: 'mina', to: 'publish' } as const;
    const checked = await api.deps.policies.check(text('late', sends), 'json', asker);
    assert.ok(checked.status === 'valid');
    tool('irreversible');
    await reload();
    const by = { kind: 'human', id: 'mina' } as const;
    const mayKeep = (): Promise<void> => Promise.resolve();
    assert.equal(await api.deps.policies.publish(checked.flow, by, newId('trc'), mayKeep), null);
    assert.deepEqual(codes(await begin('late')), [404, 'NOT_FOUND']);
  });

  it('narrow what their tool takes, and widen nothing', async () => {
    const x = (limit: number) => ({ type: 'object', properties: { x: { type: 'number', maximum: limit } } });
    const own = (limit: number) => ({ target: 'open', tool: 'desk.send', inputSchema: x(limit) });
    await publish('narrowing', { wide: own(9_000), narrow: own(10) });
    const run = (await begin('narrowing')).body.run.id as string;
    const refused = await send(run, 5_000, 'wide');
    assert.deepEqual(codes(refused), [422, 'INPUT_INVALID']);
    assert.match(refused.body.detail, /schema of its tool `desk\.send`/);
    assert.deepEqual(codes(await send(run, 50, 'narrow')), [422, 'INPUT_INVALID']);
    assert.equal((await send(run, 50, 'wide')).status, 200);
    assert.equal((await send(run, 5, 'narrow')).status, 200);
  });
});
