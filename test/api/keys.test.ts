import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { hashApiKey, newApiKey } from '../../src/auth/index.js';
import { withTransaction } from '../../src/db/index.js';
import { insertKey, insertPrincipal } from '../../src/store/people/keys.js';
import { codes, startApi, type Answer, type Harness } from './harness.js';

describe('keys are made and taken away by humans', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
    const roles =
      'roles: { finance.controller: { permissions: [] }, keeper: { permissions: [key.manage] } }\n';
    writeFileSync(join(api.home, 'policies', 'roles.yaml'), roles);
    assert.equal((await api.ask('admin', 'POST', '/v1/policies/reload')).status, 200);
  });
  after(() => api.stop());

  const make = (as: string, body: object): Promise<Answer> => api.ask(as, 'POST', '/v1/keys', body);
  const keys = async (): Promise<number> =>
    (await api.ask('admin', 'GET', '/v1/keys?limit=500')).body.data.length;

  /** Stores a key that would be refused today, as an earlier version could have made it. */
  const earlierKey = async (id: string, kind: 'agent' | 'system'): Promise<string> => {
    const key = newApiKey();
    await withTransaction(api.database.pool, async (tx) => {
      await insertPrincipal(tx, { id, kind });
      await insertKey(tx, {
        keyId: `key_${id}`,
        hash: hashApiKey(api.deps.pepper, key),
        principalId: id,
        roles: [],
        permissions: ['key.manage'],
        expiresAt: null,
        createdBy: 'somebody',
      });
    });
    return key;
  };

  it('are for nobody whose id is what records call the service itself, or nobody known', async () => {
    for (const id of ['countersign', 'Countersign', 'countersign.worker', 'anonymous', 'unknown']) {
      const refused = await make('admin', { id, kind: 'agent' });
      assert.deepEqual([...codes(refused), refused.body.errors[0].pointer], [422, 'REQUEST_INVALID', '/id']);
    }
    assert.equal((await make('admin', { id: 'countersigner', kind: 'agent' })).status, 201);
  });

  it('names that look like others are refused, of principals, roles and permissions alike', async () => {
    const before = await keys();
    for (const [name, why] of [
      ['pru\u0308fer', /normalization form C/],
      ['prü\u200bfer', /U\+200B/],
      ['pr\u00fcfer\u00a0', /U\+00A0/],
      ['prüfer ', /space/],
    ] as const)
      for (const [field, body] of [
        ['/id', { id: name, kind: 'human' }],
        ['/roles/0', { id: 'p', kind: 'human', roles: [name] }],
        ['/permissions/1', { id: 'p', kind: 'human', permissions: ['run.start', name] }],
      ] as const) {
        const refused = await make('admin', body);
        assert.deepEqual(codes(refused), [422, 'REQUEST_INVALID'], refused.text);
        assert.equal(refused.body.errors[0].pointer, field);
        assert.match(refused.body.errors[0].message, why);
      }
    assert.equal(await keys(), before);
    const plain = await make('admin', { id: 'Prüferin 2', kind: 'human', roles: ['prüfer'] });
    assert.equal(plain.status, 201, plain.text);
  });

  it('an agent or a system that holds the permission makes none, revokes none and rotates none', async () => {
    const { keyId } = (await make('admin', { id: 'victim', kind: 'human' })).body;
    for (const kind of ['agent', 'system'] as const) {
      const key = await earlierKey(`old-${kind}`, kind);
      const before = await keys();
      for (const wanted of ['human', 'system', 'agent'])
        assert.deepEqual(codes(await make(key, { id: `by-${kind}`, kind: wanted })), [403, 'HUMANS_ONLY']);
      for (const [method, path] of [
        ['DELETE', `/v1/keys/${keyId}`],
        ['POST', '/v1/signing-keys'],
        ['POST', '/v1/signing-keys/none/retire'],
      ] as const)
        assert.deepEqual(codes(await api.ask(key, method, path)), [403, 'HUMANS_ONLY'], path);
      assert.equal(await keys(), before);
      const { body } = await api.ask('auditor', 'GET', `/v1/audit?actor=old-${kind}&type=request.refused`);
      assert.equal(body.data.length, 6);
      assert.ok(body.data.every((record: { data: { code: string } }) => record.data.code === 'HUMANS_ONLY'));
    }
  });

  it('`key.manage` is refused on a key of an agent or a system', async () => {
    for (const kind of ['agent', 'system']) {
      const refused = await make('admin', {
        id: `new-${kind}`,
        kind,
        permissions: ['run.start', 'key.manage'],
      });
      assert.deepEqual(codes(refused), [422, 'REQUEST_INVALID']);
      assert.equal(refused.body.errors[0].pointer, '/permissions/1');
    }
    const human = await make('admin', { id: 'keeper', kind: 'human', permissions: ['key.manage'] });
    assert.equal(human.status, 201);
    assert.equal((await make(human.body.key, { id: 'made', kind: 'system' })).status, 201);
  });

  it('a role gives it to humans only', async () => {
    const agent = (await make('admin', { id: 'robot', kind: 'agent', roles: ['keeper'] })).body.key;
    assert.deepEqual((await api.ask(agent, 'GET', '/v1/whoami')).body.permissions, []);
    assert.deepEqual(codes(await make(agent, { id: 'x', kind: 'agent' })), [403, 'FORBIDDEN']);
    const human = (await make('admin', { id: 'ann', kind: 'human', roles: ['keeper'] })).body.key;
    assert.equal((await make(human, { id: 'x', kind: 'agent' })).status, 201);
  });
});
