import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createLocalJWKSet, exportJWK, generateKeyPair, SignJWT, type JWK } from 'jose';
import {
  hashApiKey,
  makeAuthenticator,
  makeJwtVerifier,
  newApiKey,
  parseJwtIssuers,
  withRolePermissions,
  type Authenticator,
} from '../../src/auth/index.js';
import type { PolicySet } from '../../src/model/policy-set.js';
import { insertKey, ensurePrincipal, revokeKey } from '../../src/store/people/keys.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';

const policySet: PolicySet = {
  v: 1,
  baseDirectory: '/',
  connections: [],
  environments: [],
  roles: [{ name: 'controller', permissions: ['approval.decide', 'run.read'] }],
  queues: [],
};

describe('a principal comes from its credential', () => {
  let database: Database;
  let issuerServer: Server;
  let authenticate: Authenticator;
  let now = new Date();
  let sign: (
    claims: object,
    options?: { issuer?: string; audience?: string; alg?: string; expires?: string },
  ) => Promise<string>;
  const pepper = Buffer.alloc(32, 3);

  before(async () => {
    database = await makeDatabase();
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256' };
    issuerServer = createServer((_request, response) => response.end(JSON.stringify({ keys: [jwk] })));
    await new Promise<void>((resolve) => issuerServer.listen(0, '127.0.0.1', resolve));
    const jwksUri = `http://127.0.0.1:${(issuerServer.address() as AddressInfo).port}/jwks`;
    const common = { jwksUri, rolesClaim: 'realm.roles', permissionsClaim: 'scope' };
    const issuers = parseJwtIssuers([
      {
        ...common,
        issuer: 'https://people.example',
        audience: 'countersign',
        kind: 'human',
        prefix: 'p:',
        actors: ['helpdesk'],
      },
      {
        ...common,
        issuer: 'https://bots.example',
        audience: 'countersign',
        kindClaim: 'typ_of',
        kinds: { bot: 'agent', job: 'system' },
      },
    ]);
    sign = (claims, { issuer = 'https://people.example', audience = 'countersign', expires = '5m' } = {}) =>
      new SignJWT({ ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setExpirationTime(expires)
        .sign(privateKey);
    authenticate = makeAuthenticator({
      pool: database.pool,
      pepper,
      verifyJwt: makeJwtVerifier(issuers, () => now),
      policySet: () => Promise.resolve(policySet),
      now: () => now,
    });
  });
  after(async () => {
    issuerServer.close();
    issuerServer.closeAllConnections();
    await database.drop();
  });

  const addKey = async (
    keyId: string,
    id: string,
    kind: 'human' | 'agent',
    fields: { roles?: string[]; expiresAt?: string } = {},
  ): Promise<string> => {
    const key = newApiKey();
    await ensurePrincipal(database.pool, { id, kind });
    await insertKey(database.pool, {
      keyId,
      hash: hashApiKey(pepper, key),
      principalId: id,
      roles: fields.roles ?? [],
      permissions: ['run.start'],
      expiresAt: fields.expiresAt ?? null,
      createdBy: 'test',
    });
    return key;
  };
  const reason = async (header: string | undefined): Promise<string> => {
    const found = await authenticate(header);
    return found.status === 'ok' ? `ok ${found.principal.kind} ${found.principal.id}` : found.reason;
  };

  it('takes keys, with the permissions of their roles as they are now', async () => {
    const key = await addKey('key_1', 'alice', 'human', { roles: ['controller', 'unknown'] });
    const found = await authenticate(`Bearer ${key}`);
    assert.deepEqual(found.status === 'ok' && found.principal, {
      id: 'alice',
      kind: 'human',
      roles: ['controller', 'unknown'],
      permissions: ['run.start', 'approval.decide', 'run.read'],
    });
    assert.deepEqual(
      withRolePermissions(null, { id: 'a', kind: 'agent', roles: ['controller'], permissions: [] })
        .permissions,
      [],
    );
  });

  it('tells apart, for the record, why a key is no good', async () => {
    const revoked = await addKey('key_2', 'bob', 'agent');
    await revokeKey(database.pool, 'key_2');
    const expiring = await addKey('key_3', 'bob', 'agent', {
      expiresAt: new Date(now.getTime() + 60_000).toISOString(),
    });
    assert.equal(await reason(`Bearer ${expiring}`), 'ok agent bob');
    now = new Date(now.getTime() + 61_000);
    assert.equal(await reason(`Bearer ${expiring}`), 'expired_key');
    now = new Date();
    assert.equal(await reason(`Bearer ${revoked}`), 'revoked_key');
    assert.equal(await reason(`Bearer ${newApiKey()}`), 'unknown_key');
    assert.equal(await reason('Bearer nonsense'), 'unknown_key');
    assert.equal(await reason('Basic YTpi'), 'not_a_bearer');
    assert.equal(await reason(`Bearer ${'x'.repeat(20_000)}`), 'not_a_bearer');
    assert.equal(await reason(undefined), 'no_credential');
  });

  it('gives the permission to make keys to humans only, whatever a token says', async () => {
    const permissionsOf = async (token: string): Promise<readonly string[]> => {
      const found = await authenticate(`Bearer ${token}`);
      assert.ok(found.status === 'ok', JSON.stringify(found));
      return found.principal.permissions;
    };
    const scope = 'key.manage run.start';
    assert.deepEqual(await permissionsOf(await sign({ sub: 'dora', scope })), ['key.manage', 'run.start']);
    const bot = await sign({ sub: 'bot', typ_of: 'bot', scope }, { issuer: 'https://bots.example' });
    assert.deepEqual(await permissionsOf(bot), ['run.start']);
  });

  it('lets a configured service act for a human, says so, and nobody else', async () => {
    const acting = await authenticate(`Bearer ${await sign({ sub: 'carol', act: { sub: 'helpdesk' } })}`);
    assert.deepEqual(acting.status === 'ok' && acting.principal, {
      ...{ id: 'p:carol', kind: 'human', roles: [], permissions: [], actedBy: 'helpdesk' },
    });
    const refused = [
      { sub: 'carol', act: { sub: 'other' } },
      { sub: 'carol', act: { sub: 'helpdesk', act: { sub: 'hidden' } } },
      { sub: 'carol', act: 'helpdesk' },
      { sub: 'carol', act: null },
      { sub: 'carol', act: {} },
    ];
    for (const claims of refused)
      assert.equal(await reason(`Bearer ${await sign(claims)}`), 'actor_not_allowed', JSON.stringify(claims));
    const bot = { issuer: 'https://bots.example' };
    const token = await sign({ sub: 'bot', typ_of: 'bot', act: { sub: 'helpdesk' } }, bot);
    assert.equal(await reason(`Bearer ${token}`), 'actor_not_allowed', 'an issuer that names no actors');
  });

  it('takes JWTs of configured issuers, the kind as the operator said', async () => {
    const person = await authenticate(
      `Bearer ${await sign({ sub: 'carol', kind: 'system', realm: { roles: ['controller'] }, scope: 'run.start flow.read' })}`,
    );
    assert.deepEqual(person.status === 'ok' && person.principal, {
      id: 'p:carol',
      kind: 'human',
      roles: ['controller'],
      permissions: ['run.start', 'flow.read', 'approval.decide', 'run.read'],
    });
    const bots = { issuer: 'https://bots.example' };
    assert.equal(await reason(`Bearer ${await sign({ sub: 'b1', typ_of: 'bot' }, bots)}`), 'ok agent b1');
    assert.equal(await reason(`Bearer ${await sign({ sub: 'b2', typ_of: 'human' }, bots)}`), 'no_kind');
    assert.equal(await reason(`Bearer ${await sign({ sub: 'b3', kind: 'human' }, bots)}`), 'no_kind');
    assert.equal(await reason(`Bearer ${await sign({ sub: 'b1', typ_of: 'job' }, bots)}`), 'kind_conflict');
    assert.equal(
      await reason(`Bearer ${await sign({ sub: 'alice', typ_of: 'bot' }, bots)}`),
      'kind_conflict',
    );
  });

  it('knows nobody in two spellings, by token or by key, and says in which it does', async () => {
    const of = (sub: string): Promise<string> => sign({ sub });
    assert.equal(await reason(`Bearer ${await of('Ann.Lee')}`), 'ok human p:Ann.Lee');
    for (const sub of ['ann.lee', 'ANN.LEE', '\uff41nn.lee']) {
      const refused = await authenticate(`Bearer ${await of(sub)}`);
      assert.ok(refused.status === 'refused' && refused.reason === 'spelling_conflict', sub);
      assert.match(refused.detail ?? '', new RegExp(`\`p:${sub}\`, and \`p:Ann\\.Lee\` is known here`));
    }
    assert.equal(await reason(`Bearer ${await of('Ann.Lee')}`), 'ok human p:Ann.Lee');
    const bots = { issuer: 'https://bots.example' };
    const token = await sign({ sub: 'Alice', typ_of: 'bot' }, bots);
    assert.equal(await reason(`Bearer ${token}`), 'spelling_conflict', 'alice has a key');
  });

  it('refuses JWTs that are expired, for others, unsigned, forged or of nobody', async () => {
    assert.equal(await reason(`Bearer ${await sign({ sub: 'x' }, { expires: '-5m' })}`), 'expired_token');
    assert.equal(await reason(`Bearer ${await sign({ sub: 'x' }, { audience: 'other' })}`), 'wrong_claim');
    assert.equal(
      await reason(`Bearer ${await sign({ sub: 'x' }, { issuer: 'https://evil.example' })}`),
      'unknown_issuer',
    );
    assert.equal(await reason(`Bearer ${await sign({})}`), 'no_subject');
    for (const sub of ['ali\u200bce', 'jose\u0301', 'alice ', 'al\u00a0ice'])
      assert.equal(await reason(`Bearer ${await sign({ sub })}`), 'unclear_subject', JSON.stringify(sub));
    for (const sub of ['countersign', 'Countersign', 'countersign.worker', 'anonymous'])
      assert.equal(
        await reason(`Bearer ${await sign({ sub, typ_of: 'bot' }, { issuer: 'https://bots.example' })}`),
        'reserved_subject',
        sub,
      );
    const [, payload] = (await sign({ sub: 'x' })).split('.');
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    assert.equal(await reason(`Bearer ${part({ alg: 'none' })}.${payload}.`), 'invalid_token');
    assert.equal(
      await reason(`Bearer ${part({ alg: 'HS256', kid: 'k1' })}.${payload}.AAAA`),
      'invalid_token',
    );
    assert.equal(await reason('Bearer a.b.c'), 'unknown_issuer');
  });

  it('takes tokens that name no key, whichever of its keys the issuer signed with', async () => {
    const issuer = {
      issuer: 'https://id.example',
      audience: 'countersign',
      jwksUri: 'https://id.example/jwks',
    };
    const algs = ['ES256', 'ES256', 'ES256', 'RS256'] as const;
    const pairs = await Promise.all(algs.map((alg) => generateKeyPair(alg)));
    const published = await Promise.all(
      pairs.map(async ({ publicKey }, at): Promise<JWK> => ({
        ...(await exportJWK(publicKey)),
        ...(at === 0 ? { kid: 'a' } : {}),
        use: 'sig',
      })),
    );
    const outcome = async (keys: JWK[], signer: number, expires = '5m'): Promise<string> => {
      const verify = makeJwtVerifier(
        parseJwtIssuers([{ ...issuer, kind: 'human' }]),
        () => new Date(),
        () => createLocalJWKSet({ keys }),
      );
      const pair = pairs[signer];
      assert.ok(pair);
      const token = await new SignJWT({ sub: 'ann' })
        .setProtectedHeader({ alg: algs[signer] ?? '' })
        .setIssuer(issuer.issuer)
        .setAudience(issuer.audience)
        .setExpirationTime(expires)
        .sign(pair.privateKey);
      const result = await verify(token);
      return result.status === 'ok' ? `ok ${result.identity.id}` : result.reason;
    };
    for (const signer of [0, 1, 2, 3]) assert.equal(await outcome(published, signer), 'ok ann');
    assert.equal(await outcome(published.slice(0, 2), 2), 'invalid_token');
    assert.equal(await outcome(published, 1, '-5m'), 'expired_token');
    const broken = { ...published[1], x: 'AAAA' } as JWK;
    assert.equal(await outcome([broken, ...published], 2), 'ok ann');
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' });
    assert.equal(await outcome([weak as JWK, ...published], 3), 'ok ann');
  });

  it('does not start with issuers that are half configured', () => {
    const good = {
      issuer: 'https://a.example',
      audience: 'x',
      jwksUri: 'https://a.example/jwks',
      kind: 'human',
    };
    assert.equal(parseJwtIssuers([good])[0]?.subjectClaim, 'sub');
    const wrong: [unknown, RegExp][] = [
      [[{ ...good, kind: undefined }], /exactly one/],
      [[{ ...good, kindClaim: 'k' }], /exactly one/],
      [[{ ...good, jwksUri: 'http://a.example/jwks' }], /https/],
      [[{ ...good, audiance: 'x' }], /audiance/],
      [[good, { ...good, issuer: 'https://b.example' }], /prefix/],
    ];
    for (const [value, message] of wrong) assert.throws(() => parseJwtIssuers(value), message);
  });
});
