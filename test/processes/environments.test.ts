// Mostly waits: for a worker to be missed where it does not work.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newId } from '../../src/model/names/ids.js';
import { inCampaigns } from '../../testing/samples.js';
import { startStack, type Stack } from '../../testing/servers/stack.js';
import { until } from '../../testing/until.js';

// An environment that a reload adds: its namespace is made, the worker that runs already polls it.

const names = [1, 2].map((n) => newId('svc').replace('svc_', `added${n}-`).slice(0, 30));
const [first = '', second = ''] = names;

const flow = (name: string, environment: string): string =>
  JSON.stringify({
    workflows: {
      [name]: {
        owner: 'team',
        environment,
        initialState: 'open',
        states: {
          open: { transitions: { finish: { target: 'done', actor: 'agent' } } },
          done: { terminal: true },
        },
      },
    },
  });

let stack: Stack;
before(async () => {
  stack = await startStack({
    policies: {
      'environments.yaml': 'environments: { dev: {} }\n',
      'flows/here.json': flow('here', 'dev'),
    },
  });
});
after(() => stack.stop());

const declare = (environments: readonly string[]): void =>
  writeFileSync(
    join(stack.policies, 'environments.yaml'),
    `environments: { ${environments.map((name) => `${name}: {}`).join(', ')} }\n`,
  );
const reload = (body: object = {}) => stack.fetchAs('admin', 'POST', '/v1/policies/reload', body);
const start = (name: string) => stack.fetchAs('agent', 'POST', `/v1/flows/${name}/runs`, {});

test('runs start in an environment that a reload has added, on the worker that was there before', async () => {
  const worker = stack.worker.pid;
  declare(['dev', first]);
  writeFileSync(join(stack.policies, 'flows', 'there.json'), flow('there', first));
  assert.equal((await reload()).status, 200);
  const started = await until(
    'a start that is taken',
    async () => {
      const answer = await start('there');
      assert.ok([201, 202, 503].includes(answer.status), JSON.stringify(answer.body));
      if (answer.status === 503) assert.ok(Number(answer.headers.get('retry-after')) > 0);
      return answer.status === 503 ? null : answer;
    },
    20_000,
  );
  const run = started.body.run.id as string;
  await until(
    'a link of the run',
    async () => {
      const { body } = await stack.fetchAs('agent', 'GET', `/v1/runs/${run}`);
      return body.links.length > 0 ? true : null;
    },
    20_000,
  );
  const done = await stack.fetchAs('agent', 'POST', `/v1/runs/${run}/transitions/finish`, {});
  assert.equal(done.body.run.status, 'completed', JSON.stringify(done.body));
  assert.equal(done.body.run.temporal.namespace, `countersign-${first}`);
  assert.equal(stack.worker.pid, worker);
  const { body } = await stack.fetchAs(null, 'GET', '/readyz');
  assert.deepEqual([body.worker, body.unserved], [true, undefined]);
});

test(
  'readiness names an environment that no worker polls; what is started there runs once one does',
  inCampaigns,
  async () => {
    await stack.worker.kill();
    declare(['dev', first, second]);
    writeFileSync(join(stack.policies, 'flows', 'later.json'), flow('later', second));
    assert.equal((await reload()).status, 200);
    const started = await until(
      'a start that is taken',
      async () => {
        const answer = await start('later');
        return answer.status === 503 ? null : answer;
      },
      20_000,
    );
    assert.equal(started.status, 202);
    const { body } = await stack.fetchAs(null, 'GET', '/readyz');
    assert.equal(body.worker, false);
    assert.ok(body.unserved.includes(second), JSON.stringify(body));
    await stack.worker.restart();
    await until(
      'the run',
      async () => {
        const found = await stack.fetchAs('agent', 'GET', `/v1/runs/${started.body.run.id}`);
        return found.body.links.length > 0 ? true : null;
      },
      20_000,
    );
  },
);
