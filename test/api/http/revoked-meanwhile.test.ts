import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EventEmitter, once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { makeServer } from '../../../src/api/index.js';
import type { AuditItem } from '../../../src/audit/index.js';
import { makeSigningKey } from '../../../src/auth/index.js';
import type { DecideRequest } from '../../../src/client/types.js';
import type { Follower } from '../../../src/service/audit/feed.js';
import { KeyLost } from '../../../src/service/kept-result.js';
import { putSigningKey } from '../../../src/store/people/signing-keys.js';
import { holdRun, holdTable } from '../../../testing/servers/locks.js';
import { until } from '../../../testing/until.js';
import { startApi, type Answer, type Harness } from '../harness.js';

/** Reads the log as a reader that has always read everything before the next record comes. */
function oneByOne({ next, leave }: Follower): Follower {
  let rest: readonly AuditItem[] = [];
  return {
    leave,
    next: async (signal) => {
      const [first, ...others] = rest.length === 0 ? await next(signal) : rest;
      rest = others;
      return first === undefined ? [] : [first];
    },
  };
}

describe('a key that is revoked while its request is under way', () => {
  let api: Harness;
  const authenticated = new EventEmitter();
  /** The principal that a header gives now. */
  const keysNow = new Map<string, string>();
  let onAuthenticated: (header: string) => Promise<void> = () => Promise.resolve();
  let beforeStarting: () => Promise<void> = () => Promise.resolve();
  let afterStarting: () => Promise<void> = () => Promise.resolve();
  let answerSubmit: Awaited<ReturnType<Harness['deps']['client']['submit']>> | null = null;
  let beforeReplay: () => Promise<void> = () => Promise.resolve();
  let beforeDeciding: (request: DecideRequest) => Promise<void> = () => Promise.resolve();
  before(async () => {
    api = await startApi((deps) => ({
      ...deps,
      authenticate: async (header) => {
        const found = await deps.authenticate(keysNow.get(header ?? '') ?? header);
        authenticated.emit(header ?? '');
        await onAuthenticated(header ?? '');
        return found;
      },
      client: {
        ...deps.client,
        start: async (request) => {
          await beforeStarting();
          const started = await deps.client.start(request);
          await afterStarting();
          return started;
        },
        submit: (request) =>
          answerSubmit === null ? deps.client.submit(request) : Promise.resolve(answerSubmit),
        replay: async () => {
          await beforeReplay();
          return 'busy';
        },
        decide: async (request) => {
          await beforeDeciding(request);
          return deps.client.decide(request);
        },
      },
      feed: { ...deps.feed, follow: (...asked) => oneByOne(deps.feed.follow(...asked)) },
    }));
  });
  after(() => api.stop());

  let made = 0;
  interface Key {
    readonly id: string;
    readonly key: string;
    readonly keyId: string;
  }
  const keyOf = async (roles: string[], permissions: string[], extra = {}): Promise<Key> => {
    const body = { id: `leaver-${(made += 1)}`, kind: 'human', roles, permissions, ...extra };
    const answer = await api.ask('admin', 'POST', '/v1/keys', body);
    assert.equal(answer.status, 201, answer.text);
    return { id: body.id, key: answer.body.key, keyId: answer.body.keyId };
  };
  const revoke = async ({ keyId }: Key): Promise<void> =>
    assert.equal((await api.ask('admin', 'DELETE', `/v1/keys/${keyId}`)).status, 204);
  const approval = async (amount = 500): Promise<{ id: string; digest: string }> => {
    const run = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const parked = await api.ask('agent', 'POST', path, { arguments: { amount } });
    return parked.body.result.approval;
  };

  /** Sends the head and the beginning of the body, runs `meanwhile`, and sends the rest. */
  const slowly = async (
    { key }: Key,
    path: string,
    body: object,
    meanwhile: () => Promise<void>,
  ): Promise<string> => {
    const text = JSON.stringify(body);
    const { hostname, port } = new URL(api.url);
    const socket = net.connect(Number(port), hostname);
    const begun = once(authenticated, `Bearer ${key}`);
    const head = `authorization: Bearer ${key}\r\ncontent-type: application/json\r\ncontent-length: ${text.length}`;
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${head}\r\n\r\n${text.slice(0, 3)}`,
    );
    await begun;
    await meanwhile();
    socket.write(text.slice(3));
    let said = '';
    for await (const chunk of socket) said += String(chunk);
    return said;
  };

  it('decides nothing, although the request began before', async () => {
    const key = await keyOf(['finance.controller'], []);
    const { id, digest } = await approval();
    const body = { decision: 'approve', digest, reason: 'late' };
    const said = await slowly(key, `/v1/approvals/${id}/decision`, body, () => revoke(key));
    assert.match(said, /^HTTP\/1\.1 401 /);
    assert.equal((await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body.status, 'open');
    const path = '/v1/audit?type=authn.failed&limit=500';
    const failed: { data: { reason: string } }[] = (await api.ask('admin', 'GET', path)).body.data;
    assert.ok(failed.some(({ data }) => data.reason === 'revoked_key'));
  });

  describe('and its submit waits', () => {
    let lock: Awaited<ReturnType<typeof holdRun>>;
    const held = async (): Promise<string> => {
      const run = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;
      lock = await holdRun(api.database.url, run);
      return run;
    };
    const submit = (as: string, run: string, transition: string) =>
      api.ask(as, 'POST', `/v1/runs/${run}/transitions/${transition}`, {});
    const someoneWaits = () =>
      until('a submit at its turn', () => lock.someoneWaits().then((is) => is || null), 5_000);
    const countKept = async (run: string) => {
      const kept = `select 1 from message where run = $1 and kind = 'submit'`;
      return (await api.database.pool.query(kept, [run])).rowCount;
    };

    it('keeps nothing of it, where it waits for its turn', async () => {
      const key = await keyOf([], ['run.start', 'run.read']);
      const run = await held();
      const first = submit('agent', run, 'nothing');
      await someoneWaits();
      const begun = once(authenticated, `Bearer ${key.key}`);
      const second = submit(key.key, run, 'nothing');
      await begun;
      await setTimeout(1_200);
      await revoke(key);
      await lock.release();
      assert.equal((await second).status, 401);
      assert.notEqual((await first).status, 401);
      assert.equal(await countKept(run), 1);
    });

    it('keeps nothing of it, where it has its turn and waits for the run', async () => {
      const key = await keyOf([], ['run.start', 'run.read']);
      const run = await held();
      const asked = submit(key.key, run, 'bank.balance');
      await someoneWaits();
      await revoke(key);
      await setTimeout(1_200);
      await lock.release();
      assert.equal((await asked).status, 401);
      assert.equal(await countKept(run), 0);
    });

    for (const { more, roles, permissions } of [
      { more: 'another permission', roles: [], permissions: ['run.start', 'run.read', 'run.operate'] },
      { more: 'another role', roles: ['finance.controller'], permissions: ['run.start', 'run.read'] },
    ])
      it(`keeps nothing of it where the key gives ${more} by then, which is no refusal`, async () => {
        const key = await keyOf([], ['run.start', 'run.read']);
        const other = await keyOf(roles, permissions, { id: key.id });
        const run = await held();
        const asked = submit(key.key, run, 'bank.balance');
        await someoneWaits();
        keysNow.set(`Bearer ${key.key}`, `Bearer ${other.key}`);
        await setTimeout(1_200);
        await lock.release();
        const { status, body } = await asked;
        assert.deepEqual([status, body.code], [503, 'AUDIT_UNAVAILABLE']);
        assert.match(body.detail, /its caller's rights changed, .+: nothing of it is kept/);
        assert.equal(await countKept(run), 0);
      });

    it('decides nothing and cancels nothing by it, where it waits for the run or for its turn', async () => {
      const key = await keyOf(['finance.controller'], ['run.read', 'run.operate']);
      const { id, digest } = await approval();
      const { run } = (await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body as { run: string };
      lock = await holdRun(api.database.url, run);
      const asked = [
        api.ask(key.key, 'POST', `/v1/approvals/${id}/decision`, {
          decision: 'approve',
          digest,
          reason: 'late',
        }),
        api.ask(key.key, 'POST', `/v1/runs/${run}/cancel`, { reason: 'late' }),
        api.ask(key.key, 'POST', `/v1/runs/${run}/retry`, { reason: 'late' }),
      ];
      await someoneWaits();
      await revoke(key);
      await setTimeout(1_200);
      await lock.release();
      for (const { status } of await Promise.all(asked)) assert.equal(status, 401);
      const kept = `select 1 from message where run = $1 and kind in ('decide', 'cancel', 'retry')`;
      assert.equal((await api.database.pool.query(kept, [run])).rowCount, 0);
      assert.equal((await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body.status, 'open');
    });

    it('keeps it where the same rights are declared in another order by then', async () => {
      const roles = (worker: readonly string[]) => ({
        'roles.yaml': {
          roles: { worker: { permissions: worker }, 'finance.controller': { permissions: [] } },
        },
      });
      await api.load(roles(['run.start', 'run.read']));
      const key = await keyOf(['worker'], []);
      const run = await held();
      const asked = submit(key.key, run, 'bank.balance');
      await someoneWaits();
      await api.load(roles(['run.read', 'run.start']));
      await setTimeout(1_200);
      await lock.release();
      await asked;
      assert.equal(await countKept(run), 1);
    });
  });

  it('decides nothing where reading the key took long', async () => {
    const key = await keyOf(['finance.controller'], []);
    const { id, digest } = await approval();
    onAuthenticated = async (header) => {
      if (header !== `Bearer ${key.key}`) return;
      onAuthenticated = () => Promise.resolve();
      await revoke(key);
      await setTimeout(1_100);
    };
    const body = { decision: 'approve', digest, reason: 'late' };
    const asked = await api.ask(key.key, 'POST', `/v1/approvals/${id}/decision`, body);
    assert.equal(asked.status, 401, asked.text);
    const { status, decisions } = (await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body;
    assert.deepEqual([status, decisions], ['open', []]);
  });

  it('decides nothing where that takes long before its run is asked', async () => {
    const key = await keyOf(['finance.controller'], []);
    const { id, digest } = await approval();
    beforeDeciding = async () => {
      await revoke(key);
      await setTimeout(1_100);
    };
    const body = { decision: 'approve', digest, reason: 'late' };
    const asked = await api.ask(key.key, 'POST', `/v1/approvals/${id}/decision`, body);
    beforeDeciding = () => Promise.resolve();
    assert.equal(asked.status, 401, asked.text);
    const { status, decisions } = (await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body;
    assert.deepEqual([status, decisions], ['open', []]);
  });

  describe('and it waits in its transaction', () => {
    const flow = { name: 'late', owner: 'team', permissions: { read: [], execute: [], deny: [] } };
    const term = { from: '2999-01-01T00:00:00Z', until: '2999-01-02T00:00:00Z', delegate: 'finance' };
    /** Each waits behind a lock on this table. */
    const changes: [
      what: string,
      table: string,
      method: 'POST' | 'PUT' | 'DELETE',
      path: string,
      body?: object,
    ][] = [
      ['makes no key', 'audit_record', 'POST', '/v1/keys', { id: 'ghost', kind: 'human' }],
      ['revokes no key', 'audit_record', 'DELETE', '/v1/keys/KEY'],
      ['makes no signing key', 'audit_record', 'POST', '/v1/signing-keys', {}],
      ['retires no signing key', 'signing_key', 'POST', '/v1/signing-keys/SIGNING/retire', {}],
      ['withdraws no flow', 'audit_record', 'POST', '/v1/flows/pay/withdraw', { reason: 'late' }],
      ['publishes no flow', 'audit_record', 'POST', '/v1/flows', flow],
      ['brings no policies into force', 'audit_record', 'POST', '/v1/policies/reload'],
      ['claims no approval', 'audit_record', 'POST', '/v1/approvals/APPROVAL/claim'],
      ['releases no approval', 'approval_claim', 'POST', '/v1/approvals/APPROVAL/release'],
      ['delegates no approval', 'audit_record', 'POST', '/v1/approvals/APPROVAL/delegate', { to: 'finance' }],
      ['makes no link', 'approval_link', 'POST', '/v1/approvals/APPROVAL/links', { minutes: 5 }],
      ['revokes no link', 'approval_link', 'DELETE', '/v1/approvals/APPROVAL/links/LINK'],
      ['sets no absence', 'audit_record', 'PUT', '/v1/absences', term],
      ['clears no absence', 'absence', 'DELETE', '/v1/absences'],
      ['saves no view', 'approval_view', 'PUT', '/v1/approvals/views/late', { mine: true }],
      ['deletes no view', 'approval_view', 'DELETE', '/v1/approvals/views/late'],
    ];
    /** What there is to be taken away, which the caller has made before. */
    const given: Readonly<Record<string, [method: 'POST' | 'PUT', path: string, body?: object][]>> = {
      'releases no approval': [['POST', '/v1/approvals/APPROVAL/claim']],
      'revokes no link': [['POST', '/v1/approvals/APPROVAL/links', { minutes: 5 }]],
      'clears no absence': [['PUT', '/v1/absences', term]],
      'deletes no view': [['PUT', '/v1/approvals/views/late', { mine: true }]],
    };
    const linkOf = async (approval: string): Promise<string> => {
      const made = 'select id from approval_link where approval = $1';
      const { rows } = await api.database.asSuperuser(made, [approval]);
      return (rows[0] as { id: string } | undefined)?.id ?? 'lnk_none';
    };
    /** A second key, so that it may be retired. */
    const other = { ...makeSigningKey(Buffer.alloc(32)), sealed: null };
    before(() => putSigningKey(api.database.pool, other));
    /** What these requests would change. */
    const stored = async (): Promise<unknown> => {
      const { rows } = await api.database.asSuperuser(
        `select (select count(*) from api_key where revoked_at is null) as keys, (select count(*) from signing_key) as signing,
                (select count(*) from flow_withdrawal) as withdrawals, (select count(*) from flow_version) as flows,
                (select count(*) from policy_set) as policies, (select count(*) from approval_claim) as claims,
                (select count(*) from approval_delegation) as delegations, (select count(*) from absence) as absences,
                (select count(*) from approval_link where revoked_at is null) as links, (select count(*) from approval_view) as views,
                (select count(*) from signing_key where retired_at is not null) as retired`,
      );
      return rows[0];
    };
    for (const [what, table, method, path, body] of changes)
      it(what, async () => {
        const permissions = ['key.manage', 'flow.publish', 'flow.read', 'policy.reload', 'run.read'];
        const key = await keyOf(['finance.controller'], permissions);
        const victim = await keyOf([], []);
        const { id } = await approval();
        writeFileSync(
          join(api.home, 'policies', 'roles.yaml'),
          `roles: { late: { permissions: [run.read] } }`,
        );
        for (const [method, path, body] of given[what] ?? [])
          assert.ok((await api.ask(key.key, method, path.replace('APPROVAL', id), body)).status < 300);
        const linkId = await linkOf(id);
        const before = await stored();
        const lock = await holdTable(api.database.url, table);
        const asked = api.ask(
          key.key,
          method,
          path
            .replace('KEY', victim.keyId)
            .replace('APPROVAL', id)
            .replace('SIGNING', encodeURIComponent(other.keyId))
            .replace('LINK', linkId),
          body,
        );
        await until('it to wait', () => lock.someoneWaits());
        await api.database.asSuperuser('update api_key set revoked_at = now() where key_id = $1', [
          key.keyId,
        ]);
        await setTimeout(1_100);
        await lock.release();
        const { status, text } = await asked;
        assert.equal(status, 401, text);
        assert.match(text, /is not taken now; nothing of this request is kept"/);
        await api.database.asSuperuser('update api_key set revoked_at = null where key_id = $1', [key.keyId]);
        assert.deepEqual(await stored(), before);
      });
  });

  for (const [what, path, table] of [
    ['is shown nothing where the record of its request waits', '/v1/keys', 'audit_record'],
    ['has seen nothing where that waits to be noted', '/v1/approvals/APPROVAL', 'approval_seen'],
  ] as const)
    it(what, async () => {
      const key = await keyOf(['finance.controller'], ['key.manage']);
      const { id } = await approval();
      const lock = await holdTable(api.database.url, table);
      const asked = api.ask(key.key, 'GET', path.replace('APPROVAL', id));
      await until('it to wait', () => lock.someoneWaits());
      await api.database.asSuperuser('update api_key set revoked_at = now() where key_id = $1', [key.keyId]);
      await setTimeout(1_100);
      await lock.release();
      assert.equal((await asked).status, 401);
      const viewed = `/v1/audit?type=approval.viewed&actor=${key.id}`;
      assert.deepEqual((await api.ask('auditor', 'GET', viewed)).body.data, []);
      // The first is of the answer as it was made before its record waited.
      const called = `/v1/audit?type=api.called&actor=${key.id}`;
      const statuses = (await api.ask('auditor', 'GET', called)).body.data.map(
        ({ data }: any) => data.status,
      );
      assert.deepEqual(statuses, table === 'audit_record' ? [200, 401] : [401]);
    });

  it('is told that it is not certain, of what was done with a permission that is lost, though its record waits too', async () => {
    const key = await keyOf([], ['key.manage']);
    const lock = await holdTable(api.database.url, 'audit_record');
    const asked = api.ask(key.key, 'POST', '/v1/keys', { id: 'made-once', kind: 'human' });
    await until('it to wait', () => lock.someoneWaits());
    await api.database.asSuperuser(`update api_key set permissions = '{}' where key_id = $1`, [key.keyId]);
    await setTimeout(600);
    // Once it is kept, its record waits again.
    const locked = holdTable(api.database.url, 'audit_record');
    await until('the next to stand in line', async () => (await lock.waiting()) > 1);
    await lock.release();
    const again = await locked;
    await until('its record to wait', () => again.someoneWaits());
    await setTimeout(600);
    await again.release();
    const { status, text } = await asked;
    assert.equal(status, 403, text);
    assert.match(
      text,
      /needs the permission `key\.manage`, and it is not certain whether this was done: look/,
    );
    const made = `/v1/audit?type=api.called&actor=${key.id}`;
    assert.equal((await api.ask('auditor', 'GET', made)).body.data.length, 1);
  });

  it('is not shown a kept answer whose record waits', async () => {
    const key = await keyOf([], ['key.manage']);
    const ask = (): Promise<Answer> =>
      api.ask(key.key, 'POST', '/v1/keys', { id: 'kept-once', kind: 'human' }, { 'idempotency-key': 'kept' });
    assert.equal((await ask()).status, 201);
    const lock = await holdTable(api.database.url, 'audit_record');
    const asked = ask();
    await until('it to wait', () => lock.someoneWaits());
    await api.database.asSuperuser('update api_key set revoked_at = now() where key_id = $1', [key.keyId]);
    await setTimeout(700);
    await lock.release();
    const { status, text } = await asked;
    assert.equal(status, 401, text);
    assert.doesNotMatch(text, /cs_/);
  });

  it('is told to try again, where it has other rights by then and may still ask: nothing is made', async () => {
    const key = await keyOf([], ['key.manage']);
    const lock = await holdTable(api.database.url, 'audit_record');
    const asked = api.ask(key.key, 'POST', '/v1/keys', { id: 'ghost', kind: 'human' });
    await until('it to wait', () => lock.someoneWaits());
    const changed = 'update api_key set permissions = $2 where key_id = $1';
    await api.database.asSuperuser(changed, [key.keyId, ['key.manage', 'run.read']]);
    await setTimeout(1_100);
    await lock.release();
    const { status, headers, body } = await asked;
    assert.deepEqual([status, body.code, headers.get('retry-after')], [503, 'AUDIT_UNAVAILABLE', '2']);
    assert.match(body.detail, /its caller's rights changed, .+: nothing of this attempt is kept, try again$/);
    const made = "select 1 from api_key where principal_id = 'ghost'";
    assert.equal((await api.database.asSuperuser(made)).rowCount, 0);
  });

  it('makes no key', async () => {
    const key = await keyOf([], ['key.manage']);
    const body = { id: 'ghost', kind: 'human', roles: ['finance.controller'], permissions: ['key.manage'] };
    const said = await slowly(key, '/v1/keys', body, () => revoke(key));
    assert.match(said, /^HTTP\/1\.1 401 /);
    const keys: { principal: string }[] = (await api.ask('admin', 'GET', '/v1/keys?limit=500')).body.data;
    assert.ok(!JSON.stringify(keys).includes('ghost'));
  });

  it('acts where it is valid still when the rest has come', async () => {
    const key = await keyOf([], ['key.manage']);
    const said = await slowly(key, '/v1/keys', { id: 'colleague', kind: 'human' }, () => Promise.resolve());
    assert.match(said, /^HTTP\/1\.1 201 /);
  });

  it('is shown nothing more by a request that waits', async () => {
    const key = await keyOf(['finance.controller'], []);
    const { id, digest } = await approval();
    const askedAt = performance.now();
    const waiting = api.ask(key.key, 'GET', `/v1/approvals/${id}?wait=20`);
    await until(
      'a waiting request',
      () => Promise.resolve(api.deps.feed.longPolls.taken() > 0 || null),
      5_000,
    );
    const path = '/v1/audit?type=authn.failed&limit=500';
    const noted = async (): Promise<number> => {
      // Refusals of the same minute are a single record, with their count.
      await api.deps.anonymous.flush();
      const { body } = await api.ask('admin', 'GET', path);
      return (body.data as { data: { count?: number } }[]).reduce(
        (sum, { data }) => sum + (data.count ?? 1),
        0,
      );
    };
    const before = await noted();
    await revoke(key);
    // The caller's rights are checked again only after half a second.
    await until(
      'more than half a second',
      () => Promise.resolve(performance.now() - askedAt > 600 || null),
      5_000,
    );
    const decision = { decision: 'approve', digest, reason: 'seen' };
    await api.ask('finance', 'POST', `/v1/approvals/${id}/decision`, decision);
    assert.equal((await waiting).status, 401);
    // A single refusal leaves a single record.
    assert.equal((await noted()) - before, 1);
  });

  it('is shown nothing of what it has asked of a run and waited for, though that is done, once', async () => {
    const rights = [['finance.controller'], ['run.start', 'run.operate', 'run.read']] as const;
    const key = await keyOf([...rights[0]], [...rights[1]]);
    const start = async (): Promise<string> =>
      (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;
    const [{ id, digest }, submitted, cancelled] = [await approval(), await start(), await start()];
    const asked: readonly (readonly [string, object])[] = [
      ['/v1/flows/pay/runs?wait=1', {}],
      [`/v1/runs/${submitted}/transitions/bank.balance?wait=1`, {}],
      [`/v1/runs/${cancelled}/cancel?wait=1`, { reason: 'no longer wanted' }],
      [`/v1/approvals/${id}/decision`, { decision: 'approve', digest }],
    ];
    const sendAll = (as: string): Promise<Answer[]> =>
      Promise.all(
        asked.map(([path, body]) => api.ask(as, 'POST', path, body, { 'idempotency-key': `waited:${path}` })),
      );
    api.kernel.idle = true;
    const waiting = sendAll(key.key);
    await until('all of them to be kept', async () => {
      const { rows } = await api.database.pool.query<{ count: number }>(
        'select count(*)::int as count from message where rev is null and withdrawn_at is null',
      );
      return rows[0]?.count === asked.length;
    });
    await revoke(key);
    for (const [index, { status, text }] of (await waiting).entries()) {
      assert.equal(status, 401, `${asked[index]?.[0]}: ${text}`);
      assert.match(text, /repeat the request under the same Idempotency-Key/);
      assert.doesNotMatch(text, /run_|dec_/);
    }
    api.kernel.idle = false;
    await api.kernel.settled();
    const body = { id: key.id, kind: 'human', roles: rights[0], permissions: rights[1] };
    const next = (await api.ask('admin', 'POST', '/v1/keys', body)).body.key as string;
    for (const { status, headers, text } of await sendAll(next)) {
      assert.ok(status < 300, text);
      assert.equal(headers.get('idempotency-replayed'), 'true', text);
    }
    assert.equal((await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body.status, 'consumed');
    assert.equal((await api.ask('auditor', 'GET', `/v1/runs/${cancelled}`)).body.run.status, 'cancelled');
    // The record of the effect names whoever asked, and so does the record of the request.
    const called = await api.ask('auditor', 'GET', `/v1/audit?type=api.called&actor=${key.id}&limit=100`);
    const told = called.body.data.filter(({ data }: any) => data.status === 401);
    assert.equal(told.length, asked.length, called.text);
  });

  it('that has lost its permission meanwhile is not told that nothing was done', async () => {
    const key = await keyOf(['finance.controller'], ['run.start', 'run.read']);
    api.kernel.idle = true;
    const start = (as: string): Promise<Answer> =>
      api.ask(as, 'POST', '/v1/flows/pay/runs?wait=1', {}, { 'idempotency-key': 'once' });
    const waiting = start(key.key);
    await until('its message to be kept', async () => {
      const { rows } = await api.database.pool.query<{ run: string }>(
        'select run from message where rev is null and withdrawn_at is null',
      );
      return rows.length === 1 || null;
    });
    await revoke(key);
    const body = { id: key.id, kind: 'human', roles: ['finance.controller'], permissions: ['run.read'] };
    const without = (await api.ask('admin', 'POST', '/v1/keys', body)).body.key as string;
    keysNow.set(`Bearer ${key.key}`, `Bearer ${without}`);
    const { status, text } = await waiting;
    api.kernel.idle = false;
    await api.kernel.settled();
    assert.equal(status, 403, text);
    const unsure =
      /`run\.start`, and it is not certain whether this was done: ask who may see it; once you may again,/;
    assert.match(text, unsure);
    const recorded = async (type: string): Promise<any[]> =>
      (await api.ask('auditor', 'GET', `/v1/audit?type=${type}&actor=${key.id}&limit=100`)).body.data;
    const [{ data }] = await recorded('api.called');
    assert.deepEqual([data.status, data.answer], [403, 202]);
    assert.equal((await recorded('run.started')).length, 1);
    for (const type of ['authz.denied', 'request.refused']) assert.deepEqual(await recorded(type), []);
    // Nor by a repeat, which is refused, and does nothing for a caller without the right.
    const repeated = await start(without);
    assert.deepEqual([repeated.status, unsure.test(repeated.text)], [403, true], repeated.text);
    assert.equal((await recorded('authz.denied')).length, 1);
    keysNow.delete(`Bearer ${key.key}`);
    const again = await api.ask('admin', 'POST', '/v1/keys', {
      ...body,
      permissions: ['run.start', 'run.read'],
    });
    const done = await start(again.body.key as string);
    assert.equal(done.headers.get('idempotency-replayed'), 'true', done.text);
    assert.equal((await recorded('run.started')).length, 1);
  });

  it('that has lost its permission is told so by each repeat of what an attempt may have done, and none of them is kept', async () => {
    const key = await keyOf([], ['run.start', 'run.read']);
    const start = (as: string): Promise<Answer> =>
      api.ask(as, 'POST', '/v1/flows/pay/runs', {}, { 'idempotency-key': 'cut-off' });
    afterStarting = () => Promise.reject(new Error('the process ends before it answers'));
    assert.equal((await start(key.key)).status, 500);
    afterStarting = () => Promise.resolve();
    await revoke(key);
    const body = { id: key.id, kind: 'human', roles: [], permissions: ['run.read'] };
    const without = (await api.ask('admin', 'POST', '/v1/keys', body)).body.key as string;
    for (const _ of ['first', 'second']) {
      const { status, text } = await start(without);
      assert.equal(status, 403, text);
      assert.match(text, /it is not certain whether this was done/);
    }
    const regained = { ...body, permissions: ['run.start', 'run.read'] };
    const again = (await api.ask('admin', 'POST', '/v1/keys', regained)).body.key as string;
    const done = await start(again);
    assert.equal(done.status, 201, done.text);
    const started = await api.ask('auditor', 'GET', `/v1/audit?type=run.started&actor=${key.id}&limit=100`);
    assert.deepEqual(
      started.body.data.map(({ run }: any) => run),
      [done.body.run.id],
    );
  });

  describe('that has lost it after a while', () => {
    /** `left`: the permissions that the key still has; null: the key is gone. */
    const losing = async (left: readonly string[] | null, path: string): Promise<Answer & Key> => {
      const key = await keyOf(['finance.controller'], ['run.start', 'run.read']);
      onAuthenticated = async (header) => {
        if (header !== `Bearer ${key.key}`) return;
        onAuthenticated = () => Promise.resolve();
        if (left === null) await revoke(key);
        else keysNow.set(header, `Bearer ${(await keyOf([], [...left])).key}`);
        const begun = performance.now();
        await until('some time', () => performance.now() - begun > 600);
      };
      const answer = await api.ask(key.key, 'POST', path, {});
      beforeStarting = () => Promise.resolve();
      answerSubmit = null;
      return { ...key, ...answer };
    };
    const recorded = async (id: string, type: string): Promise<any[]> =>
      (await api.ask('auditor', 'GET', `/v1/audit?type=${type}&actor=${id}&limit=100`)).body.data;
    const starting = '/v1/flows/pay/runs';

    it('is told of what failed in between that it may be done, which is on record as what it was', async () => {
      beforeStarting = () => Promise.reject(new Error('the store went away in the middle'));
      const { status, text, id } = await losing(['run.read'], starting);
      assert.equal(status, 403, text);
      assert.match(text, /it is not certain whether this was done/);
      // The record names the principal that the caller has become.
      const calls = await api.ask('auditor', 'GET', '/v1/audit?type=api.called&limit=500');
      const [{ data }] = calls.body.data.filter((record: any) => record.data.answer === 500);
      assert.deepEqual([data.status, data.route], [403, '/v1/flows/{name}/runs']);
      assert.deepEqual(await recorded(id, 'authz.denied'), []);
    });

    it('is told so of a request that another attempt has, and may do', async () => {
      beforeStarting = () => Promise.reject(new KeyLost());
      const { status, text } = await losing(['run.read'], starting);
      assert.equal(status, 403, text);
      assert.match(text, /it is not certain whether this was done/);
    });

    it('is told so of a submit whose run has become stuck in the middle of it', async () => {
      const run = (await api.ask('agent', 'POST', starting, {})).body.run.id as string;
      answerSubmit = {
        status: 'answered',
        by: 'run',
        answer: { status: 'refused', code: 'RUN_STUCK', message: 'a step of this run failed three times' },
      };
      const { status, text } = await losing(['run.read'], `/v1/runs/${run}/transitions/bank.balance`);
      assert.ok(status === 403 || status === 404, text);
      assert.match(text, /it is not certain whether this was done/);
    });

    it('is told plainly on a repeat of what was refused and kept', async () => {
      const { key } = await keyOf([], ['run.read']);
      const agentKey = { 'idempotency-key': 'refused' };
      for (const [as, path, expected] of [
        [key, starting, 403],
        [key, '/v1/signing-keys', 403],
        ['agent', '/v1/runs/run_00000000000000000000000000000000/transitions/go', 404],
      ] as const)
        for (const _ of ['first', 'repeat']) {
          const { status, text } = await api.ask(as, 'POST', path, {}, agentKey);
          assert.equal(status, expected, text);
          assert.doesNotMatch(text, /certain/);
        }
    });

    it('is told plainly of what was refused, whether the permission is gone or the key', async () => {
      for (const [left, expected] of [
        [['run.read'], 403],
        [null, 401],
      ] as const) {
        const { status, text } = await losing(left, '/v1/flows/nowhere/runs');
        assert.equal(status, expected, text);
        assert.doesNotMatch(text, /certain/);
      }
    });
  });

  it('that has lost its permission while it reads is denied, and that is on record as for every read', async () => {
    const key = await keyOf([], ['audit.read']);
    const body = { id: key.id, kind: 'human', roles: [], permissions: ['run.read'] };
    await revoke(key);
    const without = (await api.ask('admin', 'POST', '/v1/keys', body)).body.key as string;
    const again = { ...body, permissions: ['audit.read'] };
    const reader = (await api.ask('admin', 'POST', '/v1/keys', again)).body.key as string;
    onAuthenticated = async (header) => {
      if (header !== `Bearer ${reader}`) return;
      keysNow.set(header, `Bearer ${without}`);
      const begun = performance.now();
      await until('some time', () => performance.now() - begun > 600);
    };
    const { status, text } = await api.ask(reader, 'GET', '/v1/audit?limit=1');
    onAuthenticated = () => Promise.resolve();
    assert.equal(status, 403, text);
    assert.doesNotMatch(text, /certain/);
    const recorded = async (type: string): Promise<any[]> =>
      (await api.ask('auditor', 'GET', `/v1/audit?type=${type}&actor=${key.id}&limit=100`)).body.data;
    assert.equal((await recorded('authz.denied')).length, 1);
    assert.deepEqual(
      (await recorded('api.called')).map(({ data }) => data.answer),
      [undefined],
    );
  });

  it('is shown nothing of a replay that took its time', async () => {
    const key = await keyOf([], ['audit.read', 'run.read']);
    const run = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;
    beforeReplay = async () => {
      await revoke(key);
      const begun = performance.now();
      await until('some time', () => performance.now() - begun > 600);
    };
    const { status, text } = await api.ask(key.key, 'POST', `/v1/runs/${run}/replay`);
    assert.equal(status, 401, text);
  });

  it('is shown nothing more on an event stream, which ends', async () => {
    const key = await keyOf([], ['audit.read', 'run.read']);
    const headers = { authorization: `Bearer ${key.key}` };
    const signal = AbortSignal.timeout(10_000);
    const response = await fetch(`${api.url}/v1/events?type=run.started,api.called`, { headers, signal });
    await revoke(key);
    const run = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;
    const text = await response.text();
    assert.ok(!text.includes(run), text);
  });

  it('makes no more of the decisions of its batch', async () => {
    const key = await keyOf(['finance.controller'], []);
    const decisions: { approval: string; decision: string; digest: string }[] = [];
    const run = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;
    for (const amount of [500, 501]) {
      const path = `/v1/runs/${run}/transitions/bank.pay`;
      const parked = await api.ask('agent', 'POST', path, { arguments: { amount } });
      const { id, digest } = parked.body.result.approval;
      decisions.push({ approval: id, decision: 'approve', digest });
    }
    const batch = { decisions, mode: 'each' };
    const tried = await api.ask(key.key, 'POST', '/v1/approvals/batch', { ...batch, dryRun: true });
    beforeDeciding = async () => {
      beforeDeciding = () => Promise.resolve();
      await revoke(key);
    };
    const real = { ...batch, dryRun: false, token: tried.body.token };
    await api.ask(key.key, 'POST', '/v1/approvals/batch', real);
    await api.kernel.settled();
    const standing: string[] = [];
    for (const { approval: id } of decisions)
      standing.push((await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body.status as string);
    assert.deepEqual(standing, ['consumed', 'open']);
  });

  it('has so long for its request and no longer: 408, nothing is done, and that is on record', async () => {
    const key = await keyOf([], ['key.manage']);
    const server = makeServer(api.deps, { headMs: 200, requestMs: 400, lookMs: 50 });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const heads = {
      'in its head': 'authorization: Bearer ',
      'in its body': `authorization: Bearer ${key.key}\r\ncontent-type: application/json\r\ncontent-length: 90\r\n\r\n{"id"`,
    };
    for (const [where, head] of Object.entries(heads)) {
      const socket = net.connect(port, '127.0.0.1');
      socket.write(`POST /v1/keys HTTP/1.1\r\nhost: x\r\n${head}`);
      let said = '';
      for await (const chunk of socket) said += String(chunk);
      assert.match(said, /^HTTP\/1\.1 408 Request Timeout\r\n/, where);
    }
    await new Promise((resolve) => server.close(resolve));
    const path = '/v1/audit?type=request.refused&limit=500';
    await until(
      'the record of it',
      async () => {
        const { body } = await api.ask('admin', 'GET', path);
        const refused: { data: { why?: string; route?: string } }[] = body.data;
        return refused.some(({ data }) => data.why === 'client_gone' && data.route === '/v1/keys') || null;
      },
      5_000,
    );
  });
});
