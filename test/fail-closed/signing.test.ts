import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe } from 'node:test';
import { currentSigningKey, makeSigningKey, type ServiceKeys } from '../../src/auth/index.js';
import { newId } from '../../src/model/names/ids.js';
import type { SealedMessage, SignedBody } from '../../src/model/message.js';
import { putSigningKey, retireSigningKeys, type NewSigningKey } from '../../src/store/people/signing-keys.js';
import { startApi } from '../api/harness.js';
import { failClosed } from './support/cells.js';
import {
  bell,
  contentOf,
  makeGoverned,
  refusals,
  resealed,
  starter,
  store,
  type Governed,
} from './support/governed.js';
import { runPolicies } from './support/run-policies.js';

// The keys with which the service signs what enters a run: which one signs now, and which are taken.

describe('a signing key', () => {
  let governed: Governed;
  before(async () => {
    governed = await makeGoverned(runPolicies('http://127.0.0.1:1'));
  });
  after(() => governed.stop());

  const body: SignedBody = { kind: 'cancel' };

  /** Signed with that key, under that name, and kept by the store; what has come of it. */
  const takenWith = async (signing: ServiceKeys['signing'], keyId = signing.keyId): Promise<unknown> => {
    const run = await governed.start('calls');
    const asked = await run.ask(starter, body);
    const sealed: SealedMessage = { ...resealed({ signing }, asked, { id: newId('msg') }), keyId };
    await store(governed, sealed);
    await run.take(bell(sealed));
    const [refused] = await refusals(run);
    const answer = await run.answerTo(sealed);
    if (refused === undefined) return answer?.status === 'refused' ? answer.code : answer?.status;
    assert.deepEqual([answer?.status, answer?.status === 'refused' && answer.code], ['refused', 'INTERNAL']);
    return refused;
  };
  /** A key of the store, and its private half. */
  const known = async (change: Partial<NewSigningKey> = {}): Promise<ServiceKeys['signing']> => {
    const made = makeSigningKey(governed.keys.kek);
    await putSigningKey(governed.database.pool, made);
    const opened = await currentSigningKey(governed.database.pool, governed.keys);
    assert.equal(opened.keyId, made.keyId);
    for (const [column, value] of Object.entries(change))
      await governed.database.asSuperuser(
        `update signing_key set ${{ publicKey: 'public_key', sealed: 'sealed' }[column]} = $2 where key_id = $1`,
        [made.keyId, value],
      );
    return opened;
  };
  const spki = (type: 'rsa' | 'ed25519'): string => {
    const { publicKey } =
      type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2_048 }) : generateKeyPairSync('ed25519');
    return publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  };
  const retire = (key: ServiceKeys['signing'], seconds: number) =>
    retireSigningKeys(governed.database.pool, [key.keyId], seconds);

  failClosed('signing.key', {
    error: async () => {
      const api = await startApi();
      try {
        const [only] = (await api.ask('auditor', 'GET', '/v1/signing-keys')).body.data;
        const path = `/v1/signing-keys/${encodeURIComponent(only.keyId)}/retire`;
        const refused = await api.ask('admin', 'POST', path, {});
        assert.deepEqual([refused.status, refused.body.code], [409, 'LAST_SIGNING_KEY']);
        const [after] = (await api.ask('auditor', 'GET', '/v1/signing-keys')).body.data;
        assert.deepEqual([after.status, after.retiredAt], ['active', null]);
        assert.equal((await api.ask('agent', 'POST', '/v1/signing-keys', {})).status, 403);
        assert.equal((await api.ask('admin', 'POST', '/v1/signing-keys/none/retire', {})).status, 404);
      } finally {
        await api.stop();
      }
    },
    timeout: async () => {
      const key = await known();
      assert.equal(await takenWith(key), 'FORBIDDEN', 'the message was taken as it is');
      await retire(key, 600);
      assert.equal(await takenWith(key), 'FORBIDDEN');
      await retire(key, 0);
      assert.equal(await takenWith(key), 'retired_key');
      await retire(key, 600);
      assert.equal(await takenWith(key), 'retired_key');

      const waiting = await governed.recordStart('calls');
      const run = governed.handle(waiting.run);
      const signer = await currentSigningKey(governed.database.pool, governed.keys);
      assert.equal(waiting.keyId, signer.keyId);
      await putSigningKey(governed.database.pool, makeSigningKey(governed.keys.kek));
      await retire(signer, 0);
      const { principal } = contentOf(waiting);
      const other = { ...principal, permissions: ['run.start', 'run.operate'] };
      const forged = resealed({ signing: signer }, waiting, { id: newId('msg'), principal: other });
      await store(governed, forged);
      assert.deepEqual(await run.tryTo(bell(forged)), { status: 'refused', reason: 'retired_key' });
      const kept = await run.tryTo(bell(waiting));
      assert.equal(kept.status, 'stepped', 'what the store had before its key was retired is taken after it');
    },
    missing: async () => {
      assert.equal(await takenWith(await known(), 'sha256:none'), 'bad_signature');
      const run = await governed.start('calls');
      const named = bell(await run.ask(starter, body));
      await run.take({ ...named, bell: { ...named.bell, keyId: 'nul\0' } });
      assert.deepEqual(await refusals(run), ['bad_signature']);
    },
    malformed: async () => {
      assert.equal(await takenWith(await known({ publicKey: 'no key' })), 'bad_signature');
      assert.equal(await takenWith(await known({ publicKey: spki('rsa') })), 'bad_signature');
      assert.equal(await takenWith(await known({ publicKey: spki('ed25519') })), 'bad_signature');
      const { pool } = governed.database;
      const key = await known({ sealed: Buffer.alloc(64) });
      assert.notEqual((await currentSigningKey(pool, governed.keys)).keyId, key.keyId);
    },
    empty: async () => {
      const { pool } = governed.database;
      const key = await known({ sealed: Buffer.alloc(0) });
      assert.notEqual((await currentSigningKey(pool, governed.keys)).keyId, key.keyId);
      await governed.database.asSuperuser('update signing_key set retired_at = now()');
      try {
        await assert.rejects(currentSigningKey(pool, governed.keys), /is retired, and no other can be used/);
        await assert.rejects(governed.recordStart('calls'), /is retired, and no other can be used/);
      } finally {
        await governed.database.asSuperuser('update signing_key set retired_at = null');
      }
    },
  });
});
