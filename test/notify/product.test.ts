// Mostly waits: for the timers of an approval.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { asSuperuser } from '../../testing/servers/database.js';
import { inCampaigns } from '../../testing/samples.js';
import { startStack, type Stack } from '../../testing/servers/stack.js';
import { startReceiver, type Receiver } from './receiver.js';

const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;

/** What a person sees who runs it: real processes, a policies folder, a variable. */
describe('the product', () => {
  let receiver: Receiver;
  let stack: Stack;
  before(async () => {
    receiver = await startReceiver();
    const hook = (path: string): string =>
      `{ kind: webhook, url: '${receiver.url}${path}', secret: env://HOOK_SECRET, allowPrivate: true }`;
    stack = await startStack({
      env: { HOOK_SECRET: secret },
      policies: {
        'environments.yaml': 'environments: { dev: {} }\n',
        'roles.yaml':
          'roles: { boss: { permissions: [] } }\nqueues: { desk: { roles: [clerk] }, vault: { roles: [keeper] } }\n',
        'notifications.yaml': `channels:\n  desk: ${hook('?desk')}\n  boss: ${hook('?boss')}\n  vault: ${hook('?vault')}\nroutes:\n  - { queue: desk, to: [desk] }\n  - { queue: vault, to: [vault] }\n  - { role: boss, events: [escalated, reminder], to: [boss] }\n`,
        'flows/form.yaml': `
workflows:
  form:
    owner: team
    initialState: open
    states:
      open:
        transitions:
          sign: { target: done, actor: agent, executor: { kind: human, queue: desk } }
          hurry:
            target: done
            actor: agent
            executor: { kind: noop }
            gate:
              queue: desk
              reminders: [0.5]
              timeout: { after: 6s, action: escalate, to: [boss], then: { after: 6s, action: deny } }
          both: { target: done, actor: agent, executor: { kind: human, queue: vault }, gate: { queue: desk } }
      done: { terminal: true }
`,
      },
    });
  });
  after(async () => {
    await stack.stop();
    await receiver.close();
  });

  async function ask(transition: string): Promise<string> {
    const started = await stack.fetchAs('agent', 'POST', '/v1/flows/form/runs', {});
    assert.equal(started.status, 201, JSON.stringify(started.body));
    const path = `/v1/runs/${String(started.body.run.id)}/transitions/${transition}`;
    const asked = await stack.fetchAs('agent', 'POST', path, { arguments: {} });
    assert.equal(asked.status, 202, JSON.stringify(asked.body));
    return asked.body.result.approval.id as string;
  }
  const of = (approval: string): string[] =>
    receiver.received
      .filter((request) => request.body.data.approval === approval)
      .map((request) => `${request.path} ${String(request.body.type)}`);

  it('reminds its queue, tells the role that it is escalated to, and that nobody decided: by its timers', async () => {
    const approval = await ask('hurry');
    await receiver.until(() => of(approval).length === 7);
    assert.deepEqual(of(approval).sort(), [
      '/in?boss approval.escalated',
      '/in?boss approval.reminder',
      '/in?desk approval.escalated',
      '/in?desk approval.expired',
      '/in?desk approval.reminder',
      '/in?desk approval.reminder',
      '/in?desk approval.requested',
    ]);
    const last = receiver.received.find((request) => request.body.type === 'approval.escalated');
    assert.deepEqual(last?.body.data.roles, ['clerk', 'boss']);
    for (const request of receiver.received)
      new Webhook(secret).verify(request.text, request.headers as Record<string, string>);
  });

  it('tells every queue of which it asks somebody', async () => {
    const approval = await ask('both');
    await receiver.until(() => of(approval).length === 2);
    assert.deepEqual(of(approval).sort(), ['/in?desk approval.requested', '/in?vault approval.requested']);
  });

  it('tells again what its API was killed over, under the same id', inCampaigns, async () => {
    receiver.answer = () => undefined;
    const approval = await ask('sign');
    await receiver.until(() => of(approval).length === 1);
    await stack.api.kill();
    receiver.answer = (_request, response) => void response.writeHead(204).end();
    // Its lease ends.
    await asSuperuser(stack.databaseUrl, `update notification set next_at = now() where status = 'waiting'`);
    await stack.api.restart();
    await receiver.until(() => of(approval).length === 2);
    const ids = receiver.received
      .filter((request) => request.body.data.approval === approval)
      .map((request) => request.id);
    assert.equal(ids[0], ids[1]);
    const path = `/v1/approvals/${approval}`;
    for (;;) {
      const { body } = await stack.fetchAs('auditor', 'GET', path);
      if (body.delivery.status === 'delivered') break;
      assert.equal(body.delivery.status, 'pending');
    }
    // Counted when the record is durable, which is an instant before.
    const counted = /countersign_notifications_total\{channel="desk",outcome="delivered"\} 1/;
    while (!counted.test(String((await stack.fetchAs(null, 'GET', '/metrics')).body)));
  });
});
