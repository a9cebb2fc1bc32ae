import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { asSuperuser } from '../support/database.js';
import { startStack, type Stack } from '../support/stack.js';
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
        'roles.yaml': 'roles: { boss: { permissions: [] } }\nqueues: { desk: { roles: [clerk] } }\n',
        'notifications.yaml': `channels:\n  desk: ${hook('?desk')}\n  boss: ${hook('?boss')}\nroutes:\n  - { queue: desk, to: [desk] }\n  - { role: boss, events: [escalated], to: [boss] }\n`,
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
            gate: { queue: desk, timeout: { after: 1s, action: escalate, to: [boss] } }
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
      .filter((one) => one.body.data.approval === approval)
      .map((one) => `${one.path} ${String(one.body.type)}`);

  it('tells a queue and a role what happens to what waits for them, until nobody decided it', async () => {
    const approval = await ask('hurry');
    await receiver.until(() => of(approval).some((one) => one.endsWith('approval.expired')));
    await receiver.until(() => of(approval).length === 4);
    assert.deepEqual(of(approval).sort(), [
      '/in?boss approval.escalated',
      '/in?desk approval.escalated',
      '/in?desk approval.expired',
      '/in?desk approval.requested',
    ]);
    for (const one of receiver.received)
      new Webhook(secret).verify(one.text, one.headers as Record<string, string>);
  });

  it('tells again what its API was killed over, under the same id', async () => {
    receiver.answer = () => undefined;
    const approval = await ask('sign');
    await receiver.until(() => of(approval).length === 1);
    await stack.api.kill();
    receiver.answer = (_request, response) => void response.writeHead(204).end();
    // Its lease ends.
    await asSuperuser(stack.databaseUrl, `update notification set next_at = now() where status = 'waiting'`);
    await stack.api.restart();
    await receiver.until(() => of(approval).length === 2);
    const ids = receiver.received.filter((one) => one.body.data.approval === approval).map((one) => one.id);
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
