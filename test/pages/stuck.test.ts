import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { signIn, visit, type Page } from '../../testing/browser-forms.js';
import { until } from '../../testing/flows.js';
import { makeTarget, type Target } from '../activities/execute/target.js';
import { startApi, type Harness } from '../api/harness.js';

// What an approver is told of a run that is stuck: before the decision, and after it.

const gate = { roles: ['finance.controller'] };
const definition = {
  owner: 'team',
  initialState: 'open',
  states: {
    open: {
      transitions: {
        send: {
          ...{ target: 'open', tier: 'reversible', gate },
          executor: { kind: 'rest', connection: 'post', method: 'POST', path: '/send' },
        },
        other: { target: 'open', gate },
      },
    },
  },
};
interface Parked {
  readonly id: string;
  readonly digest: string;
}

describe('an approver of a run that is stuck', () => {
  let api: Harness;
  let post: Target;
  before(async () => {
    api = await startApi();
    post = await makeTarget();
    await api.load({
      'connections.yaml': { connections: { post: { kind: 'rest', baseUrl: post.url, allowPrivate: true } } },
      'flows/stuck.yaml': { workflows: { stuck: definition } },
    });
  });
  after(async () => {
    await api.stop();
    await post.close();
  });

  const park = async (run: string, transition: string): Promise<Parked> => {
    const asked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/${transition}`, {});
    assert.equal(asked.status, 202, asked.text);
    return asked.body.result.approval;
  };
  const approve = async ({ id, digest }: Parked): Promise<void> => {
    const said = await api.ask('finance', 'POST', `/v1/approvals/${id}/decision`, {
      ...{ decision: 'approve', digest },
    });
    assert.ok(said.status === 200 || said.status === 202, said.text);
  };
  const isRun = (run: string, status: string): Promise<unknown> =>
    until(`the run to be ${status}`, async () => {
      const { body } = await api.ask('auditor', 'GET', `/v1/runs/${run}`);
      return body.run.status === status;
    });
  const read = async ({ id }: Parked): Promise<Page> =>
    visit(`${api.url}/approvals/${id}`, await signIn(api.url, api.keys['finance'] ?? ''));

  it('reads that what else is approved waits for an operator, and the repeat itself only where our own code has halted the run', async () => {
    const started = await api.ask('agent', 'POST', '/v1/flows/stuck/runs', {});
    const run = started.body.run.id as string;
    const [sent, other] = [await park(run, 'send'), await park(run, 'other')];
    const waits = /stuck: what is approved here does not run before an operator has the run go on/;
    assert.doesNotMatch((await read(other)).text, waits);
    // The target takes the request, and its answer is lost.
    post.say('drop');
    await approve(sent);
    await isRun(run, 'stuck');
    assert.match((await read(other)).text, waits);
    assert.match((await read(other)).text, /<form[^>]*action="\/approvals\//);

    const retried = await api.ask('admin', 'POST', `/v1/runs/${run}/retry`, { reason: 'it did not arrive' });
    assert.ok(retried.status === 200 || retried.status === 202, retried.text);
    const open = await api.ask('finance', 'GET', '/v1/approvals?status=open');
    const repeat = open.body.data.find((approval: any) => approval.run === run && approval.id !== other.id);
    assert.ok(repeat !== undefined, open.text);
    await isRun(run, 'stuck');
    const shown = await read(repeat);
    assert.match(shown.text, /<form[^>]*action="\/approvals\//);
    assert.doesNotMatch(shown.text, waits);

    const halted = (code: string): Promise<unknown> =>
      api.database.asSuperuser(
        `update run set problem = jsonb_set(problem::jsonb, '{code}', to_jsonb($2::text))::json where id = $1`,
        [run, code],
      );
    await halted('HISTORY_FORKED');
    assert.match((await read(repeat)).text, waits);
    await halted('EXECUTOR_UNKNOWN');

    await approve(repeat);
    await isRun(run, 'waiting');
    assert.match((await read(repeat)).text, /It is approved, and has run\./);
  });
});
