import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startApi, type Harness } from '../api/harness.js';
import { formToken, signIn, visit, type Page } from '../../testing/browser-forms.js';

// Every page says who is signed in, and offers something to do next.

describe('a browser', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
    const definition = { name: 'reasoned', owner: 'team', permissions: { execute: ['bank.pay'] } };
    const gate = { approver_role: 'finance.controller', reason: 'required', timeout: { after: '1h' } };
    const published = await api.ask('admin', 'POST', '/v1/flows', { ...definition, approval_gate: gate });
    assert.equal(published.status, 201, published.text);
  });
  after(() => api.stop());

  const park = async (): Promise<{ id: string; digest: string }> => {
    const started = await api.ask('agent', 'POST', '/v1/flows/reasoned/runs', {});
    const run = started.body.run.id as string;
    const asked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount: 150 },
    });
    assert.equal(asked.status, 202, asked.text);
    return asked.body.result.approval;
  };
  const send = (path: string, cookie: string, fields: Record<string, string> | null = null): Promise<Page> =>
    visit(`${api.url}${path}`, cookie, fields);
  const signInAs = (name: string, next?: string): Promise<string> =>
    signIn(api.url, api.keys[name] ?? '', next);
  const signedInAs = (text: string, name: string): void => {
    assert.match(text, new RegExp(`Signed in as ${name}\\. <button>Sign out</button>`));
    assert.match(text, /<form method="post" action="\/sign-out">/);
  };

  it('that signs in where no page asked for it reads who it is, and which approvals wait', async () => {
    assert.match((await send('/sign-in', '')).text, /Sign in to decide/);
    const nobody = await send('/sign-in', await signInAs('manager'));
    assert.equal(nobody.status, 200);
    assert.match(nobody.text, /You are signed in as manager\./);
    assert.match(nobody.text, /No approval waits for you/);
    signedInAs(nobody.text, 'manager');
    const { id } = await park();
    const found = await send('/sign-in', await signInAs('finance'));
    assert.ok(found.text.includes(`<a href="/approvals/${id}">`), found.text);
    assert.doesNotMatch(found.text, /<input/);
    assert.doesNotMatch((await send('/sign-in', await signInAs('manager'))).text, new RegExp(id));
  });

  it('of the wrong person is told so on the page of an approval, and can sign out', async () => {
    const { id } = await park();
    for (const path of [`/approvals/${id}`, '/approvals/apr_unknown']) {
      const { status, text } = await send(path, await signInAs('employee'));
      assert.equal(status, 404);
      signedInAs(text, 'employee');
      assert.match(text, /sign out and open this address again/);
    }
    const link = await api.ask('finance', 'POST', `/v1/approvals/${id}/links`, { minutes: 5 });
    const other = await send(link.body.path as string, await signInAs('employee'));
    assert.match(other.text, /This link was made for finance/);
  });

  it('that sends no reason, no decision, or a form of another session, comes back to the approval', async () => {
    const { id, digest } = await park();
    const path = `/approvals/${id}`;
    const cookie = await signInAs('finance', path);
    const shown = await send(path, cookie);
    const token = formToken(shown);
    assert.match(shown.text, /Reason \(required\)/);
    const unsaid = await send(path, cookie, { decision: 'approve', digest, token, reason: ' ' });
    assert.equal(unsaid.status, 422);
    assert.match(unsaid.text, /Nothing was decided: this gate asks for a reason: write why\./);
    assert.equal(formToken(unsaid), token, 'its form is there');
    assert.doesNotMatch(unsaid.text, /send <code>|send `/);
    const foreign = await send(path, cookie, { decision: 'approve', digest, token: 'x', reason: 'yes' });
    assert.equal(foreign.status, 403);
    assert.match(foreign.text, /nothing was decided: this form is not from a page of this session/);
    for (const { text } of [unsaid, foreign]) signedInAs(text, 'finance');
    const unchosen = await send(path, cookie, { digest, token, reason: 'it is due' });
    assert.equal(unchosen.status, 422);
    assert.match(unchosen.text, /Nothing was decided: choose Approve or Deny\./);
    assert.match(unchosen.text, /it is due/);
    const malformed = await send(path, cookie, { decision: 'perhaps' });
    for (const { text } of [foreign, malformed])
      assert.ok(text.includes(`<a href="${path}">Back to the approval</a>`), text);
    const decided = await send(path, cookie, { decision: 'approve', digest, token, reason: 'it is due' });
    assert.match(decided.text, /You have approved this\./);
  });

  it('is signed in beside cookies of the same name that others of the domain have set', async () => {
    const { id } = await park();
    const cookie = await signInAs('finance');
    for (const cookies of [
      `countersign=of-another; ${cookie}`,
      `countersign=; ${cookie}`,
      `${cookie}; countersign=x`,
    ])
      assert.equal((await send(`/approvals/${id}`, cookies)).status, 200, cookies);
    assert.equal((await send(`/approvals/${id}`, 'countersign=of-another; countersign=')).status, 401);
  });

  it('that sends a reason that cannot be kept decides nothing, and is told', async () => {
    const { id, digest } = await park();
    const path = `/approvals/${id}`;
    const cookie = await signInAs('finance', path);
    const token = formToken(await send(path, cookie));
    const refused = await send(path, cookie, { decision: 'approve', digest, token, reason: 'a\0b' });
    assert.equal(refused.status, 422);
    assert.match(refused.text, /holds the character U\+0000/);
    assert.equal((await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body.status, 'open');
  });

  it('that speaks https keeps its session to https, however many proxies pass it on, and if only `publicUrl` says so', async () => {
    const cookie = async (proto?: string): Promise<string> => {
      const answer = await fetch(`${api.url}/sign-in`, {
        method: 'POST',
        redirect: 'manual',
        body: new URLSearchParams({ credential: api.keys['finance'] ?? '', next: '' }),
        headers: proto === undefined ? {} : { 'x-forwarded-proto': proto },
      });
      assert.equal(answer.status, 303);
      return answer.headers.get('set-cookie') ?? '';
    };
    for (const proto of ['https', 'https,http', 'https, https', 'HTTPS', ' https , http'])
      assert.match(await cookie(proto), /; Secure$/, proto);
    for (const proto of [undefined, 'http', 'http, https', 'httpsx', ''])
      assert.doesNotMatch(await cookie(proto), /Secure/, proto);
    const reachedAt = (publicUrl: string): Promise<void> => api.load({ 'notifications.yaml': { publicUrl } });
    for (const publicUrl of ['https://c.example.com', 'HTTPS://c.example.com']) {
      await reachedAt(publicUrl);
      for (const proto of [undefined, 'http', 'https'])
        assert.match(await cookie(proto), /; Secure$/, `${publicUrl} ${proto}`);
    }
    await reachedAt('http://c.example.com');
    assert.doesNotMatch(await cookie(), /Secure/);
  });

  it('with the credential of a program is told whom these pages are for, and has its way back', async () => {
    const { status, text } = await send('/sign-in', '', { credential: api.keys['agent'] ?? '', next: '' });
    assert.equal(status, 403);
    assert.match(text, /these pages are for people/);
    assert.doesNotMatch(text, /Signed in as/);
    assert.ok(text.includes('<a href="/sign-in">'), text);
  });
});
