import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { waitingHtml } from '../../src/api/pages/waiting.js';
import { signIn, visit } from '../../testing/browser-forms.js';
import { fillStore } from '../../testing/many-rows.js';
import { startApi, type Harness } from '../api/harness.js';

/** Three of four approvals go to the reader's own role: more than a page of the inbox looks through. */
const own = 1_500;

describe('the page of who has signed in', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  async function park(name: string): Promise<{ run: string; approval: string }> {
    const submit = { transition: 'bank.pay', arguments: { amount: 150 } };
    const started = await api.ask(name, 'POST', '/v1/flows/pay/runs', { submit });
    assert.equal(started.status, 202, started.text);
    return { run: started.body.run.id as string, approval: started.body.result.approval.id as string };
  }

  it('shows what waits behind a thousand approvals that its reader has asked for', async () => {
    const original = await park('finance');
    const { approval } = await park('agent');
    const sizes = { runs: own, approvals: own, closedApprovals: 0, records: 0 };
    await fillStore(api.database.asSuperuser, original, sizes);
    // The oldest come first, and the agent's approval comes after them.
    await api.database.asSuperuser('update approval set risk = 1');
    const first = await api.ask('finance', 'GET', '/v1/approvals?status=open&mine=true&limit=20');
    assert.deepEqual(first.body.data, [], 'the first page of the inbox goes on without any');
    assert.ok(first.body.nextCursor !== null);
    const { text } = await visit(
      `${api.url}/sign-in`,
      await signIn(api.url, api.keys['finance'] ?? ''),
      null,
    );
    assert.ok(text.includes(`<a href="/approvals/${approval}">`), text);
    assert.doesNotMatch(text, /No approval waits/);
  });

  it('says that nothing waits only where the inbox was read to its end', () => {
    assert.match(waitingHtml([], null).html, /No approval waits for you/);
    const { html } = waitingHtml([], 'where it goes on');
    assert.doesNotMatch(html, /No approval waits/);
    assert.match(html, /others stand behind them/);
    assert.match(html, /GET \/v1\/approvals\?mine=true/);
  });
});
