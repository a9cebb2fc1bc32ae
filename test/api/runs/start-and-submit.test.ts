import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { loadKeys } from '../../../src/auth/index.js';
import { recordStart } from '../../../testing/record-start.js';
import { withTransaction } from '../../../src/db/index.js';
import { newId } from '../../../src/model/names/ids.js';
import type { Principal } from '../../../src/model/principal.js';
import { resolveVersion } from '../../../src/store/flows/flows.js';
import { closeUnstarted } from '../../../src/store/runs/runs.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

// `POST /v1/flows/{name}/runs` with `submit`: starts a run, and submits its first transition.

describe('a start that carries its first submit', () => {
  let api: Harness;
  /** While true, no turn comes. */
  let isLate = false;
  const late = {
    status: 'unavailable',
    code: 'AUDIT_UNAVAILABLE',
    message: 'the turn of this one did not come within 10 s: nothing of it is kept, try again',
  } as const;
  before(async () => {
    api = await startApi((deps) => {
      const { startWithSubmit } = deps.client;
      const unlessLate: typeof startWithSubmit = (...asked) =>
        isLate ? Promise.resolve(late) : startWithSubmit(...asked);
      return { ...deps, client: { ...deps.client, startWithSubmit: unlessLate } };
    });
  });
  after(() => api.stop());
  const start = (submit: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
    api.ask('agent', 'POST', '/v1/flows/pay/runs', { submit }, headers);
  const pay = (amount: number): object => ({ transition: 'bank.pay', arguments: { amount } });
  const runs = async (): Promise<number> =>
    (await api.ask('auditor', 'GET', '/v1/runs?limit=500')).body.data.length;

  it('answers as the submit does: executed, with its output and the run', async () => {
    const done = await start(pay(1));
    assert.deepEqual([done.status, done.body.result.status], [200, 'executed'], done.text);
    assert.deepEqual(done.body.result.output, { paid: true });
    assert.equal(done.body.run.version, 1);
  });

  it('answers as the submit does: parked, with what to poll', async () => {
    const parked = await start(pay(500));
    assert.deepEqual([parked.status, parked.body.result.status], [202, 'pending'], parked.text);
    assert.equal(parked.headers.get('location'), parked.body.result.poll);
    const { id, digest, expiresAt, roles } = parked.body.result.approval;
    const approval = await api.ask('finance', 'GET', `/v1/approvals/${id}`);
    assert.deepEqual(
      [approval.body.digest, approval.body.expiresAt, approval.body.roles],
      [digest, expiresAt, roles],
    );
    const { run } = parked.body;
    const records = (await api.ask('auditor', 'GET', `/v1/runs/${run.id}/audit`)).body.data;
    const types = records.map((record: { type: string }) => record.type);
    assert.ok(types.indexOf('run.started') < types.indexOf('human.approval.requested'), types.join(', '));
  });

  it('leaves the run where the submit is refused, and says which run', async () => {
    const unknown = await start({ transition: 'bank.steal' });
    assert.deepEqual(codes(unknown), [403, 'BLOCKED']);
    assert.equal(unknown.headers.get('location'), `/v1/runs/${unknown.body.run}`);
    const invalid = await start({ transition: 'bank.pay', arguments: { amount: 'all' } });
    assert.deepEqual(codes(invalid), [422, 'INPUT_INVALID']);
    const { body } = await api.ask('agent', 'GET', `/v1/runs/${invalid.body.run}`);
    assert.deepEqual([body.run.status, body.run.version, body.approvals], ['running', 0, []]);
    assert.deepEqual(invalid.body.links, body.links);
  });

  it('makes one run and one action of a request that is repeated', async () => {
    const headers = { 'idempotency-key': 'both' };
    const before = await runs();
    const first = await start(pay(700), headers);
    const second = await start(pay(700), headers);
    assert.deepEqual([second.status, second.text], [first.status, first.text]);
    assert.equal(await runs(), before + 1);
    assert.equal(first.body.approvals.length, 1);
  });

  it('starts nothing where the engine is away, and starts once when it is back', async () => {
    const headers = { 'idempotency-key': 'both-while-away' };
    api.kernel.away = true;
    assert.deepEqual(codes(await start(pay(800), headers)), [503, 'ENGINE_UNAVAILABLE']);
    api.kernel.away = false;
    const back = await start(pay(800), headers);
    assert.deepEqual([back.status, back.body.result.status], [202, 'pending'], back.text);
    const failed = await api.ask('auditor', 'GET', '/v1/runs?flow=pay&status=failed');
    assert.equal(failed.body.data.length, 1);
    assert.equal(failed.body.data[0].version, 0);
  });

  it('says which run an earlier attempt has started, where the turn of this one has not come', async () => {
    const headers = { 'idempotency-key': 'late' };
    isLate = true;
    const none = await start(pay(3), headers);
    assert.deepEqual(
      [...codes(none), none.body.detail, none.body.run],
      [503, late.code, late.message, undefined],
    );
    isLate = false;
    const { run } = (await start(pay(3), headers)).body;
    // The process died before it had answered.
    const die = (): Promise<unknown> =>
      api.database.asSuperuser(
        `update idempotency set status = null, headers = null, response = null, held_until = now() - interval '1 second' where key = 'late'`,
      );
    await die();
    isLate = true;
    const told = await start(pay(3), headers);
    isLate = false;
    assert.deepEqual([...codes(told), told.body.run], [503, late.code, run.id], told.text);
    const words = `run \`${run.id}\` has been started; of this attempt: ${late.message}`;
    assert.equal(told.body.detail, words);
    const again = await start(pay(3), headers);
    assert.deepEqual([again.status, again.body.run.id], [200, run.id], again.text);
    await api.ask('admin', 'POST', `/v1/runs/${run.id}/cancel`, { reason: 'no more' });
    await die();
    isLate = true;
    const ended = await start(pay(3), headers);
    isLate = false;
    assert.equal(ended.body.detail, words.replace(' started;', ' started and is cancelled;'), ended.text);
  });

  it('never says that nothing was started of a run that has begun', async () => {
    api.kernel.lost = true;
    const both = await start(pay(2));
    const alone = await api.ask('agent', 'POST', '/v1/flows/pay/runs', {});
    api.kernel.lost = false;
    assert.deepEqual([both.status, both.body.result?.status], [200, 'executed'], both.text);
    assert.deepEqual([alone.status, alone.body.run?.status], [201, 'running'], alone.text);
  });

  it('keeps a submit for a run whose start is kept and not sent yet, and sends both', async () => {
    const run = await keepStart();
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const sent = await api.ask('agent', 'POST', path, { arguments: { amount: 1 } });
    assert.deepEqual([sent.status, sent.body.result?.status], [200, 'executed'], sent.text);
  });

  it('refuses a submit to a run whose start was withdrawn: nothing of that run is ever done', async () => {
    const { pool } = api.database;
    const run = await keepStart();
    assert.ok(await withTransaction(pool, (tx) => closeUnstarted(tx, run)));
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const closed = await api.ask('agent', 'POST', path, { arguments: { amount: 1 } });
    assert.deepEqual(codes(closed), [409, 'RUN_CLOSED']);
  });

  /** A run whose start is durable, but was not sent to Temporal. */
  const keepStart = async (): Promise<string> => {
    const { pool } = api.database;
    const flow = await resolveVersion(pool, 'pay', {});
    assert.ok(flow);
    const run = newId('run');
    const about = { run, flow: flow.name, flowVersion: flow.version, planHash: flow.planHash, input: {} };
    const principal: Principal = { id: 'agent', kind: 'agent', roles: [], permissions: ['run.start'] };
    const place = { initialState: 'open', environment: 'dev', mode: 'live', trace: null, waitMs: 0 } as const;
    const deps = { payloads: api.deps.payloads, keys: await loadKeys(api.home, {}) };
    await withTransaction(pool, (tx) => recordStart(deps, tx, { ...about, ...place, principal }));
    return run;
  };

  it('takes nothing but a transition, its arguments and its reasoning', async () => {
    for (const wrong of [{}, 'bank.pay', { transition: '' }, { ...pay(1), force: true }, []])
      assert.deepEqual(codes(await start(wrong)), [422, 'REQUEST_INVALID'], JSON.stringify(wrong));
  });
});
