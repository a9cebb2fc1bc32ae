import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { codes, startApi, type Harness } from './harness.js';

describe('Idempotency-Key', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
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
    const made = racing.filter((one) => one.status === 201);
    assert.ok(made.length >= 1);
    assert.equal(new Set(made.map((one) => one.body.run.id)).size, 1);
    assert.ok(
      racing.filter((one) => one.status !== 201).every((one) => one.body.code === 'IDEMPOTENCY_IN_PROGRESS'),
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

  it("gives the first attempt's effect to the retry when its process died", async () => {
    const first = await start('died');
    // As the store stands when the process dies between the effect and its answer.
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
