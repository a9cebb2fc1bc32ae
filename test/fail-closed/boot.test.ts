import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import pg from 'pg';
import { makePayloads } from '../../src/audit/index.js';
import { loadKeys, parseJwtIssuers } from '../../src/auth/index.js';
import { assertAppendOnly } from '../../src/db/index.js';
import { hasEffect, runCall } from '../../src/executors/index.js';
import { resolveConnection } from '../../src/model/policy-set.js';
import { isPrivateAddress } from '../../src/executors/connections/private-addresses.js';
import type { Call } from '../../src/executors/types.js';
import { defaultReliability, type Executor } from '../../src/engine/plan.js';
import { chooseNextAttempt, decideAfterFailure } from '../../src/activities/execute/attempts.js';
import type { Executing } from '../../src/engine/state.js';
import { readConfig } from '../../src/processes/settings/config.js';
import { loadFolder } from '../../src/policy/index.js';
import type { PolicySet } from '../../src/model/policy-set.js';
import { putPolicies } from '../../src/store/flows/policy.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { projectRoot } from '../../testing/paths.js';
import { failClosed } from './support/cells.js';
import { odd } from './support/refused.js';
import { keyless } from '../engine/build.js';

// Before any record can exist: what is refused is a process that does not start, or a call that is not made.

