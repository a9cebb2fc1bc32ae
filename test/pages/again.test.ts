import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startApi, type Harness } from '../api/harness.js';
import { byLink, formToken, signIn, visit, type Page } from '../../testing/browser-forms.js';
import { until } from '../../testing/flows.js';

interface Parked {
  readonly id: string;
  readonly digest: string;
  readonly run: string;
}

describe('whoever has decided and comes again', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
    const definition = { name: 'two', owner: 'team', permissions: { execute: ['bank.pay'] } };
    const gate = { approver_role: 'finance.controller', quorum: { count: 2 }, timeout: { after: '1h' } };
    const published = await api.ask('admin', 'POST', '/v1/flows', { ...definition, approval_gate: gate });
    assert.equal(published.status, 201, published.text);
  });
  after(() => api.stop());

  async function park(flow = 'pay'): Promise<Parked> {
    const started = await api.ask('agent', 'POST', `/v1/flows/${flow}/runs`, {});
    const run = started.body.run.id as string;
    const asked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount: 150 },
    });
    assert.equal(asked.status, 202, asked.text);
    const { id, digest } = asked.body.result.approval;
    return { id, digest, run };
  }

  async function linkFor(approval: string): Promise<string> {
    const made = await api.ask('finance', 'POST', `/v1/approvals/${approval}/links`, { minutes: 5 });
    assert.equal(made.status, 201, made.text);
    return made.body.path;
  }

  const send = (path: string, fields: Record<string, string> | null, cookie = ''): Promise<Page> =>
    visit(`${api.url}${path}`, cookie, fields);

  const decisions = async ({ run }: Parked): Promise<number> =>
    (await api.ask('auditor', 'GET', `/v1/audit?run=${run}&type=approval.decided`)).body.data.length;
  const hasRun = (parked: Parked): Promise<unknown> =>
    until('it to have run', async () => {
      const found = await api.ask('finance', 'GET', `/v1/approvals/${parked.id}`);
      return found.body.status === 'consumed';
    });

  it('reads at both clicks on a link that they have approved it, and it is approved once', async () => {
    const parked = await park();
    const path = await linkFor(parked.id);
    const form = { decision: 'approve', digest: parked.digest, ...byLink, reason: '' };
    const clicks = await Promise.all([send(path, form), send(path, form), send(path, form)]);
    for (const { status, text } of clicks) {
      assert.equal(status, 200, text);
      assert.match(text, /<h1>You have approved this\.<\/h1>/);
    }
    await hasRun(parked);
    assert.equal(await decisions(parked), 1);
  });

  it('reads how it ended at a link that is used, and nothing of the action', async () => {
    const parked = await park();
    const path = await linkFor(parked.id);
    await send(path, { decision: 'approve', digest: parked.digest, ...byLink, reason: '' });
    await hasRun(parked);
    await until('it to have ended', async () =>
      /It is approved, and has run\./.test((await send(path, null)).text),
    );
    const { status, text } = await send(path, null);
    assert.equal(status, 200);
    assert.match(text, /<h1>You have approved this\.<\/h1>/);
    assert.doesNotMatch(text, /150|<form|bank\.pay|sha256/);
    assert.equal(await decisions(parked), 1);
  });

  it('is told what was decided before where the second click is another decision, which is not taken', async () => {
    const parked = await park();
    const path = await linkFor(parked.id);
    const form = { decision: 'deny', digest: parked.digest, ...byLink, reason: 'no' };
    assert.equal((await send(path, form)).status, 200);
    const other = await send(path, { ...form, decision: 'approve' });
    assert.equal(other.status, 409);
    assert.match(other.text, /<h1>You have denied this before\.<\/h1>/);
    assert.match(other.text, /It is denied: nothing of it runs\./);
    const again = await send(path, form);
    assert.equal(again.status, 200);
    assert.match(again.text, /<h1>You have denied this\.<\/h1>/);
    assert.equal(await decisions(parked), 1);
  });

  it('reads at a link that is used that the approval still waits for others, where it does', async () => {
    const parked = await park('two');
    const path = await linkFor(parked.id);
    const form = { decision: 'approve', digest: parked.digest, ...byLink, reason: '' };
    assert.equal((await send(path, form)).status, 200);
    const waiting = await send(path, null);
    assert.match(waiting.text, /The run has taken your decision, and waits for others\./);
    assert.doesNotMatch(waiting.text, /<form/);
  });

  it('is told their own decision on the page of the approval too, where REST answers ALREADY_DECIDED', async () => {
    for (const flow of ['pay', 'two']) {
      const parked = await park(flow);
      const page = `/approvals/${parked.id}`;
      const cookie = await signIn(api.url, api.keys['finance'] ?? '', page);
      const token = formToken(await send(page, null, cookie));
      const form = { decision: 'approve', digest: parked.digest, token, reason: '' };
      const clicks = await Promise.all([send(page, form, cookie), send(page, form, cookie)]);
      clicks.push(await send(page, form, cookie));
      for (const { status, text } of clicks) {
        assert.ok(status === 200 || status === 202, text);
        assert.match(text, /You have approved this\.|Your decision is kept: approved/);
      }
      const other = await send(page, { ...form, decision: 'deny' }, cookie);
      assert.equal(other.status, 409);
      assert.match(other.text, /You have approved this before\./);
      assert.equal(await decisions(parked), 1);
      const rest = await api.ask('finance', 'POST', `/v1/approvals/${parked.id}/decision`, {
        decision: 'approve',
        digest: parked.digest,
      });
      assert.equal(rest.status, 409);
      assert.equal(rest.body.code, 'ALREADY_DECIDED');
    }
  });
});
