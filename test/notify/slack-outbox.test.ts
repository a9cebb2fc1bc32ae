import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import {
  pressing,
  references,
  signed,
  signingSecret,
  slackPolicy,
  startSlack,
  submitting,
  token,
} from './slack-stub.js';
import type { SlackStub } from './slack-stub.js';
import { openOffice, type Office } from './support.js';

// From the run that waits to the message in Slack, from there to the decision, and back into the message.

describe('an approval in a Slack channel', () => {
  let office: Office;
  let slack: SlackStub;
  before(async () => {
    [office, slack] = await Promise.all([openOffice((deps) => ({ ...deps, references })), startSlack()]);
    Object.assign(office.env, { SLACK_BOT_TOKEN: token, SLACK_SIGNING_SECRET: signingSecret });
    await office.route(slackPolicy(slack.api, { UFIN: 'finance' }));
  });
  afterEach(async () => {
    await office.rest();
    slack.calls.length = 0;
    slack.next.length = 0;
  });
  after(async () => {
    await office.stop();
    await slack.stop();
  });
  const interact = async (payload: object): Promise<any> => {
    const { body, headers } = signed(payload);
    const answer = await office.api.ask(null, 'POST', '/slack/interactions', body, headers);
    assert.equal(answer.status, 200, answer.text);
    return answer.body;
  };
  const buttons = (message: any): any[] =>
    message.blocks.filter((block: any) => block.type === 'actions').flatMap((block: any) => block.elements);

  it('is decided by the buttons of its message, which then says who did', async () => {
    await office.deliver();
    const parked = await office.park();
    const [message] = await slack.count('chat.postMessage', 1);
    const [approve, , open] = buttons(message);
    assert.equal(open.url, `https://countersign.example/approvals/${parked.id}`);
    await interact(pressing('UFIN', 'approve', JSON.parse(approve.value)));
    const [{ view }] = slack.of('views.open');
    const decided = await interact(submitting('UFIN', JSON.parse(view.private_metadata)));
    assert.equal(decided.response_action, 'update');
    const [updated] = await slack.count('chat.update', 1);
    const [posted] = await office.recorded(parked.run, 'delivered', 2);
    assert.equal(posted.data.channel, 'money');
    assert.deepEqual([updated.channel, buttons(updated)], ['C0MONEY', []]);
    assert.match(JSON.stringify(updated.blocks), /Approved by finance at \d{4}-/);
  });

  it('shows in its message that somebody else denied it elsewhere', async () => {
    await office.deliver();
    const { id, digest } = await office.park();
    await slack.count('chat.postMessage', 1);
    const denied = await office.api.ask('finance', 'POST', `/v1/approvals/${id}/decision`, {
      ...{ decision: 'deny', digest },
    });
    assert.equal(denied.status, 200, denied.text);
    const [updated] = await slack.count('chat.update', 1);
    assert.deepEqual(buttons(updated), []);
    assert.match(JSON.stringify(updated.blocks), /Denied by finance at \d{4}-/);
  });

  it('comes later when Slack asks to wait, and is seen as not delivered when Slack refuses', async () => {
    slack.next.push({ status: 429, headers: { 'retry-after': '1' }, body: {} });
    await office.deliver();
    const late = await office.park();
    await office.recorded(late.run, 'retry');
    await office.hurry();
    await office.recorded(late.run, 'delivered');

    slack.next.push({ body: { ok: false, error: 'invalid_blocks' } });
    const lost = await office.park();
    const [record] = await office.recorded(lost.run, 'failed');
    assert.equal(record.data.detail, 'Slack said `invalid_blocks`');
    assert.equal((await office.approval(lost.id)).delivery.status, 'failed');
  });
});
