import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { JsonObject } from '../../src/model/values/json.js';
import type { SlackChannel } from '../../src/model/contract/notifications.js';
import { deliverSlack } from '../../src/notify/channels/slack/slack.js';
import type { Around, Delivered, Notification } from '../../src/notify/types.js';
import { references, slackChannel, startSlack, token, type SlackStub } from './slack-stub.js';

const body: JsonObject = {
  id: 'apr_1',
  digest: `sha256:${'a'.repeat(64)}`,
  status: 'open',
  flow: 'pay',
  environment: 'dev',
  run: 'run_1',
  transition: 'bank.pay',
  tool: 'bank.pay',
  tier: 'reversible',
  summary: 'pay 150',
  consequence: 'pays 150',
  arguments: { amount: 150 },
  preview: { kind: 'noop' },
  requestedBy: { id: 'agent', kind: 'agent' },
  because: [{ source: 'charter', text: 'charter: amount > 100' }],
  roles: ['finance.controller'],
  gates: [{ rule: 'charter', text: 'one of the roles finance.controller; 0 of 1 have approved' }],
  expiresAt: '2026-11-22T10:00:00.000Z',
  onExpiry: 'it expires',
  closedAt: null,
  decisions: [],
};
const denied: JsonObject = {
  ...body,
  status: 'denied',
  closedAt: '2026-11-21T10:00:00.000Z',
  decisions: [
    { by: { id: 'ann', kind: 'human' }, decision: 'deny', at: '2026-11-21T10:00:00.000Z', status: 'applied' },
  ],
};

