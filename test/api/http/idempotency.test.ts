import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { routes } from '../../../src/api/index.js';
import type { Pool } from '../../../src/db/index.js';
import { holdRun } from '../../../testing/servers/locks.js';
import { until } from '../../../testing/until.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

/** A store that holds back the answer to the next look at decisions until `go` is called. */
function slowOnce(pool: Pool): { pool: Pool; arm(): { looked: Promise<void>; go: () => void } } {
  let armed: { looked: () => void; gone: Promise<void> } | null = null;
  const query = async (...args: Parameters<Pool['query']>): Promise<unknown> => {
    const isIt = typeof args[0] === 'string' && /from decision where approval = any/.test(args[0]);
    const slow = isIt ? armed : null;
    if (slow !== null) armed = null;
    const result: unknown = await (pool.query(...args) as unknown as Promise<unknown>);
    slow?.looked();
    await slow?.gone;
    return result;
  };
  return {
    pool: new Proxy(pool, {
      get: (target, name) => (name === 'query' ? query : (Reflect.get(target, name, target) as unknown)),
    }),
    arm: () => {
      let go = (): void => undefined;
      const gone = new Promise<void>((resolve) => (go = resolve));
      const looked = new Promise<void>((resolve) => (armed = { looked: resolve, gone }));
      return { looked, go: () => go() };
    },
  };
}

