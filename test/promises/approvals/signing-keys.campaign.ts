import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { bellOf, loadKeys, sealMessage } from '../../../src/auth/index.js';
import { freePort } from '../../../src/embedded/process/ports.js';
import type { Bell, SealedMessage, SignedMessage } from '../../../src/model/message.js';
import { asSuperuser } from '../../../testing/servers/database.js';
import { messagesOf, ring } from '../../../testing/bells.js';
import { action, audit, decide, getRun, parkPayment, until } from '../../../testing/flows.js';
import { projectRoot } from '../../../testing/paths.js';
import { startShipped, type ShippedStack } from '../../../testing/shipped.js';
import type { Stack } from '../../../testing/servers/stack.js';

interface KeyBody {
  readonly keyId: string;
  readonly publicKey: string;
  readonly status: string;
}

/** A second API process, that has keys files of its own and nothing else of the first. */
async function startReplica(stack: Stack, home: string): Promise<{ url: string; process: ChildProcess }> {
  mkdirSync(home);
  cpSync(join(stack.home, 'keys'), join(home, 'keys'), { recursive: true });
  const port = String(await freePort());
  const dist = join(projectRoot, 'dist', 'processes');
  const env = { ...process.env, ...stack.settings, COUNTERSIGN_HOME: home, PORT: port };
  const args = ['--import', join(dist, 'exit-with-parent.js'), join(dist, 'api.js')];
  const child = spawn(process.execPath, args, { env, stdio: ['pipe', 'ignore', 'inherit'] });
  const url = `http://127.0.0.1:${port}`;
  await until('the second API', async () => {
    assert.equal(child.exitCode, null);
    return fetch(`${url}/readyz`).then(
      ({ status }) => status === 200,
      () => false,
    );
  });
  return { url, process: child };
}

describe('a signing key that is rotated while approvals wait', () => {
  let stack: ShippedStack;
  let replica: { url: string; process: ChildProcess };
  before(async () => {
    stack = await startShipped();
    replica = await startReplica(stack, `${stack.home}-replica`);
  });
  after(async () => {
    const gone = new Promise((resolve) => replica.process.once('exit', resolve));
    replica.process.kill('SIGKILL');
    await gone;
    rmSync(`${stack.home}-replica`, { recursive: true, force: true });
    await stack.stop();
  });

  const keys = async (): Promise<readonly KeyBody[]> =>
    (await stack.fetchAs('auditor', 'GET', '/v1/signing-keys')).body.data;
  /** Each decision that the run's history rings for, as the store has it. */
  const decisionsIn = async (run: string): Promise<SealedMessage[]> => {
    const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}/history`);
    const text = JSON.stringify(body);
    const bells = [...text.matchAll(/"data":"([A-Za-z0-9+/=]+)"/g)].map(
      ([, data = '']): Partial<Bell> | null => {
        try {
          return JSON.parse(Buffer.from(data, 'base64').toString('utf8')) as Partial<Bell> | null;
        } catch {
          return null;
        }
      },
    );
    const stored = await messagesOf(stack, run);
    return bells.flatMap((bell) =>
      bell?.kind === 'decide'
        ? stored.filter(({ id, digest }) => id === bell.id && digest === bell.digest)
        : [],
    );
  };
  /** As a stranger does it: with what the API publishes, and node:crypto. */
  const holds = async ({ text, keyId, signature }: SealedMessage): Promise<boolean> => {
    const found = (await keys()).find((one) => one.keyId === keyId);
    assert.ok(found, `the service publishes ${keyId}`);
    const key = createPublicKey({
      key: Buffer.from(found.publicKey, 'base64'),
      format: 'der',
      type: 'spki',
    });
    return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64url'));
  };
  const decideAt = async (url: string, { approval, digest }: { approval: string; digest: string }) => {
    const response = await fetch(`${url}/v1/approvals/${approval}/decision`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${stack.keys['finance'] ?? ''}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ decision: 'approve', digest }),
    });
    assert.equal(response.status, 200, await response.text());
  };
  /** With the old key, into the store itself, after that key was retired. */
  const forge = async (message: SignedMessage): Promise<void> => {
    const { signing } = await loadKeys(`${stack.home}-replica`, {});
    const sealed = sealMessage({ signing }, message);
    const { id, run, kind, text, digest, keyId, signature } = sealed;
    await asSuperuser(
      stack.databaseUrl,
      `insert into message (id, run, kind, text, digest, key_id, signature, bytes) values ($1, $2, $3, $4, $5, $6, $7, 0)`,
      [id, run, kind, text, digest, keyId, signature],
    );
    await ring(stack, run, bellOf(sealed));
  };

  it('signs with the new one in every process at once; what the old one has signed stays, and what it signs is refused', async () => {
    const [first, second, third, fourth] = [
      await parkPayment(stack),
      await parkPayment(stack),
      await parkPayment(stack),
      await parkPayment(stack),
    ];
    assert.equal((await decide(stack, 'finance', first.approval, 'approve')).status, 200);
    const [old] = await keys();
    assert.ok(old);

    const made = await stack.fetchAs('admin', 'POST', '/v1/signing-keys', { window: '10m' });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.deepEqual(
      (await keys()).map(({ status }) => status),
      ['active', 'retiring'],
    );
    const [fresh] = await keys();
    await decideAt(replica.url, second);

    const path = `/v1/signing-keys/${encodeURIComponent(old.keyId)}/retire`;
    const retired = await stack.fetchAs('admin', 'POST', path, { window: '0s' });
    assert.deepEqual([retired.status, retired.body.status], [200, 'retired']);
    const [honest] = await decisionsIn(second.run);
    assert.ok(honest);
    const { approval, digest, run } = third;
    const body = { kind: 'decide', approval, decision: 'approve', digest, reasonGiven: false } as const;
    const signed = JSON.parse(honest.text) as SignedMessage;
    await forge({ ...signed, id: 'dec_forged', run, body: { ...body, via: 'rest' }, refs: [] });
    await until('the refusal', async () => (await audit(stack, run, 'message.refused')).length === 1);
    const [refused] = await audit(stack, run, 'message.refused');
    assert.deepEqual([refused?.data['name'], refused?.data['reason']], ['decide', 'retired_key']);
    assert.equal((await getRun(stack, 'agent', run)).run.status, 'waiting');
    assert.equal((await stack.services.drafts()).filter((one) => one.key.startsWith(run)).length, 0);

    await decideAt(replica.url, third);
    await stack.api.restart();
    assert.equal((await decide(stack, 'finance', fourth.approval, 'approve')).status, 200);
    for (const parked of [first, second, third, fourth])
      await action(stack, 'agent', parked.poll, 'executed');

    const signedWith: (string | undefined)[] = [];
    for (const parked of [first, second, fourth]) {
      const [decision] = await decisionsIn(parked.run);
      assert.ok(
        decision && (await holds(decision)),
        'what was decided verifies, whatever has become of its key',
      );
      signedWith.push(decision.keyId);
    }
    assert.deepEqual(signedWith, [old.keyId, fresh?.keyId, fresh?.keyId]);
    const records = await stack.fetchAs(
      'auditor',
      'GET',
      '/v1/audit?type=signing_key.made,signing_key.retired',
    );
    assert.deepEqual(
      records.body.data
        .map((one: { type: string; data: { keyId: string } }) => [one.type, one.data.keyId])
        .sort(),
      [
        ['signing_key.made', fresh?.keyId],
        ['signing_key.retired', old.keyId],
        ['signing_key.retired', old.keyId],
      ],
    );
  });
});
