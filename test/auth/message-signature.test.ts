import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { lstat, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bellOf, openMessage, sealMessage } from '../../src/auth/message-signature.js';
import { importPublicKey, loadKeys, type ServiceKeys } from '../../src/auth/keys.js';
import type { VerifyingKey } from '../../src/auth/signing-keys.js';
import { canonical } from '../../src/model/values/canonical.js';
import {
  messageKinds,
  type SealedMessage,
  type SignedBody,
  type SignedMessage,
} from '../../src/model/message.js';

const message: SignedMessage = {
  v: 1,
  id: 'msg_1',
  run: 'run_1',
  environment: 'dev',
  time: '2026-11-21T00:00:00.000Z',
  principal: { id: 'alice', kind: 'human', roles: [], permissions: ['run.start'] },
  body: { kind: 'submit', transition: 'go', expectedVersion: null },
  refs: [{ role: 'args', commit: 'c', bytes: 1, media: 'application/json', payload: 'pay_1', masked: [] }],
};
const bodies: Readonly<Record<SignedBody['kind'], SignedBody>> = {
  start: {
    ...{ kind: 'start', flow: 'pay', flowVersion: 1, planHash: 'sha256:p', mode: 'live', traceId: 'trc_1' },
  },
  submit: message.body,
  decide: {
    ...{ kind: 'decide', approval: 'apr_1', decision: 'approve', digest: 'sha256:d' },
    ...{ reasonGiven: true, via: 'page' },
  },
  cancel: { kind: 'cancel' },
  retry: { kind: 'retry', about: 's3.0' },
};

