import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createLocalJWKSet, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { makeAuthenticator, makeJwtVerifier, parseJwtIssuers } from '../../src/auth/index.js';
import { startApi, type Harness } from '../api/harness.js';

// What comes of tokens at the API: on record, and in everything that names its people.

const issuer = 'https://people.example';

describe('tokens at the API', () => {
  let api: Harness;
  let sign: (claims: object) => Promise<string>;
  before(async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const keys = { keys: [await exportJWK(publicKey)] };
    sign = (claims) =>
      new SignJWT({ iss: issuer, aud: 'countersign', ...claims })
        .setProtectedHeader({ alg: 'ES256' })
        .setExpirationTime('5m')
        .sign(privateKey);
    const issuers = parseJwtIssuers([
      {
        issuer,
        audience: 'countersign',
        jwksUri: 'https://people.example/keys',
        kind: 'human',
        prefix: 'p'.repeat(100),
        rolesClaim: 'roles',
        permissionsClaim: 'scope',
        actors: ['d'.repeat(255)],
      },
    ]);
    api = await startApi((deps) => ({
      ...deps,
      authenticate: makeAuthenticator({
        ...{ pool: deps.pool, pepper: deps.pepper, now: deps.now, policySet: deps.policies.policySet },
        verifyJwt: makeJwtVerifier(issuers, deps.now, () => createLocalJWKSet(keys)),
      }),
    }));
  });
  after(() => api.stop());

  const failures = async (): Promise<{ issuer?: string; count?: number; reason: string }[]> =>
    (await api.ask('auditor', 'GET', '/v1/audit?type=authn.failed&limit=500')).body.data.map(
      (record: { data: object }) => record.data,
    );
  const call = async (token: string): Promise<void> => {
    const headers = { authorization: `Bearer ${token}` };
    assert.equal((await fetch(`${api.url}/v1/whoami`, { headers })).status, 401);
  };

  it('of an issuer that is not known are on record with its name, and those of a minute are counted together', async () => {
    await call(await sign({ iss: `${issuer}/`, sub: 'ann' }));
    for (let n = 0; n < 20; n += 1) await call(await sign({ iss: `https://evil-${n}.example`, sub: 'ann' }));
    await api.deps.anonymous.flush();
    const [first, counted, ...more] = await failures();
    assert.deepEqual(more, []);
    assert.deepEqual([first?.reason, first?.issuer], ['unknown_issuer', `${issuer}/`]);
    assert.deepEqual(
      [counted?.reason, counted?.issuer, counted?.count],
      ['unknown_issuer', undefined, 20],
      'they may be of several issuers',
    );
  });

  it('that name their issuer by nothing that is a text are on record without one, and a long name is cut', async () => {
    const seen = (await failures()).length;
    const parts = [{ alg: 'ES256' }, { iss: { of: issuer } }, {}];
    await call(parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.'));
    await api.deps.anonymous.flush();
    await call(await sign({ iss: `${issuer}/${'x'.repeat(5_000)}`, sub: 'ann' }));
    const [unnamed, long] = (await failures()).slice(seen);
    assert.deepEqual([unnamed?.reason, unnamed?.issuer], ['unknown_issuer', undefined]);
    assert.match(long?.issuer ?? '', /^https:\/\/people\.example\/x{200,}\.\.\.$/);
    assert.ok((long?.issuer ?? '').length <= 300);
  });

  it('of the longest subject are of somebody who asks, decides, is found and stands in for others', async () => {
    const ids = ['a', 'b'].map((letter) => `${'p'.repeat(100)}${letter.repeat(255)}`);
    const scope = 'run.start run.read approval.decide';
    const of = (letter: string, more: object = {}): Promise<string> =>
      sign({ sub: letter.repeat(255), roles: ['finance.controller'], scope, ...more });
    const [asker, approver] = [await of('a'), await of('b')];
    const acting = await of('b', { act: { sub: 'd'.repeat(255) } });
    const ask = async (token: string, method: string, path: string, body?: unknown) => {
      const answer = await api.ask(token, method, path, body);
      assert.ok(answer.status < 300, `${method} ${path}: ${answer.text}`);
      return answer.body;
    };
    const { run } = await ask(asker, 'POST', '/v1/flows/pay/runs', {});
    const asked = await ask(asker, 'POST', `/v1/runs/${run.id}/transitions/bank.pay`, {
      arguments: { amount: 500 },
    });
    const { id, digest } = asked.result.approval;
    const filters = [`/v1/approvals?requestedBy=${ids[0]}`, `/v1/runs?startedBy=${ids[0]}`];
    for (const path of filters) assert.equal((await ask(approver, 'GET', path)).data.length, 1, path);
    const inHours = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString();
    const away = { from: inHours(1), until: inHours(2), delegate: ids[0] };
    await ask(approver, 'PUT', '/v1/absences', away);
    await ask(acting, 'POST', `/v1/approvals/${id}/decision`, { decision: 'approve', digest });
    const records = await ask('auditor', 'GET', `/v1/audit?actor=${ids[1]}`);
    assert.ok(records.data.some((record: { type: string }) => record.type === 'approval.decided'));
  });
});