describe('before a process works', () => {
  let database: Database;
  let home: string;
  before(async () => {
    database = await makeDatabase();
    home = mkdtempSync(join(tmpdir(), 'countersign-boot-'));
  });
  after(async () => {
    rmSync(home, { recursive: true, force: true });
    await database.drop();
  });

  /** A worker as it is run: its code, and what it wrote when it ended. */
  const worker = (env: Readonly<Record<string, string>>): Promise<{ code: unknown; said: string }> =>
    new Promise((resolve) => {
      const script = join(projectRoot, 'dist', 'processes', 'worker.js');
      const settings = { PATH: process.env['PATH'], COUNTERSIGN_HOME: home, ...env };
      execFile(process.execPath, [script], { env: settings, timeout: 20_000 }, (error, _stdout, said) =>
        resolve({ code: error?.code ?? 0, said }),
      );
    });

  failClosed('boot.append-only', {
    error: async () => {
      await putPolicies(database.pool, {
        policySet: { ...emptySet, environments: [{ ...environment, name: 'dev' }] },
        catalog: {},
      });
      await database.asSuperuser(
        'alter table audit_log disable trigger user; grant delete on audit_log to countersign_app',
      );
      const ended = await worker({ DATABASE_URL: database.url, TEMPORAL_ADDRESS: '127.0.0.1:9' });
      assert.equal(ended.code, 1);
      assert.match(ended.said, /`delete from audit_log` must be refused by the database and was not/);
      await database.asSuperuser(
        'revoke delete on audit_log from countersign_app; alter table audit_log enable always trigger append_only; alter table audit_log enable always trigger append_only_row',
      );
      await assertAppendOnly(database.pool);
    },
    timeout: async () => {
      const holder = new pg.Client({ connectionString: database.url });
      await holder.connect();
      try {
        await holder.query('begin');
        await holder.query('lock table audit_record in access exclusive mode');
        await assert.rejects(assertAppendOnly(database.pool), /the table is locked; start again/);
      } finally {
        await holder.end();
      }
    },
    missing: async () => {
      await database.asSuperuser('alter table audit_log rename to gone');
      try {
        await assert.rejects(assertAppendOnly(database.pool), /has not the tables of this version/);
      } finally {
        await database.asSuperuser('alter table gone rename to audit_log');
      }
    },
  });

  const keysFrom = (file: string, text: string, env = {}): Promise<unknown> => {
    const folder = mkdtempSync(join(home, 'keys-'));
    mkdirSync(join(folder, 'keys'));
    writeFileSync(join(folder, 'keys', file), text);
    return loadKeys(folder, env);
  };

  failClosed('boot.keys', {
    error: () => assert.rejects(keysFrom('kek', Buffer.alloc(16).toString('base64')), /must be 32 bytes/),
    malformed: async () => {
      await assert.rejects(keysFrom('signing.pem', 'not a key'), /is not an Ed25519 private key/);
      await assert.rejects(keysFrom('pepper', '%%%'), /COUNTERSIGN_PEPPER must be 32 bytes/);
      await assert.rejects(loadKeys(home, { COUNTERSIGN_KEK: 'short' }), /COUNTERSIGN_KEK must be 32 bytes/);
    },
    empty: async () => {
      for (const file of ['signing.pem', 'pepper', 'kek']) await assert.rejects(keysFrom(file, ''));
    },
  });

  const issuer = {
    ...{ issuer: 'https://a.example', audience: 'x', jwksUri: 'https://a.example/jwks' },
    kind: 'human',
  };

  failClosed('boot.issuers', {
    error: () => {
      const other = { ...issuer, issuer: 'https://b.example' };
      assert.throws(() => parseJwtIssuers([issuer, other]), /prefix/);
    },
    missing: () => {
      for (const name of ['issuer', 'audience', 'jwksUri', 'kind'])
        assert.throws(() => parseJwtIssuers([{ ...issuer, [name]: undefined }]), name);
    },
    malformed: () => {
      for (const fields of [{ kind: 'robot' }, { jwksUri: 'http://a.example' }, { audiance: 'x' }])
        assert.throws(() => parseJwtIssuers([{ ...issuer, ...fields }]));
      assert.throws(() => parseJwtIssuers({}));
    },
    empty: () => {
      assert.throws(() => parseJwtIssuers([{ ...issuer, audience: '' }]));
      assert.throws(() => parseJwtIssuers([{ ...issuer, audience: [] }]));
    },
  });

  failClosed('boot.config', {
    error: () => assert.equal(readConfig({ PORT: '99999' }).status, 'invalid'),
    missing: async () => {
      const ended = await worker({});
      assert.equal(ended.code, 1);
      assert.match(ended.said, /environment variable DATABASE_URL is not set/);
    },
    malformed: () => {
      for (const env of [
        { HOST: 'anywhere' },
        { DATABASE_URL: 'mysql://x' },
        { COUNTERSIGN_DEV_KEYS: 'yes' },
      ])
        assert.equal(readConfig(env).status, 'invalid', JSON.stringify(env));
      assert.equal(readConfig({ COUNTERSIGN_JWT_ISSUERS: '[{}]' }).status, 'invalid');
    },
    empty: () => {
      const read = readConfig({ COUNTERSIGN_DEV_KEYS: '', HOST: '' });
      assert.ok(read.status === 'read');
      assert.deepEqual([read.config.devKeys, read.config.host], [false, '127.0.0.1']);
    },
  });

  const refusesFolder = async (files: Readonly<Record<string, string>> | null): Promise<void> => {
    const folder = join(mkdtempSync(join(home, 'folder-')), 'policies');
    if (files !== null) mkdirSync(join(folder, 'flows'), { recursive: true });
    for (const [path, text] of Object.entries(files ?? {})) writeFileSync(join(folder, path), text);
    const result = await loadFolder(folder);
    assert.ok(result.status === 'invalid' && result.errors.length > 0);
    assert.ok(!('flows' in result), 'nothing of it is used');
  };
  const good = 'roles: { r: { permissions: [] } }\n';

  failClosed('policies.folder', {
    error: () =>
      refusesFolder({ 'roles.yaml': good, 'flows/a.yaml': 'workflows: { a: { initialState: gone } }\n' }),
    missing: () => refusesFolder(null),
    malformed: () => refusesFolder({ 'roles.yaml': good, 'connections.yaml': 'connections: [half\n' }),
    empty: () => refusesFolder({ 'flows/a.yaml': 'workflows: { a: null }\n' }),
  });

  const payloads = makePayloads({ kek: Buffer.alloc(32, 1) });
  const stored = () => payloads.put(database.pool, `run_${Math.random()}`, 'args', 'text/plain', 'pay 5');

  failClosed('payload', {
    error: async () => {
      const ref = await stored();
      const other = makePayloads({ kek: Buffer.alloc(32, 2) });
      await assert.rejects(other.get(database.pool, ref), /key .* does not open/);
      const read = await other.getAllReadable(database.pool, [ref]);
      assert.match(String(read.get(ref.payload)), /key .* does not open/);
    },
    missing: async () =>
      assert.equal(await payloads.get(database.pool, { ...(await stored()), payload: 'pay_none' }), null),
    malformed: async () => {
      const ref = { ...(await stored()), commit: '00' };
      await assert.rejects(payloads.get(database.pool, ref), /not what the record committed to/);
    },
    empty: async () => {
      await database.asSuperuser(`update payload_key set wrapped = null where run = 'run_erased'`);
      await payloads.put(database.pool, 'run_erased', 'args', 'text/plain', 'x');
      await database.pool.query(`update payload_key set wrapped = null where run = 'run_erased'`);
      const again = payloads.put(database.pool, 'run_erased', 'args', 'text/plain', 'x');
      await assert.rejects(again, /were erased/);
    },
  });
});