/** Of a text, as the store keeps it. */
const digestOf = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`;

describe('what enters a run is sealed', () => {
  let home: string;
  let keys: ServiceKeys;
  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'countersign-auth-'));
    keys = await loadKeys(home, {});
  });
  // Where one key cannot be read, the others may still be made.
  after(() => rm(home, { recursive: true, maxRetries: 10 }));

  const outcome = async (
    sealed: SealedMessage,
    {
      run = 'run_1',
      environment = 'dev',
      standing,
    }: { run?: string; environment?: string; standing?: VerifyingKey } = {},
  ): Promise<string> => {
    const opened = openMessage(sealed, {
      ...{ run, environment },
      publicKey: (keyId) =>
        standing !== undefined
          ? standing
          : keyId === keys.signing.keyId
            ? importPublicKey(keys.signing)
            : null,
    });
    return opened.status === 'ok' ? 'ok' : opened.reason;
  };
  /** A text that our own key signed, whatever it says. */
  const signedText = (text: string, of: SealedMessage = sealMessage(keys, message)): SealedMessage => ({
    ...of,
    ...{ text, digest: digestOf(text) },
    signature: sign(null, Buffer.from(text, 'utf8'), keys.signing.privateKey).toString('base64url'),
  });

  it('opens as what was sealed, for each kind of message', async () => {
    for (const kind of messageKinds) {
      const sealed = sealMessage(keys, { ...message, body: bodies[kind] });
      assert.deepEqual([sealed.id, sealed.run, sealed.kind], ['msg_1', 'run_1', kind]);
      const opened = openMessage(sealed, {
        ...{ run: 'run_1', environment: 'dev' },
        publicKey: () => importPublicKey(keys.signing),
      });
      assert.deepEqual(opened, { status: 'ok', message: { ...message, body: bodies[kind] } });
    }
  });

  it('has a bell that names it and says nothing of it', () => {
    const sealed = sealMessage(keys, message);
    const { id, kind, digest, keyId, signature } = sealed;
    assert.deepEqual(bellOf(sealed), { id, kind, digest, keyId, signature });
    assert.ok(JSON.stringify(bellOf(sealed)).length < 400);
  });

  it('is taken by no other run and in no other environment', async () => {
    const sealed = sealMessage(keys, message);
    assert.equal(await outcome(sealed, { run: 'run_2' }), 'wrong_run');
    assert.equal(await outcome({ ...sealed, run: 'run_2' }, { run: 'run_2' }), 'wrong_run');
    assert.equal(await outcome(sealed, { environment: 'prod' }), 'wrong_run');
  });

  it('is refused with any change of any field of what was signed', async () => {
    for (const kind of messageKinds) {
      const sealed = sealMessage(keys, { ...message, body: bodies[kind] });
      const signed = JSON.parse(sealed.text) as Record<string, unknown>;
      const changed = [...changes(signed), { ...signed, extra: 1 }];
      assert.ok(changed.length > 20, String(changed.length));
      for (const each of changed) {
        const text = canonical(each);
        assert.notEqual(text, sealed.text);
        assert.equal(await outcome({ ...sealed, text }), 'bad_signature', text);
        assert.equal(await outcome({ ...sealed, text, digest: digestOf(text) }), 'bad_signature', text);
      }
    }
  });

  it('is refused when what stands beside the signed text says something else', async () => {
    const sealed = sealMessage(keys, message);
    const forged: Partial<SealedMessage>[] = [
      { id: 'msg_2' },
      { kind: 'cancel' },
      { digest: digestOf('') },
      { digest: '' },
      { keyId: 'sha256:other' },
      { keyId: '' },
      { signature: '' },
      { signature: `${sealed.signature}=` },
      { signature: sealed.signature.slice(0, -2) },
      { signature: `${sealed.signature}AAAA` },
      { signature: Buffer.from(sealed.signature, 'base64url').toString('base64') },
      { text: `${sealed.text} ` },
      { text: '' },
    ];
    for (const change of forged)
      assert.equal(await outcome({ ...sealed, ...change }), 'bad_signature', JSON.stringify(change));
  });

  it('is refused when our own key signed what is no message', async () => {
    const odd = [
      '',
      'null',
      '[]',
      '{"half":',
      '{}',
      canonical({ ...message, v: 2 }),
      canonical({ ...message, more: true }),
      canonical({ ...message, body: { kind: 'shrug' } }),
      canonical({ ...message, body: { ...message.body, arguments: { amount: 1 } } }),
      canonical({ ...message, principal: { ...message.principal, kind: 'god' } }),
      canonical({ ...message, time: 'yesterday' }),
      canonical({ ...message, refs: [{ payload: 'pay_1' }] }),
    ];
    for (const text of odd) assert.equal(await outcome(signedText(text)), 'bad_signature', text);
    assert.equal(await outcome(signedText(canonical(message))), 'ok');
  });

  it('is refused when another key signed it, or one that is retired', async () => {
    const { privateKey } = generateKeyPairSync('ed25519');
    const forged = sealMessage({ signing: { ...keys.signing, privateKey } }, message);
    assert.equal(await outcome(forged), 'bad_signature');
    const sealed = sealMessage(keys, message);
    assert.equal(await outcome(sealed, { standing: 'retired' }), 'retired_key');
    assert.equal(await outcome(sealed, { standing: null }), 'bad_signature');
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey;
    assert.equal(await outcome(sealed, { standing: rsa }), 'bad_signature');
  });

  it('makes the keys once, whoever races for them, for the owner only', async () => {
    const folder = join(home, 'race');
    const all = await Promise.all(Array.from({ length: 12 }, () => loadKeys(folder, {})));
    assert.equal(new Set(all.map((keys) => keys.signing.keyId)).size, 1);
    assert.equal(new Set(all.map((keys) => keys.kek.toString('hex'))).size, 1);
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
    const spaced = await loadKeys(home, { ...env, COUNTERSIGN_SIGNING_KEY: pem.replaceAll('\n', ' ') });
    assert.equal(spaced.signing.keyId, loaded.signing.keyId);
  });

  it('says of a key file that cannot be used which it is, which variable stands for it, and what to do', async () => {
    const variables = {
      kek: 'COUNTERSIGN_KEK',
      pepper: 'COUNTERSIGN_PEPPER',
      'signing.pem': 'COUNTERSIGN_SIGNING_KEY',
    };
    const faults: [string, (path: string) => Promise<unknown>][] = [
      ['EISDIR: it is a folder', (path) => mkdir(path, { recursive: true })],
      ['ENOENT: a link leads to nothing', (path) => symlink('/nowhere/key', path)],
      ['ELOOP: a link leads to itself', (path) => symlink(path, path)],
    ];
    let at = 0;
    for (const [file, variable] of Object.entries(variables))
      for (const [fault, make] of faults) {
        const keys = join(home, `unusable-${(at += 1)}`, 'keys');
        const path = join(keys, file);
        await mkdir(keys, { recursive: true });
        await make(path);
        await assert.rejects(loadKeys(join(keys, '..'), {}), {
          message: `the key file \`${path}\` cannot be read (${fault}): see that it is a file that this process can read, with the key that was used before, or set ${variable} to that key; in a new deployment remove what is there, and a new key is made`,
        });
        assert.ok((await lstat(path)) !== null, 'what is there stays');
      }
    const noFolder = join(home, 'no-folder');
    await mkdir(noFolder);
    await writeFile(join(noFolder, 'keys'), '');
    await assert.rejects(
      loadKeys(noFolder, {}),
      /`.+\/keys\/[\w.]+` cannot be read \(ENOTDIR: .+ or set COUNTERSIGN_\w+ to that key/,
    );
  });
});

/** The value once for each of its fields, however deep: with another value there, and without it. */
function changes(value: unknown): unknown[] {
  if (Array.isArray(value))
    return value.flatMap((item: unknown, at) => [
      ...changes(item).map((changed) => value.map((each: unknown, index) => (index === at ? changed : each))),
      value.filter((_, index) => index !== at),
    ]);
  if (typeof value === 'object' && value !== null)
    return Object.entries(value).flatMap(([name, inner]: [string, unknown]) => [
      ...changes(inner).map((changed) => ({ ...value, [name]: changed })),
      Object.fromEntries(Object.entries(value).filter(([other]) => other !== name)),
    ]);
  return [value === null ? 0 : null, typeof value === 'string' ? `${value}x` : String(value)];
}
