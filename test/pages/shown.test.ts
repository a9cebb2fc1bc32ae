import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { startApi, type Harness } from '../api/harness.js';
import { byLink, signIn } from '../../testing/browser-forms.js';

describe('a page', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  async function park(currency = 'EUR'): Promise<{ id: string; digest: string; path: string }> {
    const started = await api.ask('agent', 'POST', '/v1/flows/pay/runs', {});
    const asked = await api.ask('agent', 'POST', `/v1/runs/${started.body.run.id}/transitions/bank.pay`, {
      arguments: { amount: 150, currency },
    });
    const { id, digest } = asked.body.result.approval;
    const made = await api.ask('finance', 'POST', `/v1/approvals/${id}/links`, {});
    return { id, digest, path: made.body.path };
  }

  const get = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${api.url}${path}`, { headers, redirect: 'manual' });
    return { status: answer.status, media: answer.headers.get('content-type'), text: await answer.text() };
  };
  const post = (path: string, fields: Record<string, string>, cookie = ''): Promise<Response> =>
    fetch(`${api.url}${path}`, {
      method: 'POST',
      redirect: 'manual',
      body: new URLSearchParams(fields),
      headers: { cookie },
    });
  const cookieOf = (next: string): Promise<string> => signIn(api.url, api.keys['finance'] ?? '', next);

  const unseen = ['\u202e', '\u200b', '\u2066', '\u2028', '\u00ad', '\ufeff', '\u{e0041}'];

  it('shows every character of the arguments that nobody sees, or that turns the line around', async () => {
    const { path, id } = await park(`AB${unseen.join('')}CD`);
    const cookie = await cookieOf(`/approvals/${id}`);
    for (const { text } of [await get(path), await get(`/approvals/${id}`, { cookie })]) {
      for (const char of unseen) assert.ok(!text.includes(char), JSON.stringify(char));
      assert.ok(text.includes('AB\\u202e\\u200b\\u2066\\u2028\\u00ad\\ufeff\\udb40\\udc41CD'), text);
      assert.ok(text.includes('&quot;amount&quot;: 150,\n'), 'the lines of the JSON are its own');
    }
  });

  it('shows them in a reason of a decision, and in whatever else a caller writes', async () => {
    const { path, id, digest } = await park();
    const denied = await api.ask('finance', 'POST', `/v1/approvals/${id}/decision`, {
      ...{ decision: 'deny', digest },
      reason: 'no\u202eon\u200b',
    });
    assert.equal(denied.status, 200, denied.text);
    const { text } = await get(path);
    assert.ok(text.includes('no\\u{202e}on\\u{200b}') && !/[\u202e\u200b]/.test(text), text);
    const next = await (await post('/sign-in', { credential: 'wrong', next: '/a\u202eb' })).text();
    assert.ok(!next.includes('\u202e'), next);
  });

  it('takes no notice of what a mail or a chat puts behind its address', async () => {
    const { path, id } = await park();
    const cookie = await cookieOf(`/approvals/${id}`);
    for (const query of ['?utm_source=mail', '?a=1&a=2', '?x=%00', `?${'a&'.repeat(200)}`]) {
      assert.equal((await get(`${path}${query}`)).status, 200);
      assert.equal((await get(`/approvals/${id}${query}`, { cookie })).status, 200);
      assert.equal((await get(`/sign-in${query}`)).status, 200);
    }
  });

  it('is a page when there is a problem, too', async () => {
    const { path, id, digest } = await park();
    const long = { decision: 'approve', digest, ...byLink, reason: 'x'.repeat(4_001) };
    const problems = [
      await post(path, long),
      await post(path, { decision: 'maybe', digest, ...byLink }),
      await fetch(`${api.url}${path}`, {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/json' },
      }),
      await fetch(`${api.url}${path}`, { method: 'DELETE' }),
      await fetch(`${api.url}/links/short`),
      await fetch(`${api.url}/approvals/${'x'.repeat(300)}`),
    ];
    assert.deepEqual(
      problems.map((response) => response.status),
      [422, 422, 415, 405, 404, 404],
    );
    for (const response of problems) {
      assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
      assert.match(await response.text(), /<h1>/);
    }
    assert.equal(problems[3]?.headers.get('allow'), 'GET, POST, HEAD, OPTIONS');
    assert.equal((await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body.status, 'open');
  });

  it('takes a reason as long as REST does, its line ends counted as the browser counts them', async () => {
    const { path, id, digest } = await park();
    assert.match((await get(path)).text, /maxlength="4000"/);
    const reason = `${'x'.repeat(3_900)}${'\r\n'.repeat(100)}`;
    const denied = await post(path, { decision: 'deny', digest, ...byLink, reason });
    assert.equal(denied.status, 200, await denied.text());
    const found = await api.ask('finance', 'GET', `/v1/approvals/${id}`);
    assert.equal(found.body.decisions[0].reason.length, 4_000);
  });

  it('or the API: two Authorization headers are refused with a sentence', async () => {
    const key = api.keys['finance'] ?? '';
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    socket.write(
      `GET /v1/approvals HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nAuthorization: Bearer other\r\nConnection: close\r\n\r\n`,
    );
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    assert.match(answer, /^HTTP\/1\.1 400 /);
    assert.match(answer, /the request has 2 `Authorization` headers: send exactly one/);
  });
});