describe('delivery to Slack', () => {
  let slack: SlackStub;
  before(async () => {
    slack = await startSlack();
  });
  beforeEach(() => {
    slack.calls.length = 0;
    slack.next.length = 0;
  });
  after(() => slack.stop());

  const around = (more: Partial<Around> = {}): Around => ({
    references,
    signal: AbortSignal.timeout(10_000),
    now: () => new Date(),
    webhookKey: { published: '', sign: (bytes) => bytes },
    gone: () => Promise.resolve([]),
    longer: (ms) => AbortSignal.timeout(ms),
    ...more,
  });
  const deliver = (
    more: Partial<Notification> = {},
    channel: Partial<SlackChannel> = {},
    world: Partial<Around> = {},
  ): Promise<Delivered> =>
    deliverSlack(
      { ...slackChannel(slack.api), ...channel },
      {
        ...{ id: 'ntf_1', event: 'requested', approval: 'apr_1', run: 'run_1', attempt: 1, recipient: '' },
        ...{ at: '2026-11-21T09:00:00.000Z', body, url: null, link: null, earlier: null },
        ...more,
      },
      around(world),
    );
  const methods = (): string[] => slack.calls.map((call) => call.method);
  const hasButtons = (message: any): boolean => message.blocks.some((block: any) => block.type === 'actions');

  it('posts the approval once, with its token in the header alone, and keeps where it stands', async () => {
    const told = await deliver();
    assert.equal(told.status, 'delivered');
    assert.equal(told.status === 'delivered' && told.memo, 'C0MONEY:1700000000.000001');
    const [call] = slack.calls;
    assert.deepEqual([call?.method, call?.authorization], ['chat.postMessage', `Bearer ${token}`]);
    assert.equal(call?.body.channel, 'C0MONEY');
    assert.ok(hasButtons(call?.body) && !JSON.stringify(call?.body).includes(token));
  });

  it('rewrites that message when somebody has decided, without its buttons', async () => {
    const told = await deliver({ event: 'decided', body: denied, earlier: 'C0OLD:1700000000.000009' });
    assert.equal(told.status, 'delivered');
    const [call] = slack.calls;
    assert.deepEqual(
      [call?.method, call?.body.channel, call?.body.ts],
      ['chat.update', 'C0OLD', '1700000000.000009'],
    );
    assert.ok(!hasButtons(call?.body));
    assert.match(JSON.stringify(call?.body), /Denied by ann at 2026-11-21T10:00:00.000Z/);
  });

  it('calls people again under the message for a reminder, and not for what is settled', async () => {
    const earlier = 'C0MONEY:1700000000.000001';
    for (const event of ['reminder', 'escalated'] as const) {
      slack.calls.length = 0;
      assert.equal((await deliver({ event, earlier })).status, 'delivered');
      assert.deepEqual(methods(), ['chat.update', 'chat.postMessage']);
      assert.equal(slack.calls[1]?.body.thread_ts, '1700000000.000001');
    }
    slack.calls.length = 0;
    assert.equal((await deliver({ event: 'reminder', body: denied, earlier })).status, 'delivered');
    assert.deepEqual(methods(), ['chat.update']);
  });

  it('posts anew where its message was deleted while the approval is open', async () => {
    const gone = { body: { ok: false, error: 'message_not_found' } };
    const earlier = 'C0MONEY:1700000000.000001';
    slack.next.push(gone);
    assert.equal((await deliver({ event: 'escalated', earlier })).status, 'delivered');
    assert.deepEqual(methods(), ['chat.update', 'chat.postMessage']);
    slack.calls.length = 0;
    slack.next.push(gone);
    assert.equal((await deliver({ event: 'decided', body: denied, earlier })).status, 'delivered');
    assert.deepEqual(methods(), ['chat.update']);
  });

  it('tries again later what Slack or an operator can mend, and not a message that it refuses', async () => {
    const cases: readonly [SlackStub['next'][number], object][] = [
      [
        { status: 429, headers: { 'retry-after': '7' }, body: {} },
        { status: 'retry', detail: 'Slack asks to wait (429)', afterMs: 7_000 },
      ],
      [
        { status: 503, body: {} },
        { status: 'retry', detail: 'Slack answered 503' },
      ],
      [
        { body: { ok: false, error: 'ratelimited' } },
        { status: 'retry', detail: 'Slack said `ratelimited`', afterMs: 30_000 },
      ],
      [
        { body: { ok: false, error: 'channel_not_found' } },
        { status: 'retry', detail: 'Slack said `channel_not_found`: see to it, it is tried again' },
      ],
      [
        { body: { ok: false, error: 'invalid_auth' } },
        { status: 'retry', detail: 'Slack said `invalid_auth`: see to it, it is tried again' },
      ],
      [
        { body: { ok: false, error: 'not_in_channel' } },
        { status: 'retry', detail: 'Slack said `not_in_channel`: see to it, it is tried again' },
      ],
      [
        { body: { ok: false, error: 'invalid_blocks' } },
        { status: 'failed', detail: 'Slack said `invalid_blocks`' },
      ],
      [
        { status: 403, body: {} },
        { status: 'retry', detail: 'Slack answered 403' },
      ],
      [
        { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: {} },
        { status: 'retry', detail: 'Slack answered 302' },
      ],
      [
        { body: { ok: false, error: `the token ${token} is bad` } },
        { status: 'retry', detail: 'Slack refused it and did not say why' },
      ],
    ];
    for (const [planned, expected] of cases) {
      slack.next.push(planned);
      assert.deepEqual(await deliver(), expected);
    }
  });

  it('says that there was no answer in time', async () => {
    slack.next.push({ hang: true });
    const told = await deliver({}, {}, { signal: AbortSignal.timeout(300) });
    assert.deepEqual(told, { status: 'retry', detail: 'Slack gave no answer in time' });
  });

  it('sends nothing without a token, in the open, or to a private address that was not meant', async () => {
    const missing = await deliver({}, {}, { references: { env: {}, secretsDirectory: null } });
    assert.equal(missing.status, 'retry');
    assert.match(missing.detail, /env:\/\/SLACK_BOT_TOKEN/);
    const open = await deliver({}, { allowPrivate: false });
    assert.equal(open.status, 'failed');
    assert.match(open.detail, /not https/);
    const inside = await deliver({}, { allowPrivate: false, api: 'https://127.0.0.1:1/api' });
    assert.equal(inside.status, 'failed');
    assert.match(inside.detail, /private address/);
    assert.deepEqual(methods(), []);
  });
});
