import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { showRun } from '../../../src/cli/show.js';
import { until } from '../../../testing/until.js';
import { makeTarget, type Target } from '../../activities/execute/target.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

describe('a cancel while a call is under way', () => {
  let api: Harness;
  let target: Target;
  let finish = (): void => undefined;
  before(async () => {
    api = await startApi();
    target = await makeTarget();
    const executor = {
      kind: 'rest',
      connection: 'site',
      method: 'POST',
      path: '/build',
      idempotencyKey: true,
    };
    const build = { target: 'built', tier: 'reversible', executor };
    const states = {
      open: { transitions: { build, drop: { target: 'gone' } } },
      built: { transitions: { drop: { target: 'gone' } } },
      gone: { terminal: true },
    };
    await api.load({
      'connections.yaml': {
        connections: { site: { kind: 'rest', baseUrl: target.url, allowPrivate: true } },
      },
      'flows/work.yaml': { workflows: { work: { owner: 'team', initialState: 'open', states } } },
    });
  });
  after(async () => {
    finish();
    await api.stop();
    await target.close();
  });

  const building = async (): Promise<string> => {
    const started = await api.ask('agent', 'POST', '/v1/flows/work/runs', {});
    assert.equal(started.status, 201, started.text);
    const run = started.body.run.id as string;
    target.say(new Promise((resolve) => (finish = () => resolve(200))));
    const asked = await submit(run, 'build');
    assert.equal(asked.status, 202, asked.text);
    await until('a call under way', () => target.requests.length > 0 || null, 10_000);
    return run;
  };
  const submit = (run: string, transition: string): Promise<Answer> =>
    api.ask('agent', 'POST', `/v1/runs/${run}/transitions/${transition}?wait=0`, {});
  const cancel = (run: string, wait = 0): Promise<Answer> =>
    api.ask('admin', 'POST', `/v1/runs/${run}/cancel?wait=${wait}`, { reason: 'a mistake' });
  const get = (run: string): Promise<Answer> => api.ask('agent', 'GET', `/v1/runs/${run}`);

  it('is answered with 202, and the run says that it is to end and offers nothing', async () => {
    const run = await building();
    assert.equal((await get(run)).body.run.ending, undefined);
    const first = await cancel(run);
    assert.deepEqual([first.status, first.body.result.status], [202, 'executing'], first.text);
    const second = await cancel(run);
    for (const { body } of [first, second, await get(run)]) {
      assert.equal(body.run.status, 'running');
      const { message, ...ending } = body.run.ending;
      assert.deepEqual(ending, { why: 'cancel', by: { id: 'admin', kind: 'human' }, waitsFor: 'build' });
      assert.match(message, /has cancelled the run, which ends once the outcome of `build` is known/);
      assert.deepEqual(body.links, []);
      assert.ok(showRun(body).includes(`ending  ${message}`), showRun(body).join('\n'));
    }
    assert.equal(second.status, 202);
    const refused = await submit(run, 'drop');
    assert.deepEqual([...codes(refused), refused.body.links], [409, 'RUN_BUSY', []]);
    assert.match(refused.body.detail, /`admin` has cancelled the run/);
    assert.doesNotMatch(refused.body.detail, /try again/);
    const waiting = cancel(run, 20);
    await until(
      'a third cancel that the run has taken',
      async () => {
        const asked = `select 1 from message where run = $1 and kind = 'cancel' and rev is not null`;
        return (await api.database.asSuperuser(asked, [run])).rows.length === 3 || null;
      },
      10_000,
    );
    finish();
    assert.deepEqual([(await waiting).status, (await waiting).body.run.status], [200, 'cancelled']);
    const { body } = await get(run);
    assert.deepEqual([body.run.status, body.run.ending, body.links], ['cancelled', undefined, []]);
  });

  it('leaves what executes without one as it was: busy, and to be tried again', async () => {
    const run = await building();
    const refused = await submit(run, 'drop');
    assert.deepEqual(codes(refused), [409, 'RUN_BUSY']);
    assert.match(refused.body.detail, /`build` is executing; try again when it has settled/);
    assert.notEqual((await get(run)).body.links.length, 0);
    finish();
  });
});
