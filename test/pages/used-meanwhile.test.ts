import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { startApi, type Harness } from '../api/harness.js';
import { newId } from '../../src/model/names/ids.js';
import { byLink, signIn, visit, type Page } from '../../testing/browser-forms.js';
import { holdRun, holdTable, type Held } from '../../testing/servers/locks.js';
import { until } from '../../testing/flows.js';

describe('a click on a link that is used, by which nothing is decided yet', () => {
  let api: Harness;
  let behindMs = 0;
  /** How often a link was looked up. */
  let looks = 0;
  /** Comes before the next reading of an approval. */
  let beforeApproval: (() => Promise<unknown>) | null = null;
  /** Whether the sessions of browsers have ended. */
  let isSessionOver = false;
  /** Comes after the next decision is kept. */
  let onDecided: (() => Promise<void>) | null = null;
  /** Lets the next reading of decisions fail. */
  let failing = false;
  before(async () => {
    api = await startApi((deps) => {
      const query = (text: string, values: unknown[]): unknown => {
        if (text.includes('from approval_link l where l.hash')) looks += 1;
        if (beforeApproval !== null && text.includes('from approval a where a.id')) {
          const before = beforeApproval();
          beforeApproval = null;
          return before.then(() => deps.pool.query(text, values));
        }
        if (failing && text.includes('from decision where approval')) {
          failing = false;
          return Promise.reject(Object.assign(new Error('terminating connection'), { code: '57P01' }));
        }
        return deps.pool.query(text, values);
      };
      const pool = Object.assign(Object.create(deps.pool) as typeof deps.pool, { query });
      const sessions = {
        ...deps.sessions,
        open: (sealed: string) => (isSessionOver ? null : deps.sessions.open(sealed)),
      };
      const decide: typeof deps.client.decide = async (request) => {
        const decided = await deps.client.decide(request);
        const act = onDecided;
        onDecided = null;
        await act?.();
        return decided;
      };
      const client = { ...deps.client, decide };
      return { ...deps, pool, sessions, client, now: () => new Date(deps.now().getTime() - behindMs) };
    });
  });
  after(() => api.stop());

  /** The address of a link that somebody has just used. */
  async function usedLink(): Promise<string> {
    const { path } = await linkOf('finance');
    behindMs = 3_600_000;
    return `${api.url}${path}`;
  }

  interface Used {
    readonly id: string;
    readonly path: string;
    readonly approval: string;
    readonly digest: string;
  }

  /** A link of whoever has this key, as if it had been used just now. */
  async function linkOf(key: string): Promise<Used> {
    behindMs = 0;
    const run: string = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id;
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const asked = await api.ask('agent', 'POST', path, { arguments: { amount: 150 } });
    const { id: approval, digest } = asked.body.result.approval;
    const made = await api.ask(key, 'POST', `/v1/approvals/${approval}/links`, { minutes: 5 });
    assert.equal(made.status, 201, made.text);
    await api.database.pool.query('update approval_link set used_at = now() where id = $1', [made.body.id]);
    looks = 0;
    return { id: made.body.id, path: made.body.path, approval, digest };
  }

  it('is answered after so many looks, though the clock of the API is behind', async () => {
    const answer = await fetch(await usedLink());
    assert.equal(answer.status, 403);
    assert.match(await answer.text(), /this link was used just now, and nothing is decided yet/);
    assert.ok(looks > 2 && looks <= 60, `${looks}`);
  });

  for (const way of ['by the link alone', 'signed in'])
    it(`decides nothing ${way} where the key of its person is revoked meanwhile`, async () => {
      const person = { id: newId('key'), kind: 'human', roles: ['finance.controller'] };
      const { key, keyId } = (await api.ask('admin', 'POST', '/v1/keys', person)).body;
      const { id, path, approval, digest } = await linkOf(key);
      const cookie = way === 'signed in' ? await signIn(api.url, key, path) : '';
      const session = api.deps.sessions.open(cookie.slice(cookie.indexOf('=') + 1));
      const token = session === null ? '' : api.deps.sessions.formToken(session, `${approval}:${digest}`);
      const fields = { decision: 'approve', digest, ...byLink, token, reason: '' };
      const clicked = visit(`${api.url}${path}`, cookie, fields);
      await until('it to look', () => Promise.resolve(looks > 2));
      assert.equal((await api.ask('admin', 'DELETE', `/v1/keys/${String(keyId)}`)).status, 204);
      await api.database.pool.query('update approval_link set used_at = null where id = $1', [id]);
      const { status, text } = await clicked;
      assert.equal(status, 401, text);
      assert.equal((await api.ask('finance', 'GET', `/v1/approvals/${approval}`)).body.status, 'open');
    });

  /** Approves where its person is signed in, on the approval's own page or on that of the link. */
  async function approveSignedIn(key: string, { approval, digest, path }: Used, on: string): Promise<Page> {
    const cookie = await signIn(api.url, key, path);
    const session = api.deps.sessions.open(cookie.slice(cookie.indexOf('=') + 1)) ?? assert.fail();
    const token = api.deps.sessions.formToken(session, `${approval}:${digest}`);
    const fields = { decision: 'approve', digest, token, reason: '' };
    return visit(`${api.url}${on === 'link' ? path : `/approvals/${approval}`}`, cookie, fields);
  }

  for (const on of ['page', 'link'])
    for (const lost of ['key is revoked', 'session ends', null])
      it(`${lost !== null ? 'keeps nothing of' : 'keeps'} a decision on the ${on} that waits for its run, by who is signed in, where ${lost === null ? 'nothing of theirs ends' : `their ${lost}`} meanwhile`, async (t) => {
        t.after(() => (isSessionOver = false));
        const person = { id: newId('key'), kind: 'human', roles: ['finance.controller'] };
        const { key, keyId } = (await api.ask('admin', 'POST', '/v1/keys', person)).body;
        const link = await linkOf(key);
        await setUsed(link, null);
        const { run } = (await api.ask('finance', 'GET', `/v1/approvals/${link.approval}`)).body;
        const lock = await holdRun(api.database.url, run);
        const clicked = approveSignedIn(key, link, on);
        await until('its decision to wait', () => lock.someoneWaits());
        if (lost === 'key is revoked') await api.ask('admin', 'DELETE', `/v1/keys/${String(keyId)}`);
        isSessionOver = lost === 'session ends';
        // For a second the rights are trusted that the request came with.
        await setTimeout(1_200);
        await lock.release();
        const { status, text } = await clicked;
        assert.equal(status, lost === null ? 200 : 401, text);
        const says =
          lost === null
            ? /You have approved this/
            : /not taken now: .+: nothing of it is kept, try again\.[^]+name="credential"/;
        assert.match(text, says);
        const { decisions } = (await api.ask('finance', 'GET', `/v1/approvals/${link.approval}`)).body;
        assert.equal(decisions.length, lost === null ? 1 : 0);
      });

  for (const { lost, lose } of [
    {
      lost: 'its person has no key any more',
      lose: (_: Used, keyId: string) => api.ask('admin', 'DELETE', `/v1/keys/${keyId}`),
    },
    {
      lost: 'it is revoked',
      lose: ({ approval, id }: Used, _: string, key: string) =>
        api.ask(key, 'DELETE', `/v1/approvals/${approval}/links/${id}`),
    },
    {
      lost: 'it runs out',
      lose: ({ id }: Used) =>
        api.database.pool.query('update approval_link set expires_at = now() where id = $1', [id]),
    },
  ])
    it(`keeps nothing of a decision that waits for its run, where ${lost} meanwhile`, async () => {
      const person = { id: newId('key'), kind: 'human', roles: ['finance.controller'] };
      const { key, keyId } = (await api.ask('admin', 'POST', '/v1/keys', person)).body;
      const link = await linkOf(key);
      await setUsed(link, null);
      const shown = (await api.ask('finance', 'GET', `/v1/approvals/${link.approval}`)).body;
      const lock = await holdRun(api.database.url, shown.run);
      const clicked = approve(link);
      await until('its decision to wait', () => lock.someoneWaits());
      await lose(link, keyId, key);
      // For a second the rights are trusted that the request came with.
      await setTimeout(1_200);
      await lock.release();
      const { status, text } = await clicked;
      assert.equal(status, 401, text);
      assert.match(text, /not taken now: .+: nothing of it is kept, try again\.[^]+name="credential"/);
      const { status: stands, decisions } = (
        await api.ask('finance', 'GET', `/v1/approvals/${link.approval}`)
      ).body;
      assert.deepEqual([stands, decisions], ['open', []]);
    });

  const approve = ({ path, digest }: Used): ReturnType<typeof visit> =>
    visit(`${api.url}${path}`, '', { decision: 'approve', digest, ...byLink, reason: '' });
  const setUsed = ({ id }: Pick<Used, 'id'>, ago: string | null): Promise<unknown> =>
    api.database.pool.query('update approval_link set used_at = now() - $2::interval where id = $1', [
      id,
      ago,
    ]);

  it('keeps nothing of a decision by a link that took long to read, where its person has no key any more by then', async () => {
    const person = { id: newId('key'), kind: 'human', roles: ['finance.controller'] };
    const { key, keyId } = (await api.ask('admin', 'POST', '/v1/keys', person)).body;
    const link = await linkOf(key);
    await setUsed(link, null);
    let slow = false;
    beforeApproval = async () => {
      beforeApproval = null;
      slow = true;
      await api.ask('admin', 'DELETE', `/v1/keys/${String(keyId)}`);
      await setTimeout(1_100);
    };
    const { status, text } = await approve(link);
    assert.deepEqual([slow, status], [true, 401], text);
    const { decisions } = (await api.ask('finance', 'GET', `/v1/approvals/${link.approval}`)).body;
    assert.deepEqual(decisions, []);
  });

  for (const [by, lost] of [
    ['a session', 'its key is revoked'],
    ['a session', 'its key has another role'],
    ['a link', 'it is revoked'],
    ['a link', 'its key has another role'],
  ] as const)
    it(`shows no approval to who reads it by ${by}, where ${lost} while the page is made`, async () => {
      const person = { id: newId('key'), kind: 'human', roles: ['finance.controller'] };
      const { key, keyId } = (await api.ask('admin', 'POST', '/v1/keys', person)).body;
      const { id, path, approval } = await linkOf(key);
      await setUsed({ id }, null);
      const cookie = by === 'a session' ? await signIn(api.url, key, path) : '';
      const address = by === 'a session' ? `/approvals/${approval}` : path;
      assert.match((await visit(`${api.url}${address}`, cookie)).text, /bank\.pay/);
      beforeApproval = async () => {
        const changed = {
          'its key is revoked': ['update api_key set revoked_at = now() where key_id = $1', keyId],
          'its key has another role': [`update api_key set roles = '{}' where key_id = $1`, keyId],
          'it is revoked': ['update approval_link set revoked_at = now() where id = $1', id],
        }[lost];
        await api.database.asSuperuser(changed[0], [changed[1]]);
        await setTimeout(600);
      };
      const { status, text } = await visit(`${api.url}${address}`, cookie);
      assert.doesNotMatch(text, /bank\.pay/);
      if (by === 'a link')
        assert.match(text, /this link ended, or its person got other rights: open it again/);
      else if (lost === 'its key has another role') assert.equal(status, 503, text);
      else assert.match(text, /was taken before, and is not taken now: sign in to see[^]+name="credential"/);
      assert.equal(beforeApproval, null);
    });

  for (const by of ['a session', 'a link'])
    it(`tells who has decided by ${by} so, though that ends while their page is made`, async (t) => {
      t.after(() => (isSessionOver = false));
      const person = { id: newId('key'), kind: 'human', roles: ['finance.controller'] };
      const { key } = (await api.ask('admin', 'POST', '/v1/keys', person)).body;
      const link = await linkOf(key);
      await setUsed(link, null);
      let lock: Held | null = null;
      beforeApproval = async () => (lock = await holdTable(api.database.url, 'audit_record'));
      const clicked = by === 'a session' ? approveSignedIn(key, link, 'page') : approve(link);
      const held = await until('the lock', () => lock);
      await until('its record to wait', async () => {
        const decided = 'select 1 from decision where approval = $1';
        const { rowCount } = await api.database.asSuperuser(decided, [link.approval]);
        return (rowCount ?? 0) > 0 && (await held.someoneWaits());
      });
      isSessionOver = by === 'a session';
      await api.database.asSuperuser('update approval_link set expires_at = now() where id = $1', [link.id]);
      await setTimeout(700);
      await held.release();
      const { status, text } = await clicked;
      assert.ok(status === 200 || status === 202, text);
      assert.match(text, /You have approved this|Your decision is kept: approved/);
    });

  it('tells who may have decided so, though their session ends while their page is made', async (t) => {
    t.after(() => (isSessionOver = false));
    const person = { id: newId('key'), kind: 'human', roles: ['finance.controller'] };
    const { key } = (await api.ask('admin', 'POST', '/v1/keys', person)).body;
    const link = await linkOf(key);
    onDecided = async () => {
      isSessionOver = true;
      await setTimeout(600);
      throw Object.assign(new Error('terminating connection'), { code: '57P01' });
    };
    const { status, text } = await approveSignedIn(key, link, 'page');
    assert.equal(status, 503, text);
    assert.match(text, /not certain whether this was done/);
    const { decisions } = (await api.ask('finance', 'GET', `/v1/approvals/${link.approval}`)).body;
    assert.equal(decisions.length, 1);
  });

  it('keeps a decision that has waited for its run, where the link gives the same rights still', async () => {
    const link = await linkOf('finance');
    await setUsed(link, null);
    const { run } = (await api.ask('finance', 'GET', `/v1/approvals/${link.approval}`)).body;
    const lock = await holdRun(api.database.url, run);
    const clicked = approve(link);
    await until('its decision to wait', () => lock.someoneWaits());
    await setTimeout(1_200);
    await lock.release();
    const { status, text } = await clicked;
    assert.equal(status, 200, text);
    assert.match(text, /You have approved this/);
  });

  it('decides after a click before it that failed', async () => {
    const link = await linkOf('finance');
    await setUsed(link, null);
    failing = true;
    assert.equal((await approve(link)).status, 503);
    const { status, text } = await approve(link);
    assert.equal(status, 200, text);
    assert.match(text, /You have approved this/);
  });

  it('decides after a click of some time ago by which nothing was ever decided', async () => {
    const link = await linkOf('finance');
    await setUsed(link, '3 minutes');
    assert.match((await visit(`${api.url}${link.path}`)).text, /<form/);
    const listed = await api.ask('finance', 'GET', `/v1/approvals/${link.approval}/links`);
    assert.equal(listed.body.data[0].status, 'open', listed.text);
    assert.equal((await approve(link)).status, 200);
    await setUsed(link, '3 minutes');
    const { status, text } = await visit(`${api.url}${link.path}`, '', {
      decision: 'deny',
      digest: link.digest,
      ...byLink,
      reason: 'no',
    });
    assert.equal(status, 409);
    assert.match(text, /You have approved this before/);
  });

  it('looks no more where whoever clicked has gone', async () => {
    const leaving = new AbortController();
    const clicked = fetch(await usedLink(), { signal: leaving.signal });
    await until('it to look', () => Promise.resolve(looks > 2));
    leaving.abort();
    await assert.rejects(clicked);
    await until('it to be on record', async () => {
      const records = (await api.ask('auditor', 'GET', '/v1/audit?type=api.called&limit=500')).body.data;
      return records.some(({ data }: any) => data.route === '/links/{token}' && data.status === 499);
    });
    assert.ok(looks <= 30, `${looks}`);
  });
});