const call: Call = {
  ...{ kind: 'rest', connection: 'c', method: 'POST', path: '/', writtenPath: '/' },
  ...{ query: [], headers: [], body: undefined },
};

/** Nothing is sent: the call fails for good, and says why. */
async function refusesConnection(baseUrl: string, headers: Record<string, string> = {}): Promise<void> {
  const result = await runCall(call, {
    ...{ idempotencyKey: null, timeoutMs: 2_000, signal: new AbortController().signal, hasEffect: true },
    connection: { kind: 'rest', baseUrl, allowPrivate: true, headers },
    baseDirectory: '/',
    references: { env: { EMPTY: '' }, secretsDirectory: '/nowhere' },
  });
  assert.ok(result.status === 'failed' && result.errorClass === 'permanent', JSON.stringify(result));
}
const headed = (value: string): Promise<void> =>
  refusesConnection('https://a.example', { authorization: value });

failClosed('connection.reference', {
  error: () => headed('env://COUNTERSIGN_SIGNING_KEY'),
  missing: async () => {
    await headed('env://NOT_SET_ANYWHERE');
    await headed('secret://token');
  },
  malformed: () => headed('secret://../keys/kek'),
  empty: () => headed('env://EMPTY'),
});

failClosed('connection.address', {
  error: () => refusesConnection('https://user:password@a.example'),
  malformed: async () => {
    for (const url of ['ftp://a.example', 'not a url', 'https://a.example/?q=1', 'https://a.example/#x'])
      await refusesConnection(url);
  },
  empty: () => refusesConnection(''),
});

failClosed('address.private', {
  malformed: () => {
    for (const text of ['not an address', '999.1.1.1', '::ffff:10.0.0.1', 'fe80::1%eth0'])
      assert.equal(isPrivateAddress(text), true, text);
  },
  empty: () => assert.equal(isPrivateAddress(''), true),
});

failClosed('connection.target', {
  missing: () => {
    const targets = [{ environment: 'dev', connection: odd<never>({}) }];
    const set = { ...emptySet, connections: [{ name: 'c', targets }] };
    assert.equal(resolveConnection(set, 'other', 'dev'), null);
    assert.equal(resolveConnection(set, 'c', 'prod'), null);
    assert.equal(resolveConnection(set, '__proto__', 'dev'), null);
  },
  empty: () => assert.equal(resolveConnection(emptySet, '', ''), null),
});

const environment = { requireTiers: false, refuseWarnings: false, gateTimeoutMs: 1_000 };
const emptySet: PolicySet = {
  ...{ v: 1, baseDirectory: '/' },
  ...{ connections: [], environments: [], roles: [], queues: [] },
};

const executing = (executor: Executor, fields = {}): Executing => ({
  action: odd({ id: 'act_1', transition: 't', tier: null }),
  ...{ executor, reliability: { ...defaultReliability, maxAttempts: 3, ...fields }, at: 'transition' },
});
const attempt = (outcome: 'failed' | null) => ({
  ...{ action: 'act_1', attempt: 1, startedAt: '', finishedAt: null },
  ...{ outcome, errorClass: null, executor: 0, idempotencyKey: 'k', effectPossible: false },
  ...{ effectInDoubt: false, nextAt: null, owner: 'run/1', process: 'svc_1' },
});
const tried = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ attempt: index + 1, executor: 0 }));

failClosed('attempts', {
  error: () => {
    for (const errorClass of ['auth', 'permanent', 'unknown_outcome'] as const)
      assert.deepEqual(decideAfterFailure(executing(keyless), tried(1), { errorClass }), { kind: 'final' });
    assert.deepEqual(decideAfterFailure(executing(keyless), tried(3), { errorClass: 'transient' }), {
      kind: 'final',
    });
  },
  missing: () => assert.equal(chooseNextAttempt(executing(keyless), [attempt(null)]).kind, 'unknown'),
  malformed: () => {
    assert.deepEqual(decideAfterFailure(executing(keyless), tried(1), { errorClass: odd('shrug') }), {
      kind: 'final',
    });
    assert.equal(hasEffect(executing(keyless), odd({ kind: 'by-nobody' })), true);
  },
  empty: () =>
    assert.deepEqual(
      decideAfterFailure(executing(keyless, { retryOn: [] }), tried(1), { errorClass: 'timeout' }),
      {
        kind: 'final',
      },
    ),
});
