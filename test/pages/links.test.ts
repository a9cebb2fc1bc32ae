import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { byLink, formToken, servedFields } from '../../testing/browser-forms.js';
import { until } from '../../testing/flows.js';
import { newId } from '../../src/model/names/ids.js';
import { makeLink } from '../../src/service/approvals/links/links.js';
import { startApi, type Harness } from '../api/harness.js';

interface Parked {
  readonly id: string;
  readonly digest: string;
  readonly run: string;
}

describe('a link to an approval', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
    const definition = { name: 'wire', owner: 'team', permissions: { execute: ['bank.wire'] } };
    const gate = { approval_gate: { approver_role: 'finance.controller', timeout: { after: '1h' } } };
    const published = await api.ask('admin', 'POST', '/v1/flows', { ...definition, ...gate });
    assert.equal(published.status, 201, published.text);
    const rules = { roles: ['finance.controller'], timeout: { after: '1h' } };
    const go = { target: 'done', executor: { kind: 'noop' } };
    const transitions = {
      untiered: { target: 'done', gate: rules },
      itself: { ...go, tier: 'reversible', gate: { ...rules, direct: 'required' } },
      reasoned: { ...go, tier: 'reversible', gate: { ...rules, reason: 'required' } },
    };
    const states = { open: { transitions }, done: { terminal: true } };
    await api.load({
      'flows/gated.yaml': { workflows: { gated: { owner: 'team', initialState: 'open', states } } },
    });
  });
  after(() => api.stop());

  async function park(flow: 'pay' | 'wire' = 'pay'): Promise<Parked> {
    const started = await api.ask('agent', 'POST', `/v1/flows/${flow}/runs`, {});
    const run = started.body.run.id as string;
    const asked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.${flow}`, {
      arguments: { amount: 150 },
    });
    assert.equal(asked.status, 202, asked.text);
    const { id, digest } = asked.body.result.approval;
    return { id, digest, run };
  }

  async function parkAt(transition: 'untiered' | 'itself' | 'reasoned'): Promise<Parked> {
    const started = await api.ask('agent', 'POST', '/v1/flows/gated/runs', {});
    const run = started.body.run.id as string;
    const asked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/${transition}`, {});
    assert.equal(asked.status, 202, asked.text);
    const { id, digest } = asked.body.result.approval;
    return { id, digest, run };
  }

  async function linkFor(approval: string, name = 'finance'): Promise<{ path: string; id: string }> {
    const made = await api.ask(name, 'POST', `/v1/approvals/${approval}/links`, { minutes: 5 });
    assert.equal(made.status, 201, made.text);
    return made.body;
  }

  const get = (path: string, cookie?: string): Promise<Response> =>
    fetch(`${api.url}${path}`, cookie === undefined ? {} : { headers: { cookie } });
  const post = (path: string, fields: Record<string, string>, cookie?: string): Promise<Response> =>
    fetch(`${api.url}${path}`, {
      method: 'POST',
      redirect: 'manual',
      body: new URLSearchParams(fields),
      headers: cookie === undefined ? {} : { cookie },
    });
  const statusOf = async (id: string): Promise<string> =>
    (await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body.status;
  const viewed = async (run: string): Promise<number> =>
    (await api.ask('auditor', 'GET', `/v1/audit?run=${run}&type=approval.viewed`)).body.data.length;

  it('is viewed by a person who is signed in and reads it, not by what asks for its head or fetches it beforehand, which gets no page', async () => {
    const parked = await park();
    const link = await linkFor(parked.id);
    const cookie = await signIn('finance', link.path);
    const authorization = `Bearer ${api.keys['finance']}`;
    const ahead: RequestInit[] = [
      { method: 'HEAD' },
      { headers: { 'sec-purpose': 'prefetch;prerender' } },
      { headers: { purpose: 'prefetch' } },
      { headers: { 'x-moz': 'prefetch' } },
      { headers: { 'x-purpose': 'preview' } },
    ];
    for (const path of [`/approvals/${parked.id}`, link.path, `/v1/approvals/${parked.id}`])
      for (const { method = 'GET', headers } of ahead) {
        const given = path.startsWith('/v1/') ? { authorization } : { cookie };
        const asked = await fetch(`${api.url}${path}`, { method, headers: { ...given, ...headers } });
        const isPageAhead = method === 'GET' && !path.startsWith('/v1/');
        assert.equal(asked.status, isPageAhead ? 503 : 200, `${method} ${path}: ${await asked.text()}`);
        assert.equal(asked.headers.get('cache-control'), 'no-store');
      }
    assert.equal(await viewed(parked.run), 0);
    await get(link.path, cookie);
    assert.equal(await viewed(parked.run), 1);
    const other = await park();
    const meant = { authorization, purpose: 'approve invoices', 'x-purpose': 'production', 'x-moz': '' };
    await fetch(`${api.url}/v1/approvals/${other.id}`, { headers: meant });
    assert.equal(await viewed(other.run), 1);
  });

  it('shows the exact action to whoever reads it, and decides nothing, however often it is read', async () => {
    const parked = await park();
    const link = await linkFor(parked.id);
    for (let scan = 0; scan < 5; scan += 1) {
      const found = await get(link.path);
      assert.equal(found.status, 200);
      const text = await found.text();
      assert.ok(text.includes(parked.digest) && text.includes('&quot;amount&quot;: 150'), text);
      assert.equal((await fetch(`${api.url}${link.path}`, { method: 'HEAD' })).status, 200);
    }
    assert.equal(await viewed(parked.run), 0, 'a scanner is not the person');
    assert.equal(await statusOf(parked.id), 'open');
  });

  it('decides once, as the person whom it was made for, by that door', async () => {
    const parked = await park();
    const link = await linkFor(parked.id);
    const form = { decision: 'approve', digest: parked.digest, ...byLink, reason: 'as agreed' };
    const both = await Promise.all([post(link.path, form), post(link.path, form)]);
    assert.deepEqual(both.map((response) => response.status).sort(), [200, 200]);
    // The decision is answered, and its effect follows.
    await until('it to have run', async () => (await statusOf(parked.id)) === 'consumed');
    const audit = await api.ask('auditor', 'GET', `/v1/audit?run=${parked.run}&type=approval.decided`);
    assert.deepEqual(
      audit.body.data.map((record: { actor: { id: string }; data: { via: string } }) => [
        record.actor.id,
        record.data.via,
      ]),
      [['finance', 'link']],
    );
  });

  it('decides nothing where a program sends its form as it was served, and stays good', async () => {
    const parked = await park();
    const { path } = await linkFor(parked.id);
    const served = servedFields({ text: await (await get(path)).text() });
    assert.deepEqual(served, { digest: parked.digest, token: '', reason: '' });
    for (const decision of ['approve', 'deny']) {
      const sent = await post(path, { ...served, decision });
      const text = await sent.text();
      assert.equal(sent.status, 422, text);
      assert.match(text, /Nothing was decided: who decides by a link ticks “I have read what would run/);
      const [again = ''] = text.split('action="/sign-in"');
      assert.deepEqual(servedFields({ text: again }), served, 'the form is there again');
    }
    assert.equal(await statusOf(parked.id), 'open');
    const ticked = { ...served, ...byLink, decision: 'deny' };
    assert.equal((await post(path, ticked)).status, 200);
    assert.equal(await statusOf(parked.id), 'denied');
    const late = await post(path, { ...served, decision: 'approve' });
    assert.equal(late.status, 200, 'it shows what was decided, and asks for nothing else');
  });

  it('stays good when what it sent was refused, and names the digest that was shown', async () => {
    const parked = await park();
    const link = await linkFor(parked.id);
    const form = { decision: 'approve', digest: 'sha256:other', ...byLink, reason: '' };
    assert.equal((await post(link.path, form)).status, 409);
    assert.equal(await statusOf(parked.id), 'open');
    assert.equal((await post(link.path, { ...form, digest: parked.digest })).status, 200);
  });

  it('asks for a sign-in where what would run cannot be undone', async () => {
    const parked = await park('wire');
    const link = await linkFor(parked.id);
    const text = await (await get(link.path)).text();
    assert.ok(text.includes('action="/sign-in"') && !text.includes('value="approve"'));
    assert.match(text, /What would run cannot be undone: sign in before you decide\./);
    const form = { decision: 'approve', digest: parked.digest, ...byLink, reason: '' };
    assert.equal((await post(link.path, form)).status, 401);
    assert.equal(await statusOf(parked.id), 'open');
    const cookie = await signIn('finance', link.path);
    const signedIn = await (await get(link.path, cookie)).text();
    assert.doesNotMatch(signedIn, /name="mine"/, 'who is signed in has no box to tick');
    const token = formToken({ text: signedIn });
    assert.equal((await post(link.path, form, cookie)).status, 403, 'a form without its token');
    const { mine: _, ...fields } = form;
    const done = await post(link.path, { ...fields, token }, cookie);
    assert.equal(done.status, 200, await done.text());
    await until('it to have run', async () => (await statusOf(parked.id)) === 'consumed');
  });

  it('decides nothing by a form that is not UTF-8, says so on its page, and stays good', async () => {
    const parked = await park();
    const link = await linkFor(parked.id);
    const form = { decision: 'deny', digest: parked.digest, ...byLink, reason: 'Café' };
    const body = new URLSearchParams(form).toString();
    const refused = await fetch(`${api.url}${link.path}`, {
      method: 'POST',
      body: body.replace('%C3%A9', '%E9'),
      headers: { 'content-type': 'application/x-www-form-urlencoded; charset=windows-1252' },
    });
    assert.equal(refused.status, 400);
    assert.match(await refused.text(), /<html[\s\S]*the form is not UTF-8: nothing was done/);
    assert.equal(await statusOf(parked.id), 'open');
    assert.equal((await post(link.path, form)).status, 200);
    await until('it to be denied', async () => (await statusOf(parked.id)) === 'denied');
  });

  for (const [transition, why] of [
    ['itself', 'This gate takes no decision by a link alone'],
    ['untiered', 'Nobody has said whether what would run can be undone'],
  ] as const)
    it(`asks for a sign-in at ${transition}, and says that of it alone which is so`, async () => {
      const { id, digest } = await parkAt(transition);
      const link = await linkFor(id);
      const shown = await (await get(link.path)).text();
      const sent = await post(link.path, { decision: 'approve', digest, ...byLink, reason: '' });
      assert.equal(sent.status, 401);
      const text = await sent.text();
      assert.ok(text.includes(`Nothing was decided. ${why}: sign in before you decide.`), text);
      assert.ok(shown.includes(`${why}: sign in before you decide.`), shown);
      for (const page of [shown, text]) assert.doesNotMatch(page, /cannot be undone/);
      assert.equal(await statusOf(id), 'open');
    });

  it('shows its form again with the reason as it was typed, why nothing was decided, and a sign-in', async () => {
    const { id, digest } = await parkAt('reasoned');
    const { path } = await linkFor(id);
    const reason = 'agreed \u200d with <ann>,\r\nby phone';
    const form = { decision: 'approve', digest, ...byLink, reason };
    const { mine: _, ...unticked } = form;
    for (const [fields, status, why] of [
      [unticked, 422, /Nothing was decided: who decides by a link ticks “.*”, or signs in\./],
      [
        { ...form, digest: 'sha256:other' },
        409,
        /Nothing was decided: the decision names another digest .* look at `apr_/,
      ],
    ] as const) {
      const sent = await post(path, fields);
      const text = await sent.text();
      assert.equal(sent.status, status, text);
      assert.match(text, why);
      assert.ok(text.includes('>\nagreed \u200d with &lt;ann&gt;,\nby phone</textarea>'), text);
      assert.ok(text.includes(`name="digest" value="${digest}"`), 'of what is asked now');
      assert.ok(text.includes(`name="next" value="${path}"`) && text.includes('action="/sign-in"'), text);
      assert.doesNotMatch(text, /checked|GET \/v1|<p><\/p>/);
    }
    const unsaid = await post(path, { ...form, reason: ' ' });
    assert.equal(unsaid.status, 422);
    const text = await unsaid.text();
    assert.match(text, /Nothing was decided: this gate asks for a reason: write why\./);
    assert.match(text, /name="reason"[^]*name="mine"/);
    assert.equal((await post(path, form)).status, 200, 'it is good still');
  });

  const signIn = (name: string, next: string): Promise<string> => signInWith(api.keys[name] ?? '', next);
  async function signInWith(credential: string, next: string): Promise<string> {
    const answer = await post('/sign-in', { credential, next });
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.get('location'), next);
    const cookie = answer.headers.get('set-cookie') ?? '';
    assert.match(cookie, /HttpOnly; SameSite=Lax/);
    assert.ok(!cookie.includes(credential), 'the key is not in the cookie');
    return cookie.split(';')[0] ?? '';
  }

  it('is of no use to another person who is signed in', async () => {
    const parked = await park();
    const link = await linkFor(parked.id);
    const cookie = await signIn('manager', link.path);
    const form = { decision: 'approve', digest: parked.digest, ...byLink, reason: '' };
    const whose = 'This link was made for finance, and you are signed in as manager: sign in as finance.';
    for (const [sent, said] of [
      [await get(link.path, cookie), `<p>${whose}</p>`],
      [await post(link.path, form, cookie), `<p>Nothing was decided. ${whose}</p>`],
    ] as const) {
      assert.equal(sent.status, 401);
      const text = await sent.text();
      assert.ok(text.includes(said), text);
    }
    assert.equal(await statusOf(parked.id), 'open');
  });

  it('opens nothing once it is revoked, over, or unknown', async () => {
    const parked = await park();
    const link = await linkFor(parked.id);
    assert.equal(
      (await api.ask('manager', 'DELETE', `/v1/approvals/${parked.id}/links/${link.id}`)).status,
      404,
    );
    assert.equal(
      (await api.ask('finance', 'DELETE', `/v1/approvals/${parked.id}/links/${link.id}`)).status,
      204,
    );
    assert.equal((await get(link.path)).status, 403);
    const { token } = await makeLink(api.deps.pool, api.deps.pepper, {
      ...{ approval: parked.id, recipient: 'finance', createdBy: 'test' },
      expiresAt: new Date(Date.now() - 60_000).toISOString(),
    });
    assert.equal((await get(`/links/${token}`)).status, 403);
    assert.equal((await get(`/links/${'x'.repeat(43)}`)).status, 404);
    const listed = await api.ask('finance', 'GET', `/v1/approvals/${parked.id}/links`);
    assert.deepEqual(
      listed.body.data.map((link: { status: string }) => link.status),
      ['revoked', 'expired'],
    );
    assert.ok(!listed.text.includes(token));
  });

  it('is revoked at its own approval alone, once, and that is on record about its run', async () => {
    const [parked, other] = [await park(), await park()];
    const link = await linkFor(parked.id);
    const revoke = async (approval: string, id = link.id): Promise<number> =>
      (await api.ask('finance', 'DELETE', `/v1/approvals/${approval}/links/${id}`)).status;
    for (const approval of ['apr_of_somebody_else', newId('apr'), other.id, '%00', parked.run])
      assert.equal(await revoke(approval), 404, approval);
    const theirs = await linkFor(other.id);
    assert.equal(await revoke(parked.id, theirs.id), 404);
    assert.equal((await get(link.path)).status, 200, 'it is good still');
    assert.deepEqual([await revoke(parked.id), await revoke(parked.id)], [204, 204]);
    assert.equal((await get(link.path)).status, 403);
    const listed = await api.ask('auditor', 'GET', `/v1/audit?run=${parked.run}&type=credential.revoked`);
    assert.deepEqual(
      listed.body.data.map((record: any) => [record.approval, record.about, record.data]),
      [[parked.id, parked.run, { link: link.id }]],
    );
    const all = await api.ask('auditor', 'GET', '/v1/audit?type=credential.revoked&limit=500');
    assert.ok(
      all.body.data.every((record: any) => record.approval !== 'apr_of_somebody_else'),
      all.text,
    );
  });

  it('is made only by a person who may decide, and only for that person', async () => {
    const parked = await park();
    for (const [name, status] of [
      ['agent', 403],
      ['auditor', 403],
      ['employee', 404],
    ] as const) {
      const made = await api.ask(name, 'POST', `/v1/approvals/${parked.id}/links`, {});
      assert.equal(made.status, status, `${name}: ${made.text}`);
    }
    const other = await api.ask('finance', 'POST', `/v1/approvals/${parked.id}/links`, {
      recipient: 'manager',
    });
    assert.equal(other.status, 422);
  });

  it('dies with the rights of its person', async () => {
    const parked = await park();
    const id = newId('key');
    const made = await api.ask('admin', 'POST', '/v1/keys', {
      id,
      kind: 'human',
      roles: ['finance.controller'],
    });
    const link = await linkFor(parked.id, made.body.key);
    assert.equal((await api.ask('admin', 'DELETE', `/v1/keys/${made.body.keyId}`)).status, 204);
    const form = { decision: 'approve', digest: parked.digest, ...byLink, reason: '' };
    assert.equal((await post(link.path, form)).status, 401);
    assert.equal(await statusOf(parked.id), 'open');
  });

  it('lives no longer than the keys that its person had when it was made, however many come later', async () => {
    const parked = await park();
    const gil = { id: newId('key'), kind: 'human', roles: ['finance.controller'] };
    const addKey = async (): Promise<{ key: string; keyId: string }> =>
      (await api.ask('admin', 'POST', '/v1/keys', gil)).body;
    const revoke = async ({ keyId }: { keyId: string }): Promise<void> =>
      assert.equal((await api.ask('admin', 'DELETE', `/v1/keys/${keyId}`)).status, 204);
    const [older, newer] = [await addKey(), await addKey()];
    const link = await linkFor(parked.id, older.key);
    await revoke(older);
    assert.equal((await get(link.path)).status, 200, 'the newer key was there, too');
    await api.database.pool.query(
      `update api_key set expires_at = now() - interval '1 second' where key_id = $1`,
      [newer.keyId],
    );
    assert.equal((await get(link.path)).status, 401);
    const again = await addKey();
    assert.equal((await get(link.path)).status, 401);
    const form = { decision: 'approve', digest: parked.digest, ...byLink, reason: '' };
    assert.equal((await post(link.path, form)).status, 401);
    assert.equal(await statusOf(parked.id), 'open');
    const signedIn = await signInWith(again.key, link.path);
    assert.equal((await get(link.path, signedIn)).status, 200, 'the person itself comes in with the new key');
  });

  it('has none of the rights that its person got with a later key', async () => {
    const parked = await park();
    const hal = { id: newId('key'), kind: 'human' };
    const addKey = async (rights: object): Promise<{ key: string; keyId: string }> =>
      (await api.ask('admin', 'POST', '/v1/keys', { ...hal, ...rights })).body;
    await addKey({ permissions: ['run.read'] });
    const deciding = await addKey({ roles: ['finance.controller'] });
    const link = await linkFor(parked.id, deciding.key);
    await api.ask('admin', 'DELETE', `/v1/keys/${deciding.keyId}`);
    assert.doesNotMatch(await (await get(link.path)).text(), /<form/);
    const later = await addKey({ roles: ['finance.controller'] });
    assert.equal((await get(link.path)).status, 401);
    const form = { decision: 'approve', digest: parked.digest, ...byLink, reason: '' };
    assert.equal((await post(link.path, form)).status, 401);
    assert.equal(await statusOf(parked.id), 'open');
    assert.equal((await get(link.path, await signInWith(later.key, link.path))).status, 200);
  });

  it('leaves no secret in a record', async () => {
    const parked = await park();
    const { path } = await linkFor(parked.id);
    await get(path);
    const { rows } = await api.deps.pool.query<{ body: string }>(
      `select convert_from(body, 'UTF8') as body from audit_record`,
    );
    assert.ok(rows.length > 0 && rows.every((row) => !row.body.includes(path.slice('/links/'.length))));
  });

  it('is for people: an agent cannot sign in, and no form of another site decides', async () => {
    const parked = await park();
    assert.equal((await post('/sign-in', { credential: api.keys['agent'] ?? '', next: '/' })).status, 403);
    assert.equal((await post('/sign-in', { credential: 'wrong', next: '/' })).status, 401);
    const away = await post('/sign-in', {
      credential: api.keys['finance'] ?? '',
      next: '//evil.example/approvals/x',
    });
    assert.equal(away.headers.get('location'), '/sign-in');
    const cookie = await signIn('finance', `/approvals/${parked.id}`);
    const form = { decision: 'approve', digest: parked.digest, token: 'guessed', reason: '' };
    assert.equal((await post(`/approvals/${parked.id}`, form, cookie)).status, 403);
    assert.equal(await statusOf(parked.id), 'open');
  });
});
