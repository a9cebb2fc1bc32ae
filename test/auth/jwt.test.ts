import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createLocalJWKSet, exportJWK, generateKeyPair, SignJWT, type JSONWebKeySet } from 'jose';
import { makeJwtVerifier, parseJwtIssuers } from '../../src/auth/index.js';

// Tokens as identity providers write them.

const entra = ['https://sts.windows.net/acme/', 'https://login.microsoftonline.com/acme/v2.0'] as const;
const base = { audience: 'countersign', jwksUri: 'https://id.example/keys', kind: 'human' };

describe('a token', () => {
  let keys: JSONWebKeySet;
  let sign: (iss: string, claims: object) => Promise<string>;
  before(async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    keys = { keys: [await exportJWK(publicKey)] };
    sign = (iss, claims) =>
      new SignJWT({ sub: 'ann', ...claims, iss, aud: 'countersign' })
        .setProtectedHeader({ alg: 'ES256' })
        .setExpirationTime('5m')
        .sign(privateKey);
  });

  const of = async (issuers: readonly object[], iss: string, claims: object): Promise<unknown> => {
    const verify = makeJwtVerifier(
      parseJwtIssuers(issuers.map((issuer) => ({ ...base, ...issuer }))),
      () => new Date(),
      () => createLocalJWKSet(keys),
    );
    const result = await verify(await sign(iss, claims));
    if (result.status === 'refused') return result.reason;
    const { id, roles, permissions } = result.identity;
    return [id, roles, permissions];
  };

  it('under each name of one identity provider is of the same person', async () => {
    const issuers = [{ issuer: entra, subjectClaim: 'oid', prefix: 'entra:' }];
    for (const iss of entra)
      assert.deepEqual(await of(issuers, iss, { sub: iss, oid: 'ann-1' }), ['entra:ann-1', [], []]);
    for (const iss of ['https://sts.windows.net/', `${entra[1]}/`, 'https://other.example'])
      assert.equal(await of(issuers, iss, { oid: 'ann-1' }), 'unknown_issuer');
  });

  it('of one of several names may have an entry of its own under their prefix, for another kind', async () => {
    const issuers = [
      { issuer: entra, kind: undefined, kindClaim: 'what', prefix: 'e:' },
      { issuer: entra[1], kind: undefined, kindClaim: 'idtyp', kinds: { app: 'system' }, prefix: 'e:' },
      { issuer: 'https://other.example', prefix: 'o:' },
    ];
    assert.deepEqual(await of(issuers, entra[1], { idtyp: 'app' }), ['e:ann', [], []]);
  });

  it('names a role by a whole text, and permissions by a text with spaces between', async () => {
    const issuers = [{ issuer: entra[0], rolesClaim: 'group', permissionsClaim: 'scp' }];
    const given: readonly (readonly [claims: object, roles: string[], permissions: string[]])[] = [
      [{ group: 'desk.lead assistants' }, ['desk.lead assistants'], []],
      [{ group: ['desk.lead assistants', 'staff', '', 7] }, ['desk.lead assistants', 'staff'], []],
      [{ group: 'desk.lead' }, ['desk.lead'], []],
      [{ group: '', scp: 'run.start  run.read ' }, [], ['run.start', 'run.read']],
      [{ scp: ['run.start', 'run read'] }, [], ['run.start', 'run read']],
      [{ group: { 'desk.lead': true }, scp: null }, [], []],
    ];
    for (const [claims, roles, permissions] of given)
      assert.deepEqual(await of(issuers, entra[0], claims), ['ann', roles, permissions]);
  });

  it('is read at the longest names on the way to a claim, dots in them included', async () => {
    const roles = ['desk.lead'];
    const given: readonly (readonly [rolesClaim: string, claims: object, found: string[]])[] = [
      [
        'resource_access.com.acme.countersign.roles',
        {
          resource_access: {
            com: { acme: { countersign: { roles: ['other'] } } },
            'com.acme': { countersign: { roles: ['other'] } },
            'com.acme.countersign': { roles },
          },
        },
        roles,
      ],
      ['https://acme.example/claims.roles', { 'https://acme.example/claims': { roles } }, roles],
      ['a.b.c', { 'a.b.c': roles, 'a.b': { c: ['other'] } }, roles],
      ['realm_access.roles', { realm_access: { roles } }, roles],
      ['realm_access.roles', { realm_access: { admin: roles } }, []],
      ['realm_access.roles', { realm_access: roles }, []],
      ['__proto__.roles', {}, []],
    ];
    for (const [rolesClaim, claims, found] of given)
      assert.deepEqual(
        await of([{ issuer: entra[0], rolesClaim }], entra[0], claims),
        ['ann', found, []],
        rolesClaim,
      );
  });

  it('may have a subject as long as OpenID Connect allows, under the longest prefix', async () => {
    const issuers = [{ issuer: entra[0], prefix: 'p'.repeat(100) }];
    const sub = 's'.repeat(255);
    assert.deepEqual(await of(issuers, entra[0], { sub }), [`${'p'.repeat(100)}${sub}`, [], []]);
    assert.equal(await of(issuers, entra[0], { sub: `${sub}s` }), 'subject_too_long');
    assert.equal(await of(issuers, entra[0], { sub: '' }), 'no_subject');
  });
});

describe('issuers', () => {
  const issuers = (...names: readonly (string | readonly string[])[]) =>
    parseJwtIssuers(names.map((issuer) => ({ ...base, issuer })));

  it('share a prefix where one entry says that they are one, and nowhere else', () => {
    const [a, b, c] = ['https://a.example', 'https://b.example', 'https://c.example'] as const;
    for (const names of [
      [a, a],
      [[a, b]],
      [[a, b], a, b],
      [a, [b, a]],
      [
        [a, b],
        [b, a],
      ],
    ])
      issuers(...names);
    for (const names of [
      [a, b],
      [[a, b], c],
      [
        [a, b],
        [b, c],
      ],
    ])
      assert.throws(() => issuers(...names), /need a `prefix` each.*list both as the `issuer` of one entry/);
    assert.throws(() => issuers([a, b], c), /issuers `https:\/\/a.example` and `https:\/\/c.example`/);
  });

  it('are read a second time as they were read', () => {
    const read = issuers([...entra]);
    assert.deepEqual(parseJwtIssuers(read), read);
  });

  it('may be any names, as Google has one that is no address', () => {
    const issuer = ['https://accounts.google.com', 'accounts.google.com'];
    assert.deepEqual(issuers(issuer)[0]?.issuer, issuer);
  });

  it('have to be texts that can be seen, and at least one', () => {
    for (const issuer of [
      [],
      '',
      ['https://a.example', ''],
      ' a',
      'a\u200b',
      [[]],
      undefined,
      null,
      'a'.repeat(301),
    ])
      assert.throws(() => parseJwtIssuers([{ ...base, issuer }]), /0\.issuer/);
  });
});
