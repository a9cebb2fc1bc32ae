import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe } from 'node:test';
import { createRemoteJWKSet, exportJWK, generateKeyPair, SignJWT, type JWTPayload } from 'jose';
import { makeAuthenticator, makeJwtVerifier, newApiKey, parseJwtIssuers } from '../../src/auth/index.js';
import { startApi, type Answer, type Harness } from '../api/harness.js';
import { makeAsking } from './support/asking.js';
import { failClosed } from './support/cells.js';

// Credentials: whatever is not plainly one of ours, now, is nobody's, and is on record as such.

describe('a credential', () => {
  let api: Harness;
  const { refuses, makeKey } = makeAsking(() => api);
  let issuer: Server;
  let jwks: 'good' | 'hangs' | 'fails' | 'garbage' | 'empty' = 'good';
  let sign: (claims: JWTPayload, kid?: string) => Promise<string>;
  before(async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const key = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' };
    issuer = createServer((_request, response) => {
      if (jwks === 'hangs') return;
      if (jwks === 'fails') response.statusCode = 500;
      response.end(jwks === 'garbage' ? '{"half":' : JSON.stringify({ keys: jwks === 'empty' ? [] : [key] }));
    });
    await new Promise<void>((resolve) => issuer.listen(0, '127.0.0.1', resolve));
    const jwksUri = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`;
    const issuers = parseJwtIssuers([
      { issuer: 'https://people.example', audience: 'countersign', jwksUri, kindClaim: 'what', prefix: 'p:' },
    ]);
    sign = (claims, kid = 'k1') =>
      new SignJWT({ iss: 'https://people.example', aud: 'countersign', exp: soon(), ...claims })
        .setProtectedHeader({ alg: 'ES256', kid })
        .sign(privateKey);
    // Fresh keys each time, and a short patience: a cached key set would hide that its source is away.
    const verifyJwt = (token: string) =>
      makeJwtVerifier(
        issuers,
        () => new Date(),
        (uri) => createRemoteJWKSet(new URL(uri), { timeoutDuration: 200 }),
      )(token);
    api = await startApi((deps) => ({
      ...deps,
      authenticate: makeAuthenticator({
        ...{ pool: deps.pool, pepper: deps.pepper, verifyJwt, now: deps.now },
        policySet: deps.policies.policySet,
      }),
    }));
  });
  after(async () => {
    issuer.closeAllConnections();
    issuer.close();
    await api.stop();
  });

  const soon = (): number => Math.floor(Date.now() / 1_000) + 300;
  const unauthenticated = (header: string | undefined): Promise<Answer> =>
    refuses(
      () =>
        api.ask(null, 'GET', '/v1/whoami', undefined, header === undefined ? {} : { authorization: header }),
      [401, 'UNAUTHENTICATED'],
      'authn.failed',
    );
  failClosed('auth.header', {
    missing: async () => void (await unauthenticated(undefined)),
    malformed: async () => {
      for (const header of ['Basic YTpi', 'Bearer', 'Bearer a b', `Bearer ${'x'.repeat(9_000)}`, 'cs_x'])
        await unauthenticated(header);
    },
    empty: async () => void (await unauthenticated('')),
  });

  failClosed('auth.key', {
    error: async () => {
      const { key, keyId } = await makeKey({ id: 'revoked' });
      assert.equal((await api.ask('admin', 'DELETE', `/v1/keys/${keyId}`)).status, 204);
      await unauthenticated(`Bearer ${key}`);
    },
    timeout: async () => {
      const { key, keyId } = await makeKey({ id: 'expired' });
      await api.database.asSuperuser(
        `update api_key set expires_at = now() - interval '1 second' where key_id = $1`,
        [keyId],
      );
      await unauthenticated(`Bearer ${key}`);
    },
    missing: async () => void (await unauthenticated(`Bearer ${newApiKey()}`)),
    malformed: async () => {
      const { key } = await makeKey({ id: 'odd' });
      for (const wrong of [key.slice(0, -1), `${key}A`, key.toUpperCase(), key.replace('cs_', '')])
        await unauthenticated(`Bearer ${wrong}`);
    },
    empty: async () => void (await unauthenticated('Bearer cs_')),
  });

  const withJwks = async (state: typeof jwks, claims: JWTPayload = {}, kid?: string): Promise<void> => {
    jwks = state;
    try {
      await unauthenticated(`Bearer ${await sign({ sub: 'carol', what: 'human', ...claims }, kid)}`);
    } finally {
      jwks = 'good';
    }
  };

  failClosed('auth.jwt', {
    error: () => withJwks('fails'),
    timeout: async () => {
      await withJwks('hangs');
      await withJwks('good', { exp: soon() - 3_600 });
    },
    missing: async () => {
      await withJwks('good', {}, 'another key');
      for (const claim of ['exp', 'sub', 'iss', 'aud']) await withJwks('good', { [claim]: undefined });
      await withJwks('good', { iss: 'https://people.example/' });
      const { data } = (await api.ask('auditor', 'GET', '/v1/audit?type=authn.failed&limit=500')).body;
      assert.deepEqual(
        [data.at(-1).data.reason, data.at(-1).data.issuer],
        ['unknown_issuer', 'https://people.example/'],
      );
    },
    malformed: async () => {
      await withJwks('garbage');
      await withJwks('good', { aud: 'another service' });
      await withJwks('good', { sub: 's'.repeat(354) });
      const [, payload] = (await sign({ sub: 'carol', what: 'human' })).split('.');
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      await unauthenticated(`Bearer ${part({ alg: 'none' })}.${String(payload)}.`);
      await unauthenticated(`Bearer ${part({ alg: 'HS256', kid: 'k1' })}.${String(payload)}.AAAA`);
      await unauthenticated('Bearer a.b.c');
    },
    empty: async () => {
      await withJwks('empty');
      await withJwks('good', { sub: '' });
      await unauthenticated('Bearer ..');
    },
  });

  failClosed('auth.acting', {
    malformed: async () => {
      for (const act of ['erp', [], { sub: ['erp'] }, { sub: 'erp', act: { sub: 'other' } }])
        await withJwks('good', { act });
    },
    empty: async () => {
      for (const act of [{}, { sub: '' }, null]) await withJwks('good', { act });
    },
  });

  failClosed('auth.kind', {
    error: async () => {
      const token = await sign({ sub: 'dora', what: 'human' });
      assert.equal((await api.ask(token, 'GET', '/v1/whoami')).status, 200);
      await withJwks('good', { sub: 'dora', what: 'agent' });
      await refuses(
        () => api.ask('admin', 'POST', '/v1/keys', { id: 'agent', kind: 'human' }),
        [409, 'KIND_CONFLICT'],
        'request.refused',
      );
    },
    missing: () => withJwks('good', { what: undefined }),
    malformed: async () => {
      for (const what of ['Human', 'robot', ['human'], true, 1]) await withJwks('good', { what });
    },
    empty: () => withJwks('good', { what: '' }),
  });

  failClosed('auth.spelling', {
    error: async () => {
      const token = await sign({ sub: 'Emil', what: 'human' });
      assert.equal((await api.ask(token, 'GET', '/v1/whoami')).status, 200);
      await withJwks('good', { sub: 'emil' });
      const [record] = (
        await api.ask('auditor', 'GET', '/v1/audit?type=authn.failed&limit=500')
      ).body.data.filter((one: { data: { reason: string } }) => one.data.reason === 'spelling_conflict');
      assert.match(record.data.detail, /^the token is of `p:emil`, and `p:Emil` is known here/);
      const made = await refuses(
        () => api.ask('admin', 'POST', '/v1/keys', { id: 'P:EMIL', kind: 'human' }),
        [409, 'KIND_CONFLICT'],
        'request.refused',
      );
      assert.match(made.body.detail, /^`p:Emil` is known here.*make the key for `p:Emil`$/);
      assert.equal(made.body.known, 'p:Emil');
    },
  });
});
