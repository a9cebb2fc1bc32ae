import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { makeLink } from '../../src/service/approvals/links/links.js';
import { byLink, formToken, servedFields, signIn, visit, type Page } from '../../testing/browser-forms.js';
import { startApi, type Harness } from '../api/harness.js';

const away = { status: 'unavailable', code: 'AUDIT_UNAVAILABLE' } as const;

describe('what a page refuses', () => {
  let api: Harness;
  let isAway = false;
  before(async () => {
    api = await startApi((deps) => ({
      ...deps,
      client: {
        ...deps.client,
        decide: (request) => (isAway ? Promise.resolve(away) : deps.client.decide(request)),
      },
    }));
  });
  after(() => api.stop());

  async function park(): Promise<{ id: string; digest: string }> {
    const run: string = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id;
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const asked = await api.ask('agent', 'POST', path, { arguments: { amount: 150 } });
    return asked.body.result.approval;
  }
  const linkTo = async (approval: string, good = true): Promise<string> => {
    const { token } = await makeLink(api.deps.pool, api.deps.pepper, {
      ...{ approval, recipient: 'finance', createdBy: 'test' },
      expiresAt: new Date(Date.now() + (good ? 3_600_000 : -60_000)).toISOString(),
    });
    return `/links/${token}`;
  };
  const send = async (path: string, cookie = '', fields?: Record<string, string>): Promise<Page> => {
    // Each request without a credential counts as the first of its minute, so that it is recorded.
    await api.deps.anonymous.flush();
    return visit(`${api.url}${path}`, cookie, fields ?? null);
  };
  const lastOf = async (type: string): Promise<{ seq: number; code: string | undefined; actor: string }> => {
    const { rows } = await api.database.asSuperuser(
      `select seq, convert_from(body, 'utf8')::jsonb -> 'data' ->> 'code' as code,
           convert_from(body, 'utf8')::jsonb -> 'actor' ->> 'id' as actor
         from audit_record where type = $1 order by seq desc limit 1`,
      [type],
    );
    const [row] = rows as { seq: number; code: string | null; actor: string }[];
    return { seq: row?.seq ?? 0, code: row?.code ?? undefined, actor: row?.actor ?? '' };
  };
  /** The page that `act` ends on is a refusal, and both records of it name the code. */
  const refuses = async (code: string, status: number, act: () => Promise<Page>): Promise<void> => {
    const before = await lastOf('request.refused');
    const { status: given, text } = await act();
    assert.equal(given, status, text);
    const refused = await lastOf('request.refused');
    assert.deepEqual([refused.code, refused.seq > before.seq], [code, true], text);
    assert.equal((await lastOf('api.called')).code, code, text);
  };

  it('is told on a page also where nothing is at an address below that of a page', async () => {
    const { id } = await park();
    for (const path of [
      `${await linkTo(id)}/`,
      `/approvals/${id}/`,
      `/approvals/${id}/more`,
      '/links/',
      '/sign-in/',
      '/links/%zz',
    ])
      await refuses('NOT_FOUND', 404, async () => {
        const sent = await send(path);
        assert.match(sent.headers.get('content-type') ?? '', /^text\/html/, path);
        assert.match(
          sent.text,
          /<p>there is nothing at this address: see that it is whole, and that nothing more stands behind it<\/p>/,
        );
        return sent;
      });
    for (const path of ['/linksx', '/nothing', '/v1/nothing'])
      assert.match((await send(path)).headers.get('content-type') ?? '', /^application\/problem\+json/, path);
  });

  it('is on record where a form is not of this session, an approval is unknown, or nobody is signed in', async () => {
    const { id, digest } = await park();
    const cookie = await signIn(api.url, api.keys['finance'] ?? '', `/approvals/${id}`);
    const form = { decision: 'approve', digest, token: 'guessed', reason: '' };
    await refuses('FORBIDDEN', 403, () => send(`/approvals/${id}`, cookie, form));
    await refuses('NOT_FOUND', 404, () => send('/approvals/apr_unknown', cookie));
    await refuses('UNAUTHENTICATED', 401, () => send(`/approvals/${id}`, '', form));
    await refuses('FORBIDDEN', 403, () =>
      send('/sign-in', '', { credential: api.keys['agent'] ?? '', next: '/' }),
    );
  });

  it('is on record where a link is unknown, over, revoked, or used for another decision', async () => {
    const { id, digest } = await park();
    const revoked = await linkTo(id);
    await api.database.pool.query('update approval_link set revoked_at = now() where approval = $1', [id]);
    await refuses('NOT_FOUND', 404, () => send(`/links/${'x'.repeat(43)}`));
    await refuses('FORBIDDEN', 403, async () => send(await linkTo(id, false)));
    await refuses('FORBIDDEN', 403, () => send(revoked));
    const good = await linkTo(id);
    const form = { decision: 'approve', digest, ...byLink, reason: '' };
    assert.equal((await send(good, '', form)).status, 200);
    await api.kernel.settled();
    await refuses('ALREADY_DECIDED', 409, () => send(good, '', { ...form, decision: 'deny' }));
  });

  it('is on record, and as nobody, where a program sends the form of a link as it was served', async () => {
    const good = await linkTo((await park()).id);
    const served = servedFields(await send(good));
    await refuses('REQUEST_INVALID', 422, () => send(good, '', { ...served, decision: 'approve' }));
    assert.equal((await lastOf('request.refused')).actor, 'anonymous');
  });

  it('is on record where the store did not take the decision of a form, and does not say that nothing was decided', async () => {
    const { id, digest } = await park();
    const page = `/approvals/${id}`;
    const cookie = await signIn(api.url, api.keys['finance'] ?? '', page);
    const token = formToken(await send(page, cookie));
    const form = { decision: 'approve', digest, token, reason: '' };
    isAway = true;
    let told = '';
    await refuses('AUDIT_UNAVAILABLE', 503, async () => {
      const answer = await send(page, cookie, form);
      told = answer.text;
      return answer;
    });
    assert.doesNotMatch(told, /Nothing was decided/, 'nobody knows that yet');
  });
});
