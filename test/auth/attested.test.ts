import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { signMessage, verifyAttested } from '../../src/auth/attested.js';
import { importPublicKey, loadKeys, type ServiceKeys } from '../../src/auth/keys.js';
import type { AttestedMessage, Message } from '../../src/model/message.js';

const message: Message = {
  v: 1,
  id: 'msg_1',
  delivery: 'msg_2',
  run: 'run_1',
  time: '2026-11-21T00:00:00.000Z',
  principal: { id: 'alice', kind: 'human', roles: [], permissions: ['run.start'] },
  body: {
    kind: 'submit',
    transition: 'go',
    arguments: JSON.parse('{"__proto__": 1, "a": [1.5]}'),
    expectedVersion: null,
  },
  refs: [{ role: 'args', commit: 'c', bytes: 1, media: 'application/json', payload: 'pay_1', masked: [] }],
};

describe('what enters a run is attested', () => {
  let home: string;
  let keys: ServiceKeys;
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'countersign-auth-'));
    keys = await loadKeys(home, {});
  });
  after(() => rm(home, { recursive: true }));

  const verify = (attested: unknown, run = 'run_1') =>
    verifyAttested(attested, {
      run,
      publicKey: async (keyId) => (keyId === keys.signing.keyId ? importPublicKey(keys.signing) : null),
    });
  const reason = async (attested: unknown, run?: string): Promise<string> => {
    const result = await verify(attested, run);
    return result.status === 'ok' ? 'ok' : result.reason;
  };
  const wire = (attested: AttestedMessage): AttestedMessage =>
    JSON.parse(JSON.stringify(attested)) as AttestedMessage;

  it('accepts what this service signed for this run, whatever the order of its keys', async () => {
    const signed = signMessage(keys, message);
    assert.equal(await reason(wire(signed)), 'ok');
    const reordered = { ...signed, message: Object.fromEntries(Object.entries(signed.message).reverse()) };
    assert.equal(await reason(reordered), 'ok');
  });

  it('refuses a message of another run', async () => {
    assert.equal(await reason(signMessage(keys, message), 'run_2'), 'wrong_run');
  });

  it('refuses every change of what was signed', async () => {
    const signed = signMessage(keys, message);
    const changed: unknown[] = [
      { ...signed, message: { ...message, principal: { ...message.principal, id: 'mallory' } } },
      { ...signed, message: { ...message, body: { ...message.body, transition: 'other' } } },
      { ...signed, message: { ...message, extra: 1 } },
      { ...signed, message: { ...message, body: { kind: 'cancel' } } },
      { ...signed, keyId: 'sha256:other' },
      { ...signed, signature: `${signed.signature}=` },
      { ...signed, signature: signed.signature.slice(0, -2) },
      { ...signed, signature: 7 },
      { ...signed, more: true },
      { ...signed, message: null },
    ];
    for (const one of changed) assert.equal(await reason(one), 'bad_signature', JSON.stringify(one));
  });

  it('refuses the signature of another key', async () => {
    const privateKey = generateKeyPairSync('ed25519').privateKey;
    const forged = signMessage({ signing: { ...keys.signing, privateKey } }, message);
    assert.equal(await reason(forged), 'bad_signature');
  });

  it('tells unsigned from undecodable, and never throws on garbage', async () => {
    const inherited = Object.create({ keyId: 'a', signature: 'b' }) as object;
    for (const one of [
      {},
      { message },
      { message, keyId: keys.signing.keyId },
      inherited,
      { kind: 'human' },
    ]) {
      assert.equal(await reason(one), 'unsigned');
    }
    for (const one of [undefined, null, 'text', 7, [], [[[]]], { countersign: 'undecodable' }]) {
      assert.equal(await reason(one), 'undecodable');
    }
    const lone = { ...signMessage(keys, message), message: { ...message, id: '\ud800' } };
    assert.equal(await reason(lone), 'bad_signature');
  });

  it('lets the store be away: that is no refusal', async () => {
    const away = verifyAttested(signMessage(keys, message), {
      run: 'run_1',
      publicKey: () => Promise.reject(new Error('away')),
    });
    await assert.rejects(away, /away/);
  });

  it('makes the keys once, whoever races for them, for the owner only', async () => {
    const folder = join(home, 'race');
    const all = await Promise.all(Array.from({ length: 12 }, () => loadKeys(folder, {})));
    assert.equal(new Set(all.map((one) => one.signing.keyId)).size, 1);
    assert.equal(new Set(all.map((one) => one.kek.toString('hex'))).size, 1);
    assert.deepEqual((await readdir(join(folder, 'keys'))).sort(), ['kek', 'pepper', 'signing.pem']);
    assert.equal((await stat(join(folder, 'keys'))).mode & 0o777, 0o700);
    assert.equal((await stat(join(folder, 'keys', 'kek'))).mode & 0o777, 0o600);
  });

  it('takes keys from the environment, and says which one is wrong', async () => {
    const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const env = {
      COUNTERSIGN_SIGNING_KEY: pem.replaceAll('\n', '\\n'),
      COUNTERSIGN_KEK: 'ab'.repeat(32),
      COUNTERSIGN_PEPPER: Buffer.alloc(32, 7).toString('base64'),
    };
    const loaded = await loadKeys(join(home, 'never'), env);
    assert.equal(loaded.kek.toString('hex'), 'ab'.repeat(32));
    await assert.rejects(
      loadKeys(home, { ...env, COUNTERSIGN_KEK: 'short' }),
      /COUNTERSIGN_KEK must be 32 bytes/,
    );
    await assert.rejects(loadKeys(home, { ...env, COUNTERSIGN_SIGNING_KEY: 'x' }), /COUNTERSIGN_SIGNING_KEY/);
  });
});
