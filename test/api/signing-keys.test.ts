import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import pg from 'pg';
import { makeSigningKey } from '../../src/auth/index.js';
import { putSigningKey } from '../../src/store/people/signing-keys.js';
import { until } from '../../testing/until.js';
import { codes, startApi, type Answer, type Harness } from './harness.js';

describe('signing keys', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  const list = async (): Promise<{ keyId: string; status: string; retiredAt: string | null }[]> =>
    (await api.ask('auditor', 'GET', '/v1/signing-keys')).body.data;
  const rotate = (window: string, headers = {}) =>
    api.ask('admin', 'POST', '/v1/signing-keys', { window }, headers);
  const park = async (): Promise<{ id: string; digest: string }> => {
    const { run } = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body;
    const path = `/v1/runs/${run.id}/transitions/bank.pay`;
    return (await api.ask('agent', 'POST', path, { arguments: { amount: 500 } })).body.result.approval;
  };
  const approve = (id: string, digest: string) =>
    api.ask('finance', 'POST', `/v1/approvals/${id}/decision`, { decision: 'approve', digest });

  it('are rotated once by a request that is repeated, and never show their private halves', async () => {
    const headers = { 'idempotency-key': 'rotate-once' };
    const [once, again] = [await rotate('2h', headers), await rotate('2h', headers)];
    assert.deepEqual([once.status, again.status], [201, 201]);
    assert.deepEqual(again.body, once.body);
    assert.equal((await list()).length, 2);
    assert.doesNotMatch(once.text, /sealed|private/i);
  });

  it('end no later than they were to end', async () => {
    const [, first] = await list();
    assert.ok(first);
    await rotate('4h');
    assert.equal((await list()).find(({ keyId }) => keyId === first.keyId)?.retiredAt, first.retiredAt);
    const path = `/v1/signing-keys/${encodeURIComponent(first.keyId)}/retire`;
    await api.ask('admin', 'POST', path, { window: '8h' });
    assert.equal((await list()).find(({ keyId }) => keyId === first.keyId)?.retiredAt, first.retiredAt);
    for (const window of ['25h', '10', '-1m', 'for ever'])
      assert.equal((await rotate(window)).status, 422, window);
  });

  it('lose no decision that was signed in the instant in which its key was retired without a window', async () => {
    const approval = await park();
    const { workflow } = api.kernel.client;
    const handle = workflow.getHandle.bind(workflow);
    workflow.getHandle = ((run: string) => {
      const { signal, ...rest } = handle(run);
      const late = async (...sent: Parameters<typeof signal>) => {
        workflow.getHandle = handle;
        assert.equal((await rotate('0s')).status, 201);
        return signal(...sent);
      };
      return { ...rest, signal: late };
    }) as typeof handle;
    const taken = await approve(approval.id, approval.digest);
    assert.equal(taken.status, 200, taken.text);
    await api.kernel.settled();
    const kept = await api.ask('finance', 'GET', `/v1/approvals/${approval.id}`);
    assert.deepEqual(
      kept.body.decisions.map((decision: { status: string }) => decision.status),
      ['applied'],
    );
    assert.equal((await api.ask('finance', 'GET', `/v1/approvals/${approval.id}`)).body.status, 'consumed');
    const { run } = (await api.ask('finance', 'GET', `/v1/approvals/${approval.id}`)).body;
    const refused = await api.ask('auditor', 'GET', `/v1/runs/${run}/audit?type=message.refused`);
    assert.deepEqual(refused.body.data, []);
  });

  /** Changes a bit of the private half of a key, which then does not open, as under another KEK; done twice, it is as it was. */
  const turn = (keyId: string) =>
    api.database.asSuperuser(
      'update signing_key set sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1) where key_id = $1',
      [keyId],
    );
  const told = ({ status, body, headers }: Answer): unknown[] => [
    status,
    body.code,
    headers.get('retry-after'),
  ];
  const unopened = [503, 'KEY_UNOPENED', '2'];

  it('that do not open here keep nothing, and say so: the same requests are done under their Idempotency-Keys where they open', async () => {
    assert.equal((await rotate('10m')).status, 201);
    const [approval, other] = [await park(), await park()];
    const runOf = async (id: string): Promise<string> =>
      (await api.ask('finance', 'GET', `/v1/approvals/${id}`)).body.run;
    const [run, cancelled] = [await runOf(approval.id), await runOf(other.id)];
    const key = (await list())[0]?.keyId ?? '';
    const asked = [
      ['agent', '/v1/flows/pay/runs', {}, 201],
      ['agent', '/v1/flows/pay/runs', { submit: { transition: 'bank.balance' } }, 200],
      ['agent', `/v1/runs/${run}/transitions/bank.balance`, {}, 200],
      [
        'finance',
        `/v1/approvals/${approval.id}/decision`,
        { decision: 'approve', digest: approval.digest },
        200,
      ],
      ['admin', `/v1/runs/${cancelled}/cancel`, { reason: 'no more' }, 200],
    ] as const;
    const askAll = async (): Promise<Answer[]> => {
      const answers = [];
      for (const [at, [who, path, body]] of asked.entries())
        answers.push(await api.ask(who, 'POST', path, body, { 'idempotency-key': `unsigned-${at}` }));
      return answers;
    };
    const kept = async () =>
      (
        await api.database.pool.query(
          'select (select count(*) from message) as messages, (select count(*) from run) as runs',
        )
      ).rows;
    const before = await kept();
    await turn(key);
    for (const answer of await askAll()) {
      assert.deepEqual(told(answer), unopened, answer.text);
      assert.match(answer.body.detail, /^nothing of this request is kept, since it cannot be signed here: /);
    }
    assert.deepEqual(await kept(), before);
    await turn(key);
    assert.deepEqual(
      (await askAll()).map(({ status }) => status),
      asked.map(([, , , status]) => status),
    );
  });

  it('are made by no process that does not open the newest: only once that is retired, since its KEK is lost', async () => {
    const before = await list();
    const newest = before[0]?.keyId ?? '';
    await turn(newest);
    const refused = await rotate('10m', { 'idempotency-key': 'rotate-unopened' });
    assert.deepEqual(told(refused), unopened, refused.text);
    assert.ok(refused.body.detail.includes(`the private half of \`${newest}\` does not open here`));
    assert.deepEqual(await list(), before);
    const retire = () =>
      api.ask('admin', 'POST', `/v1/signing-keys/${encodeURIComponent(newest)}/retire`, {});
    assert.deepEqual(codes(await retire()), [409, 'LAST_SIGNING_KEY']);
    // As a process that is started with another COUNTERSIGN_SIGNING_KEY.
    await putSigningKey(api.database.pool, { ...makeSigningKey(Buffer.alloc(32)), sealed: null });
    assert.deepEqual(told(await rotate('10m')), unopened, 'though another is the newest by now');
    assert.equal((await retire()).status, 200);
    assert.equal((await rotate('10m', { 'idempotency-key': 'rotate-unopened' })).status, 201);
    assert.equal((await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).status, 201);
  });

  it('are made by no process under another KEK than the oldest open run, before the first rotation too', async () => {
    const before = await list();
    const { rows } = await api.database.pool.query(
      `select id from run where status in ('running', 'waiting', 'stuck') order by started_at limit 1`,
    );
    const run = rows[0].id as string;
    await api.database.asSuperuser('alter table payload_key disable trigger user');
    await api.database.asSuperuser(
      'update payload_key set wrapped = set_byte(wrapped, 20, get_byte(wrapped, 20) # 1) where run = $1',
      [run],
    );
    const refused = await rotate('10m');
    assert.deepEqual(told(refused), unopened, refused.text);
    assert.ok(refused.body.detail.includes(`the key of the payloads of run \`${run}\` does not open here`));
    assert.deepEqual(await list(), before);
    const cancelled = await api.ask('admin', 'POST', `/v1/runs/${run}/cancel`, { reason: 'its KEK is lost' });
    assert.equal(cancelled.status, 200, cancelled.text);
    assert.equal((await rotate('10m')).status, 201);
  });

  /** How many sessions wait for a lock of that kind. */
  const waiting = async (locktype: string): Promise<number> => {
    const { rows } = await api.database.asSuperuser(
      `select 1 from pg_locks l join pg_database d on d.oid = l.database
        where not l.granted and l.locktype = $1 and d.datname = current_database()`,
      [locktype],
    );
    return rows.length;
  };
  /** The answer to a request that was signed, but not yet kept, when the keys were rotated without a window. */
  const askedDuringRotation = async (ask: () => Promise<Answer>): Promise<Answer> => {
    const holder = new pg.Client({ connectionString: api.database.url });
    await holder.connect();
    await holder.query('begin');
    await holder.query('lock table message in share mode');
    const asked = ask();
    await until('the message is signed and waits to be kept', async () => (await waiting('relation')) > 0);
    let isOver = false;
    const rotated = rotate('0s').finally(() => (isOver = true));
    await until('the rotation is over, or waits', async () => isOver || (await waiting('advisory')) > 0);
    await holder.query('commit');
    await holder.end();
    assert.equal((await rotated).status, 201);
    return asked;
  };

  /** Holds a transaction open, as a process that has stopped does, while `meanwhile` runs. */
  const whileSomebodyStandsStill = async (lock: string, meanwhile: () => Promise<void>): Promise<void> => {
    const holder = new pg.Client({ connectionString: api.database.url });
    await holder.connect();
    try {
      await holder.query('begin');
      await holder.query(lock);
      await meanwhile();
    } finally {
      await holder.end();
    }
  };
  const away = (answer: Answer): unknown[] => [...codes(answer), answer.headers.get('retry-after')];
  /** More than there are connections. */
  const crowd = <T>(ask: (at: number) => Promise<T>): Promise<T>[] =>
    Array.from({ length: 40 }, (_, at) => ask(at));
  /** Their starts may hold all connections that starts may; those of one of them `own`, a fifth of the pool. */
  const starters = ['agent', 'employee', 'manager'];
  const own = 6;

  for (const [change, path] of [
    ['made', () => '/v1/signing-keys'],
    ['retired', (keyId: string) => `/v1/signing-keys/${encodeURIComponent(keyId)}/retire`],
  ] as const)
    it(`are not ${change} while one who signs stands still, and others read and sign on`, async () => {
      const before = await list();
      const signing = 'select pg_advisory_xact_lock_shared(7202611292)';
      await whileSomebodyStandsStill(signing, async () => {
        const changed = api.ask('admin', 'POST', path(before[0]?.keyId ?? ''), { window: '0s' });
        await until('the change waits', async () => (await waiting('advisory')) > 0);
        const started = crowd((at) => api.ask(starters[at % 3] ?? '', 'POST', '/v1/flows/pay/runs', {}));
        await until('those who sign wait too', async () => (await waiting('advisory')) > 1 + own);
        assert.equal((await api.ask('auditor', 'GET', '/v1/approvals?limit=1')).status, 200);
        assert.deepEqual(away(await changed), [503, 'AUDIT_UNAVAILABLE', '2']);
        for (const answer of await Promise.all(started)) assert.equal(answer.status, 201, answer.text);
      });
      assert.deepEqual(await list(), before);
    });

  it('are told, as all else is, while one who gives records their index stands still: only who reads the record waits', async () => {
    const read = () => api.ask('auditor', 'GET', '/v1/audit?limit=1');
    await whileSomebodyStandsStill('select size from audit_head for update', async () => {
      assert.equal((await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).status, 201);
      const reads = crowd(read);
      await until('they wait', async () => (await waiting('tuple')) > 0);
      assert.equal((await list()).length > 0, true);
      for (const answer of await Promise.all(reads))
        assert.deepEqual(away(answer), [503, 'AUDIT_UNAVAILABLE', '2'], answer.text);
    });
    assert.equal((await read()).status, 200);
  });

  it('lose no decision that is being kept while its key is retired without a window', async () => {
    const approval = await park();
    const taken = await askedDuringRotation(() => approve(approval.id, approval.digest));
    assert.equal(taken.status, 200, taken.text);
  });

  it('lose no start that is being kept while its key is retired without a window', async () => {
    const started = await askedDuringRotation(() => api.ask('agent', 'POST', '/v1/flows/pay/runs', {}));
    assert.equal(started.status, 201, started.text);
    await api.kernel.settled();
    const { run } = (await api.ask('agent', 'GET', `/v1/runs/${started.body.run.id}`)).body;
    assert.deepEqual([run.status, run.problem], ['running', undefined]);
  });
});
