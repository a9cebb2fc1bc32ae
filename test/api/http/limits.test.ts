import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request, type ClientRequest } from 'node:http';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { makeAnonymous } from '../../../src/api/index.js';
import { mostWindows, sourceOf } from '../../../src/api/http/anonymous.js';
import { mostKeys } from '../../../src/api/http/key-use.js';
import type { ServiceFact } from '../../../src/audit/index.js';
import { until } from '../../../testing/until.js';
import { codes, startApi, type Harness } from '../harness.js';

interface Listed {
  readonly type: string;
  readonly actor: { readonly kind: string; readonly id: string };
  readonly data: Readonly<Record<string, unknown>>;
}

async function records(api: Harness, query: string): Promise<Listed[]> {
  const found: Listed[] = [];
  for (let cursor = ''; ;) {
    const { body } = await api.ask('auditor', 'GET', `/v1/audit?limit=500&${query}${cursor}`);
    found.push(...(body.data as Listed[]));
    if (body.nextCursor === null) return found;
    cursor = `&cursor=${String(body.nextCursor)}`;
  }
}

describe('what one caller may have at once', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  /** Opens an event stream, and waits for its first bytes. */
  const openStream = async (key: string): Promise<AbortController> => {
    const stop = new AbortController();
    const response = await fetch(`${api.url}/v1/events`, {
      signal: stop.signal,
      headers: { authorization: `Bearer ${key}` },
    });
    assert.equal(response.status, 200);
    await response.body?.getReader().read();
    return stop;
  };

  it('is 20 event streams; the next is 429 and says when, others are served, and one that closed makes room', async () => {
    const employee = String(api.keys['employee']);
    const streams = await Promise.all(Array.from({ length: 20 }, () => openStream(employee)));
    const refused = await api.ask('employee', 'GET', '/v1/events');
    assert.deepEqual(codes(refused), [429, 'RATE_LIMITED']);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    assert.equal(refused.body.limit, 20);
    (await openStream(String(api.keys['agent']))).abort();
    assert.equal((await api.ask('employee', 'HEAD', '/v1/events')).status, 200, 'HEAD holds nothing open');
    streams.pop()?.abort();
    streams.push(
      await until(
        'room for another stream',
        async () => {
          const { status } = await api.ask('employee', 'HEAD', '/v1/events');
          assert.equal(status, 200);
          return openStream(employee).catch(() => null);
        },
        5_000,
      ),
    );
    for (const stream of streams) stream.abort();
    const [record] = (await records(api, 'actor=employee&type=request.refused')).slice(-1);
    assert.equal(record?.data['code'], 'RATE_LIMITED');
  });

  it('tells a run to a stream from the moment at which it may be seen', async () => {
    const permissions = ['approval.decide'];
    const roles = ['finance.controller'];
    const made = await api.ask('admin', 'POST', '/v1/keys', { id: 'cfo', kind: 'human', permissions, roles });
    const stop = new AbortController();
    const response = await fetch(`${api.url}/v1/events`, {
      signal: stop.signal,
      headers: { authorization: `Bearer ${made.body.key}` },
    });
    const reader = response.body?.getReader();
    await reader?.read();
    const run = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;
    const pay = `/v1/runs/${run}/transitions/bank.pay`;
    assert.equal(
      (await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.balance`, {})).status,
      200,
    );
    assert.equal((await api.ask('agent', 'POST', pay, { arguments: { amount: 500 } })).status, 202);
    let text = '';
    while (!text.includes('event: human.approval.requested'))
      text += Buffer.from((await reader?.read())?.value ?? []).toString();
    assert.ok(!text.includes('event: run.started'), 'before that it was not to be seen');
    stop.abort();
  });

  it('is 100 waiting requests: one more is answered as things stand', async () => {
    const run = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;
    const parked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount: 500 },
    });
    const seats = Array.from({ length: 100 }, () => api.deps.feed.longPolls.take('agent'));
    const answered = await api.ask('agent', 'GET', `${parked.body.result.poll}?wait=25`);
    assert.deepEqual([answered.status, answered.body.status], [200, 'pending']);
    assert.equal(answered.headers.get('retry-after'), '2');
    for (const seat of seats) seat?.leave();
  });

  it('is 20 links to one approval that are good still', async () => {
    const run = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;
    const parked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount: 500 },
    });
    const path = `/v1/approvals/${parked.body.result.approval.id}/links`;
    const asked = await Promise.all(Array.from({ length: 60 }, () => api.ask('finance', 'POST', path, {})));
    const made = asked.filter(({ status }) => status === 201);
    assert.equal(made.length, 20);
    for (const answer of asked)
      if (!made.includes(answer)) assert.deepEqual(codes(answer), [429, 'RATE_LIMITED'], answer.text);
    assert.deepEqual(codes(await api.ask('finance', 'POST', path, {})), [429, 'RATE_LIMITED']);
    assert.equal((await api.ask('finance', 'DELETE', `${path}/${made[0]?.body.id}`)).status, 204);
    assert.equal((await api.ask('finance', 'POST', path, {})).status, 201);
  });

  it('is a number of idempotency keys a day: a new one is then 429, one that is there is answered still', async () => {
    const start = (key: string | null, as = 'agent') =>
      api.ask(as, 'POST', '/v1/flows/pay/runs', {}, key === null ? {} : { 'idempotency-key': key });
    // A new principal, whose keys have not been counted yet.
    const made = await api.ask('admin', 'POST', '/v1/keys', {
      id: 'busy',
      kind: 'agent',
      permissions: ['run.start'],
    });
    const busy = made.body.key as string;
    await api.database.asSuperuser(
      `insert into idempotency (principal, method, path, key, body_hash, effect_id, status, held_until, created_at)
       select 'busy', 'POST', '/x', 'k' || n, '', '', 200, now(), now() - interval '1 hour' from generate_series(1, $1::int) n`,
      [mostKeys - 1],
    );
    const first = await start('the-last-one', busy);
    assert.equal(first.status, 201, first.text);
    const refused = await start('one-too-many', busy);
    assert.deepEqual(codes(refused), [429, 'RATE_LIMITED'], refused.text);
    assert.equal(refused.body.limit, mostKeys);
    assert.match(refused.body.detail, /100000 idempotency keys/);
    const seconds = Number(refused.headers.get('retry-after'));
    assert.ok(seconds > 22.5 * 3_600 && seconds <= 23 * 3_600, `${seconds} s`);
    assert.ok(Math.abs(Date.parse(refused.body.until) - Date.now() - seconds * 1_000) < 60_000);
    assert.equal((await start('the-last-one', busy)).body.run.id, first.body.run.id);
    assert.equal((await start(null, busy)).status, 201);
    assert.equal((await start('mine')).status, 201);
    assert.deepEqual(codes(await start('one-too-many', busy)), [429, 'RATE_LIMITED'], 'it is not kept');
  });
});

describe('requests without a credential', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  it('are recorded once a source and minute, then counted', async () => {
    await api.deps.anonymous.flush();
    const before = (await records(api, 'actor=anonymous')).length;
    await Promise.all(
      Array.from({ length: 300 }, async (_, n) => {
        const { status } = await fetch(`${api.url}/v1/runs?n=${n}`);
        assert.equal(status, 401);
      }),
    );
    const made = (await records(api, 'actor=anonymous')).slice(before);
    assert.deepEqual(
      made.map((record) => [record.type, record.data['reason']]),
      [['authn.failed', 'no_credential']],
    );
    await api.deps.anonymous.flush();
    const [, counted, ...more] = (await records(api, 'actor=anonymous')).slice(before);
    assert.deepEqual(more, []);
    assert.deepEqual(
      [counted?.type, counted?.data['reason'], counted?.data['remote'], counted?.data['count']],
      ['authn.failed', 'no_credential', '127.0.0.1', 299],
    );
    assert.ok(Date.parse(String(counted?.data['from'])) <= Date.parse(String(counted?.data['until'])));
  });

  it('are counted at pages and at paths that do not exist too, each kind by itself', async () => {
    await api.deps.anonymous.flush();
    const before = (await records(api, 'actor=anonymous')).length;
    for (let n = 0; n < 20; n += 1) {
      await (await fetch(`${api.url}/nothing/${n}`)).text();
      await (await fetch(`${api.url}/sign-in`)).text();
      await (await fetch(`${api.url}/links/${'x'.repeat(40)}`)).text();
      await (
        await fetch(`${api.url}/slack/interactions`, {
          method: 'POST',
          body: new URLSearchParams({ n: 'x' }),
        })
      ).text();
    }
    await api.deps.anonymous.flush();
    const made = (await records(api, 'actor=anonymous')).slice(before);
    const called = (await records(api, 'actor=anonymous&type=api.called')).filter(
      (record) => 'count' in record.data,
    );
    const counts = [...made, ...called].filter((record) => 'count' in record.data);
    assert.deepEqual(
      counts.map((record) => record.data['count']),
      [19, 19, 19, 19].slice(0, counts.length),
    );
    assert.ok(counts.length >= 3 && made.length <= 8, JSON.stringify(made));
  });

  it('take no more memory from many sources than from some', async () => {
    const written: ServiceFact[] = [];
    let fails = true;
    let now = Date.parse('2026-11-28T10:00:00.000Z');
    const anonymous = makeAnonymous({
      chain: {
        append: (facts) => {
          if (fails) return Promise.reject(new Error('away'));
          written.push(...facts);
          return Promise.resolve();
        },
      },
      now: () => new Date(now),
      log: () => undefined,
    });
    const fact = { type: 'authn.failed', data: { reason: 'no_credential' } } as const;
    let firsts = 0;
    for (let n = 0; n < 10_000; n += 1) {
      const remote = `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`;
      if (anonymous.take({ remote, kind: 'a', fact }).status === 'first') firsts += 1;
    }
    assert.equal(firsts, mostWindows + 1);
    now += 60_000;
    await anonymous.flush();
    assert.equal(written.length, 0, 'the store is away');
    fails = false;
    await anonymous.close();
    assert.deepEqual(
      written.map((fact) => [fact.data['remote'], fact.data['count']]),
      [['others', 10_000 - mostWindows - 1]],
    );
  });

  it('of one IPv6 network are of one source', () => {
    assert.equal(sourceOf('::ffff:10.1.2.3'), '10.1.2.3');
    assert.equal(sourceOf('2001:db8:1:2:3:4:5:6'), sourceOf('2001:db8:1:2::9'));
    assert.notEqual(sourceOf('2001:db8:1:3::9'), sourceOf('2001:db8:1:2::9'));
    assert.equal(sourceOf('fe80::1%eth0'), 'fe80:0:0:0::/64');
  });
});

describe('a client that goes away', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  const gone = (route: string): Promise<Listed> =>
    until(
      'the record of a client that has gone',
      async () => {
        const found = await records(api, 'actor=agent&type=api.called');
        return (
          found.find((record) => record.data['route'] === route && record.data['status'] === 499) ?? null
        );
      },
      5_000,
    );
  const metrics = async (): Promise<string> => (await api.ask(null, 'GET', '/metrics')).text;

  it('in the middle of its upload is on record, as such, and not as 200', async () => {
    const { hostname, port } = new URL(api.url);
    const socket = net.connect(Number(port), hostname);
    const head = `authorization: Bearer ${api.keys['agent']}\r\ncontent-type: application/json\r\ncontent-length: 900`;
    await once(socket, 'connect');
    socket.write(`POST /v1/flows/pay/runs HTTP/1.1\r\nhost: x\r\n${head}\r\n\r\n{"input":`, () => {
      socket.destroy();
    });
    const record = await gone('/v1/flows/{name}/runs');
    assert.equal(record.data['why'], 'client_gone');
    const refused = await records(api, 'actor=agent&type=request.refused');
    assert.equal(refused.at(-1)?.data['why'], 'client_gone');
    assert.match(await metrics(), /route="\/v1\/flows\/\{name\}\/runs",method="POST",status="499"\} 1/);
    assert.doesNotMatch(await metrics(), /route="\/v1\/flows\/\{name\}\/runs",method="POST",status="200"/);
  });

  it('while its answer is waited for is on record with the answer that it did not get', async () => {
    const run = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;
    const parked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount: 500 },
    });
    const asked: ClientRequest = request(`${api.url}${parked.body.result.poll}?wait=25`, {
      headers: { authorization: `Bearer ${api.keys['agent']}` },
    });
    asked.on('error', () => undefined);
    asked.end();
    await until(
      'a waiting request',
      () => Promise.resolve(api.deps.feed.longPolls.taken() > 0 || null),
      5_000,
    );
    asked.destroy();
    assert.equal((await gone('/v1/actions/{id}')).data['answer'], 200);
  });
});