describe('Idempotency-Key', () => {
  let api: Harness;
  let store: ReturnType<typeof slowOnce>;
  before(async () => {
    api = await startApi((deps) => {
      store = slowOnce(deps.pool);
      return { ...deps, pool: store.pool };
    });
  });
  after(() => api.stop());
  const start = (key: string, body: unknown = {}, as = 'agent') =>
    api.ask(as, 'POST', '/v1/flows/pay/runs', body, { 'idempotency-key': key });
  const runs = async (): Promise<number> =>
    (await api.ask('auditor', 'GET', '/v1/runs?limit=500')).body.data.length;

  it('makes one run of many requests, and says which answer is a repetition', async () => {
    const before = await runs();
    const first = await start('one');
    const second = await start('one', ' { } ');
    assert.equal(second.body.run.id, first.body.run.id);
    assert.equal(second.text, first.text);
    assert.deepEqual(
      [first.headers.get('idempotency-replayed'), second.headers.get('idempotency-replayed')],
      [null, 'true'],
    );
    assert.equal(second.headers.get('location'), first.headers.get('location'));
    const racing = await Promise.all(Array.from({ length: 6 }, () => start('race')));
    const made = racing.filter((answer) => answer.status === 201);
    assert.ok(made.length >= 1);
    assert.equal(new Set(made.map((answer) => answer.body.run.id)).size, 1);
    assert.ok(
      racing
        .filter((answer) => answer.status !== 201)
        .every((answer) => answer.body.code === 'IDEMPOTENCY_IN_PROGRESS'),
    );
    assert.equal(await runs(), before + 2);
  });

  it('is the key of one principal, one path and one body', async () => {
    const first = await start('mine');
    assert.notEqual((await start('mine', {}, 'employee')).body.run.id, first.body.run.id);
    assert.deepEqual(codes(await start('mine', { input: {}, mode: 'live' })), [
      422,
      'IDEMPOTENCY_KEY_REUSED',
    ]);
    assert.deepEqual(codes(await start('')), [422, 'REQUEST_INVALID']);
    assert.deepEqual(codes(await start('with space')), [422, 'REQUEST_INVALID']);
  });

  it('keeps refusals too, and submits once', async () => {
    const bad = await start('bad', { nonsense: 1 });
    const again = await start('bad', { nonsense: 1 });
    assert.deepEqual([again.status, again.headers.get('idempotency-replayed')], [422, 'true']);
    assert.match(again.headers.get('content-type') ?? '', /problem\+json/);
    assert.equal(again.text, bad.text);
    const run = (await start('submits')).body.run.id;
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const headers = { 'idempotency-key': 'pay-once' };
    const body = { arguments: { amount: 1 } };
    await api.ask('agent', 'POST', path, body, headers);
    const replayed = await api.ask('agent', 'POST', path, body, headers);
    assert.equal(replayed.body.run.version, 1);
    assert.equal((await api.ask('agent', 'GET', `/v1/runs/${run}`)).body.run.version, 1);
  });

  /** A POST whose request line says exactly this; `fetch` would write it in its own way. */
  const post = (target: string, body: unknown, key: string, as = 'agent') =>
    new Promise<{ status: number; replayed: string | undefined; text: string }>((resolve, reject) => {
      const { hostname, port } = new URL(api.url);
      const headers = {
        authorization: `Bearer ${api.keys[as] ?? ''}`,
        'content-type': 'application/json',
        ...(key === '' ? {} : { 'idempotency-key': key }),
      };
      const sent = request({ hostname, port, path: target, method: 'POST', headers }, (came) => {
        let text = '';
        came.setEncoding('utf8').on('data', (part: string) => (text += part));
        came.on('end', () => {
          const replayed = came.headers['idempotency-replayed'] as string | undefined;
          resolve({ status: came.statusCode ?? 0, replayed, text });
        });
      });
      sent.on('error', reject).end(JSON.stringify(body));
    });
  const every = (text: string, form: (byte: string) => string): string =>
    Buffer.from(text).reduce((written, byte) => written + form(byte.toString(16)), '');

  it('is the key of what is called, however its path is spelled', async () => {
    const run = (await start('spelled')).body.run.id as string;
    const path = `/v1/runs/${run}/transitions/`;
    const body = { arguments: { amount: 2 } };
    const first = await post(`${path}bank.pay`, body, 'one-payment');
    assert.equal(first.status, 200, first.text);
    const otherwise = [
      `${path}b%61nk.pay`,
      `${path}bank%2epay`,
      `${path}bank%2Epay`,
      `${path}${every('bank.pay', (byte) => `%${byte}`)}`,
      `/v1/runs/${every(run, (byte) => `%${byte.toUpperCase()}`)}/transitions/bank.pay`,
      `http://proxy.example${path}bank.pay`,
      `${path}bank.pay?wait=1`,
      `${path}bank.pay#there`,
    ];
    for (const target of otherwise) {
      const again = await post(target, body, 'one-payment');
      assert.deepEqual([again.status, again.replayed, again.text], [200, 'true', first.text], target);
    }
    assert.equal((await api.ask('agent', 'GET', `/v1/runs/${run}`)).body.run.version, 1);
    const names = await Promise.all(
      ['%C3%BCber', '%c3%bcber', '%C3%BCb%65r'].map((name) => post(`${path}${name}`, {}, 'no-ascii')),
    );
    const known = names.filter(({ status }) => status !== 409);
    assert.equal(new Set(known.map(({ text }) => text)).size, 1, 'one answer for one name');
  });

  it('is one for each thing called, and two routes are never meant by one path', async () => {
    const run = (await start('apart')).body.run.id as string;
    const other = (await start('apart-too')).body.run.id as string;
    const body = { arguments: { amount: 3 } };
    for (const id of [run, other]) {
      const paid = await post(`/v1/runs/${id}/transitions/bank.pay`, body, 'apart');
      assert.deepEqual([paid.status, paid.replayed], [200, undefined], paid.text);
    }
    const keyed = routes.filter((route) => route.idempotent).map((route) => route.path.split('/'));
    const isHole = (part: string | undefined): boolean => part?.startsWith('{') === true;
    for (const [index, path] of keyed.entries())
      for (const twin of keyed.slice(index + 1)) {
        const meet =
          path.length === twin.length &&
          path.every((part, at) => part === twin[at] || isHole(part) || isHole(twin[at]));
        assert.ok(!meet, `${path.join('/')} and ${twin.join('/')}`);
      }
  });

  it('takes a path of any length for what is not there', async () => {
    const long = randomBytes(6_000).toString('hex');
    const first = await post(`/v1/flows/${long}/runs`, {}, 'long-name');
    const again = await post(
      `/v1/flows/%${long.charCodeAt(0).toString(16)}${long.slice(1)}/runs`,
      {},
      'long-name',
    );
    assert.deepEqual([first.status, again.status, again.replayed], [404, 404, 'true'], first.text);
  });

  it('asks for a credential below /v1 in whatever form an address comes', async () => {
    for (const target of ['/v1/nothing', 'http://proxy.example/v1/nothing'])
      assert.equal((await post(target, {}, '', 'nobody')).status, 401, target);
  });

  it('serves nothing at a path that is spelled as no route is, to nobody and to who may', async () => {
    const run = (await start('spelled-otherwise')).body.run.id as string;
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const spellings = [
      `/V1${path.slice(3)}`,
      path.replace('/runs/', '/RUNS/'),
      `/${path}`,
      path.replace('/runs/', '//runs/'),
      path.replace('/runs/', '/runs%2F'),
      path.replace('/v1/', '/%76%31/'),
      path.replace('/runs/', '/./runs/'),
      path.replace('/runs/', '/approvals/../runs/'),
      path.replace('/runs/', '/%2e%2e/v1/runs/'),
      `${path}/`,
      `${path}/.`,
    ];
    for (const target of spellings)
      for (const who of ['nobody', 'agent']) {
        const { status, text } = await post(target, { arguments: { amount: 2 } }, '', who);
        assert.ok(
          status === 404 || (who === 'nobody' && status === 401),
          `${who} ${target}: ${status} ${text}`,
        );
      }
    assert.equal((await api.ask('agent', 'GET', `/v1/runs/${run}`)).body.run.version, 0);
  });

  it("gives the first attempt's effect to the retry when its process died", async () => {
    const first = await start('died');
    // The state of the store when the process dies between the effect and its answer.
    await api.database.asSuperuser(
      `update idempotency set status = null, response = null, held_until = now() + interval '10 seconds' where key = 'died'`,
    );
    assert.deepEqual(codes(await start('died')), [409, 'IDEMPOTENCY_IN_PROGRESS']);
    await api.database.asSuperuser(
      `update idempotency set held_until = now() - interval '1 second' where key = 'died'`,
    );
    const retried = await start('died');
    assert.deepEqual([retried.status, retried.body.run.id], [201, first.body.run.id]);
  });

  it("repeats a decision's first answer, also when its process died", async () => {
    const run = (await start('decides')).body.run.id;
    const parked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount: 500 },
    });
    const { id, digest } = parked.body.result.approval;
    const headers = { 'idempotency-key': 'decide-once' };
    const decide = () =>
      api.ask('finance', 'POST', `/v1/approvals/${id}/decision`, { decision: 'approve', digest }, headers);
    assert.equal((await decide()).status, 200);
    assert.equal((await decide()).headers.get('idempotency-replayed'), 'true');
    await api.database.asSuperuser(
      `update idempotency set status = null, response = null, held_until = now() - interval '1 second' where key = 'decide-once'`,
    );
    const retried = await decide();
    assert.equal(retried.status, 200, retried.text);
    assert.equal(retried.body.approval.decisions.length, 1);
  });

  /** Changes the store as if this much of the hold had passed. */
  const pass = (key: string): Promise<unknown> =>
    api.database.asSuperuser(
      `update idempotency set held_until = now() - interval '1 second' where key = $1 and status is null`,
      [key],
    );
  const parked = async (as: string): Promise<(headers: Record<string, string>) => Promise<Answer>> => {
    const run = (await start(`parks-${as}-${Math.random()}`)).body.run.id;
    const asked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount: 500 },
    });
    const { id, digest } = asked.body.result.approval;
    const body = { decision: 'approve', digest };
    return (headers) => api.ask(as, 'POST', `/v1/approvals/${id}/decision`, body, headers);
  };

  it('stays with a request that is being handled, however long that takes', async (t) => {
    const run = (await start('takes-long')).body.run.id;
    const headers = { 'idempotency-key': 'long' };
    const body = { arguments: { amount: 1 } };
    const pay = () => api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, body, headers);
    t.mock.timers.enable({ apis: ['setInterval'] });
    const lock = await holdRun(api.database.url, run);
    const first = pay();
    await until('a submit that waits for the run', async () => (await lock.someoneWaits()) || null, 5_000);
    await pass('long');
    t.mock.timers.tick(10_000);
    await until(
      'a renewed hold',
      async () => {
        const { rows } = await api.database.asSuperuser(
          `select 1 from idempotency where key = 'long' and held_until > now() + interval '20 seconds'`,
        );
        return rows.length === 1 || null;
      },
      5_000,
    );
    assert.deepEqual(codes(await pay()), [409, 'IDEMPOTENCY_IN_PROGRESS']);
    await lock.release();
    assert.equal((await first).status, 200);
    assert.equal((await pay()).text, (await first).text);
    await api.database.asSuperuser(`update idempotency set status = null where key = 'long'`);
    await pass('long');
    t.mock.timers.tick(60_000);
    assert.equal((await pay()).headers.get('idempotency-replayed'), null, 'nobody holds it any more');
  });

  it('answers an attempt that was overtaken by another of the same request with what that one did', async () => {
    const decide = await parked('finance');
    const headers = { 'idempotency-key': 'overtaken' };
    const slow = store.arm();
    const first = decide(headers);
    await slow.looked;
    await pass('overtaken');
    api.kernel.idle = true;
    const overtaking = decide(headers);
    await until(
      'a decision that is stored and not taken',
      async () => {
        const { rows } = await api.database.asSuperuser(`select 1 from decision where status = 'accepted'`);
        return rows.length === 1 || null;
      },
      5_000,
    );
    slow.go();
    const [late, second] = await Promise.all([first, overtaking]);
    api.kernel.idle = false;
    assert.equal(second.status, 202, second.text);
    // While the other attempt has not answered yet, this one is told to ask again.
    if (late.status === 202) assert.deepEqual(late.body, second.body);
    else assert.deepEqual(codes(late), [409, 'IDEMPOTENCY_IN_PROGRESS'], late.text);
    assert.equal((await decide(headers)).text, second.text, 'the answer that is kept is the holder’s');
  });

  it('keeps no answer readable that holds a new API key', async () => {
    const made = await api.ask(
      'admin',
      'POST',
      '/v1/keys',
      { id: 'bot', kind: 'agent' },
      { 'idempotency-key': 'key-once' },
    );
    const again = await api.ask(
      'admin',
      'POST',
      '/v1/keys',
      { id: 'bot', kind: 'agent' },
      { 'idempotency-key': 'key-once' },
    );
    assert.equal(again.body.key, made.body.key);
    const { rows } = await api.database.asSuperuser(
      'select response from idempotency where response is not null',
    );
    for (const row of rows as { response: string }[]) {
      assert.ok(!row.response.includes(made.body.key));
      assert.ok(!Buffer.from(row.response, 'base64').toString('utf8').includes(made.body.key));
    }
  });
});
