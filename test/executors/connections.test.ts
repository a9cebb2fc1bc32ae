// Where a connection may lead, and what it may carry.
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCall } from '../../src/executors/index.js';
import { resolveConnection } from '../../src/model/policy-set.js';
import { isPrivateAddress } from '../../src/executors/connections/private-addresses.js';
import type { ExecutorResult, RunContext } from '../../src/executors/types.js';
import { contextWith, makeWorld, restCall, type World } from './world.js';

let world: World;
before(async () => {
  world = await makeWorld();
});
after(() => world.close());

const call = restCall();

test('private addresses are refused where the connection does not allow them, by name too', async () => {
  const { port } = new URL(world.url);
  const before = world.seen.length;
  for (const host of [
    '127.0.0.1',
    'localhost',
    '[::1]',
    '[::ffff:127.0.0.1]',
    '0x7f.1',
    '2130706433',
    '169.254.169.254',
    '10.0.0.1',
  ]) {
    const connection = {
      kind: 'rest',
      baseUrl: `http://${host}:${port}`,
      allowPrivate: false,
      headers: {},
    } as const;
    const result = await runCall(call, contextWith(connection));
    assert.ok(result.status === 'failed', host);
    assert.equal(result.errorClass, 'permanent', `${host}: ${result.message}`);
    assert.match(result.message, /allowPrivate/);
  }
  assert.equal(world.seen.length, before);
});

test('what is private is known for both families', () => {
  const yes = [
    '127.0.0.1',
    '10.1.2.3',
    '172.31.0.1',
    '192.168.0.1',
    '169.254.1.1',
    '100.64.0.1',
    '0.0.0.0',
    '::1',
    '::',
    'fe80::1%eth0',
  ];
  const more = [
    'fc00::1',
    'fd12::1',
    '::ffff:8.8.8.8',
    '64:ff9b::a00:1',
    '64:ff9b::127.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::808:808',
    '2002:7f00:1::',
    'ff02::1',
    'not an address',
  ];
  for (const address of [...yes, ...more]) assert.equal(isPrivateAddress(address), true, address);
  const nat64 = ['64:ff9b::808:808', '64:ff9b::a29f:8ae8', '64:ff9b::8.8.8.8'];
  for (const address of ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', ...nat64])
    assert.equal(isPrivateAddress(address), false, address);
});

test('a base address with credentials or another protocol is refused without showing it', async () => {
  for (const baseUrl of [
    'http://user:pass@127.0.0.1/',
    'file:///etc/passwd',
    'nonsense',
    'http://127.0.0.1/?a=b',
  ]) {
    const result = await runCall(
      call,
      contextWith({ kind: 'rest', baseUrl, allowPrivate: true, headers: {} }),
    );
    assert.ok(result.status === 'failed');
    assert.equal(result.errorClass, 'permanent');
    assert.ok(!result.message.includes('pass'), result.message);
  }
});

test('a secret is a file of its folder, read when used; its name cannot leave the folder', async () => {
  const secretsDirectory = mkdtempSync(join(tmpdir(), 'secrets-'));
  writeFileSync(join(secretsDirectory, 'api-token'), 'from-the-file\n');
  writeFileSync(join(secretsDirectory, 'newline'), '\n');
  writeFileSync(join(secretsDirectory, 'blank'), ' \t\r\n');
  const using = (reference: string): Promise<ExecutorResult> => {
    const connection = {
      ...world.connections.rest,
      headers: { Authorization: reference },
    } as RunContext['connection'];
    return runCall(
      call,
      contextWith(connection, {
        references: { env: { COUNTERSIGN_KEK: 'k', BLANK: '  ' }, secretsDirectory },
      }),
    );
  };
  assert.equal((await using('secret://api-token')).status, 'succeeded');
  assert.equal(world.seen.at(-1)?.headers.authorization, 'from-the-file');
  for (const reference of [
    'secret://gone',
    'secret://newline',
    'secret://blank',
    'env://BLANK',
    'secret://../etc/passwd',
    'secret://',
    'env://GONE',
    'env://COUNTERSIGN_KEK',
  ]) {
    const result = await using(reference);
    assert.ok(result.status === 'failed', reference);
    assert.equal(result.errorClass, 'permanent');
    assert.ok(result.message.includes(`\`${reference}\``), result.message);
  }
});

test("an environment's own connection comes before the one that serves all", () => {
  const rest = world.connections.rest;
  const targets = [
    { environment: null, connection: rest },
    { environment: 'prod', connection: world.connections.cli },
  ];
  const set = {
    v: 1,
    baseDirectory: '/',
    connections: [
      { name: 'a', targets },
      { name: 'b', targets: targets.slice(1) },
    ],
    environments: [],
    roles: [],
    queues: [],
  } as const;
  assert.equal(resolveConnection(set, 'a', 'prod')?.kind, 'cli');
  assert.equal(resolveConnection(set, 'a', 'dev')?.kind, 'rest');
  assert.equal(resolveConnection(set, 'b', 'dev'), null);
  assert.equal(resolveConnection(set, 'c', 'dev'), null);
});

test('a secret is the text of its file: no byte order mark, no other charset, and nothing that its header cannot carry', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  const put = (name: string, bytes: Buffer | string): void => writeFileSync(join(folder, name), bytes);
  put('marked', '\ufeffhush-marked\n');
  put('latin', Buffer.from('tök', 'latin1'));
  put('two-ends', 'hush-two-ends\n\n');
  put('only-mark', '\ufeff\n');
  const references = { env: { BROKEN: 'hush\r\nx-evil: 1' }, secretsDirectory: folder };
  const headersOf = (reference: string) => ({ 'x-token': reference });
  const over = (reference: string): Promise<ExecutorResult>[] => [
    runCall(
      call,
      contextWith(
        { kind: 'rest', baseUrl: world.url, allowPrivate: true, headers: headersOf(reference) },
        { references },
      ),
    ),
    runCall(
      { kind: 'mcp', connection: 'm', tool: 't', arguments: {} },
      contextWith(
        {
          kind: 'mcp',
          transport: {
            kind: 'http',
            url: `${world.url}/mcp`,
            allowPrivate: true,
            headers: headersOf(reference),
          },
        },
        { references },
      ),
    ),
  ];
  await Promise.all(over('secret://marked'));
  assert.equal(world.seen.at(-1)?.headers['x-token'], 'hush-marked');
  const before = world.seen.length;
  for (const [reference, says] of [
    ['secret://latin', /`secret:\/\/latin` is not UTF-8/],
    ['secret://only-mark', /`secret:\/\/only-mark` has no value/],
    ['secret://two-ends', /`secret:\/\/two-ends` holds a line break.*header `x-token`/],
    ['env://BROKEN', /`env:\/\/BROKEN` holds a line break.*header `x-token`/],
  ] as const)
    for (const result of await Promise.all(over(reference))) {
      assert.ok(result.status === 'failed' && result.errorClass === 'permanent', JSON.stringify(result));
      assert.match(result.message, says);
      assert.ok(!result.message.includes('hush'), result.message);
    }
  assert.equal(world.seen.length, before);
});
