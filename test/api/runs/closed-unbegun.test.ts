import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { makeDeps, type ActivityDeps } from '../../../src/activities/deps.js';
import { step } from '../../../src/activities/step/step.js';
import type { Arrival, StepResult } from '../../../src/activities/types.js';
import { makePayloads } from '../../../src/audit/index.js';
import { bellOf } from '../../../src/auth/index.js';
import type { Bell } from '../../../src/model/message.js';
import { startMessageId } from '../../../src/model/names/derived-ids.js';
import { countUnanswered, getMessage } from '../../../src/store/runs/messages.js';
import { getRun } from '../../../src/store/runs/runs.js';
import { until } from '../../../testing/until.js';
import { readText } from '../../../src/service/values.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

// A run that a worker has closed before it began is not one whose start was withdrawn: nobody begins another for it, and whoever
// repeats a request is told what the first was told.

describe('a run that a worker has closed before it began', () => {
  let api: Harness;
  /** The hands of a worker, of one with another key-encryption key, and of one in which no step can be taken. */
  let own: ActivityDeps;
  let foreign: ActivityDeps;
  let broken: ActivityDeps;
  before(async () => {
    api = await startApi();
    const { pool, chain, payloads } = api.deps;
    own = makeDeps(pool, payloads, chain, () => undefined);
    foreign = makeDeps(pool, makePayloads({ kek: Buffer.alloc(32, 9) }), chain, () => undefined);
    broken = { ...own, plan: () => Promise.reject(new Error('a bug')) };
  });
  after(() => api.stop());

  let keys = 0;
  const newKey = (): Record<string, string> => ({ 'idempotency-key': `unbegun-${(keys += 1)}` });
  /** The process dies before the answer is kept. */
  const loseAnswer = (headers: Record<string, string>): Promise<unknown> =>
    api.database.asSuperuser(
      `update idempotency set status = null, headers = null, response = null, held_until = now() - interval '1 second' where key = $1`,
      [headers['idempotency-key']],
    );
  const start = (headers: Record<string, string>, body: object = {}): Promise<Answer> =>
    api.ask('agent', 'POST', '/v1/flows/pay/runs?wait=0', body, headers);
  const cancel = (run: string, headers: Record<string, string>, reason = 'no more'): Promise<Answer> =>
    api.ask('admin', 'POST', `/v1/runs/${run}/cancel?wait=0`, { reason }, headers);
  const submit = (run: string, headers: Record<string, string>): Promise<Answer> =>
    api.ask(
      'agent',
      'POST',
      `/v1/runs/${run}/transitions/bank.pay?wait=2`,
      { arguments: { amount: 1 } },
      headers,
    );
  const countRuns = async (): Promise<number> =>
    (await api.ask('auditor', 'GET', '/v1/runs?limit=500')).body.data.length;
  const firstStep = async (
    run: string,
    hands: ActivityDeps,
    gaveUp: string | null,
    forged: Partial<Bell> = {},
    beside: readonly Arrival[] = [],
  ): Promise<StepResult> => {
    const sealed = await getMessage(api.database.pool, startMessageId(run));
    const bell: Arrival = { kind: 'message', bell: { ...bellOf(sealed ?? assert.fail()), ...forged } };
    return step(hands, { run, rev: 1, builtOn: null, arrivals: [bell, ...beside], gaveUp });
  };
  const giveUpFirst = async (run: string, why: string): Promise<void> => {
    const reason = `the run's first step failed three times in our own code: ${why}`;
    assert.deepEqual(await firstStep(run, broken, why), { status: 'refused', reason });
  };
  /** Begun while no worker is up, so that its first step is the test's. */
  const startUnserved = async (headers = newKey(), body: object = {}): Promise<string> => {
    api.kernel.idle = true;
    const started = await start(headers, body);
    assert.ok([201, 202].includes(started.status), started.text);
    return started.body.run.id;
  };
  const waiting = (run: string, count: number): Promise<unknown> =>
    until('messages', async () => (await countUnanswered(api.database.pool, run)).ids.length === count);
  const cancelled = 'the run was cancelled by `admin` before it began: ';

  it('tells whoever repeats a cancel what the first was told, and all others that the run was cancelled', async () => {
    const run = await startUnserved();
    const [stop, other, sent] = [newKey(), newKey(), newKey()];
    const first = cancel(run, stop);
    await waiting(run, 1);
    const rest = [cancel(run, other, 'too late'), submit(run, sent)];
    await waiting(run, 3);
    assert.deepEqual(await firstStep(run, foreign, null), { status: 'refused', reason: 'closed' });
    const told = await first;
    assert.deepEqual([told.status, told.body.run?.status], [200, 'failed'], told.text);
    assert.equal(told.body.run.problem.code, 'KEY_UNOPENED');
    for (const one of await Promise.all(rest)) {
      assert.deepEqual(codes(one), [409, 'RUN_CLOSED'], one.text);
      assert.ok(one.body.detail.startsWith(cancelled), one.text);
    }
    for (const headers of [stop, other, sent]) await loseAnswer(headers);
    const again = await cancel(run, stop);
    assert.deepEqual([again.status, again.body], [200, told.body], again.text);
    for (const one of [await cancel(run, other, 'too late'), await submit(run, sent)]) {
      assert.deepEqual(codes(one), [409, 'RUN_CLOSED'], one.text);
      assert.ok(one.body.detail.startsWith(cancelled), one.text);
    }
    const { data } = (await api.ask('auditor', 'GET', `/v1/runs/${run}/audit?type=message.refused`)).body;
    assert.deepEqual(
      data.map((record: any) => record.data.reason),
      ['closed'],
    );
    api.kernel.idle = false;
    await api.kernel.settled();
    assert.equal((await getRun(api.database.pool, run))?.problem?.code, 'KEY_UNOPENED');
  });

  it('has its cancel on record with the reason, for an auditor to read', async () => {
    const run = await startUnserved();
    const first = cancel(run, {}, 'the order was a mistake');
    await waiting(run, 1);
    await firstStep(run, foreign, null);
    await first;
    api.kernel.idle = false;
    const of = `run=${run}&flow=pay&type=transition.requested`;
    const [asked, ...more] = (await api.ask('auditor', 'GET', `/v1/audit?${of}`)).body.data;
    assert.deepEqual(more, []);
    const { actor, action, refs } = asked;
    assert.deepEqual([actor.id, action, refs.length], ['admin', { transition: 'cancel' }, 1]);
    assert.equal(refs[0].role, 'reason');
    assert.equal(await readText(api.deps, refs[0]), 'the order was a mistake');
    const record = await api.ask('auditor', 'GET', `/v1/audit/entries/${asked.index}`);
    const { traceId } = (await getRun(api.database.pool, run)) ?? {};
    assert.ok(traceId !== undefined && record.text.includes(traceId), record.text);
  });

  it('says on record who started it, and over what it was closed', async () => {
    const run = await startUnserved();
    await firstStep(run, broken, 'a bug');
    // Again, as after a worker that died before its task was complete; and by a workflow of somebody who has not the start's signature.
    await firstStep(run, broken, 'a bug');
    await firstStep(run, own, null, { signature: 'a'.repeat(86) });
    // And by one who has copied the start's own bell out of Temporal, as often as they like, with whatever else beside it.
    for (const name of ['wake', 'wake', 'submit'])
      await firstStep(run, own, null, {}, [{ kind: 'garbage', name, reason: 'undecodable' }]);
    const never = await startUnserved();
    await firstStep(never, own, null, { signature: 'a'.repeat(86) });
    const refusals = async (id: string): Promise<any[]> =>
      (await api.ask('auditor', 'GET', `/v1/audit?run=${id}&flow=pay&type=message.refused`)).body.data;
    const [refused, ...strange] = await refusals(run);
    const { traceId, problem } = (await getRun(api.database.pool, run)) ?? assert.fail();
    const over = { code: 'STEP_FAILED', message: problem?.message };
    assert.deepEqual(
      [refused.actor.kind, refused.actor.id, refused.data],
      ['agent', 'agent', { reason: 'step_failed', name: 'start', ...over }],
    );
    const nobody = { kind: 'anonymous', id: 'unknown' };
    const closed = [nobody, { reason: 'closed', name: 'start', ...over }];
    assert.deepEqual(
      strange.map(({ actor, data }) => [actor, data]),
      [closed, closed, closed],
    );
    const record = await api.ask('auditor', 'GET', `/v1/audit/entries/${refused.index}`);
    for (const part of [traceId, '"environment":"dev"'])
      assert.ok(traceId !== '' && record.text.includes(part), record.text);
    const [open] = await refusals(never);
    assert.deepEqual([open.actor.id, open.data], ['unknown', { reason: 'bad_signature', name: 'start' }]);
    // Only now, since it takes the starts too.
    api.kernel.idle = false;
  });

  it('is what its start, repeated, is answered with: no second run begins', async () => {
    const closings: [string, (run: string) => Promise<unknown>][] = [
      [
        'KEY_UNOPENED',
        async (run) => {
          const stop = cancel(run, {});
          await waiting(run, 1);
          await firstStep(run, foreign, null);
          await stop;
        },
      ],
      [
        'STEP_FAILED',
        async (run) => {
          // The second time as after a worker that died before its task was complete: it keeps what the run was closed over.
          await giveUpFirst(run, 'a bug');
          const closed = await getRun(api.database.pool, run);
          await giveUpFirst(run, 'another bug');
          assert.deepEqual((await getRun(api.database.pool, run))?.problem, closed?.problem);
        },
      ],
      [
        'START_REFUSED',
        async (run) => {
          await api.database.asSuperuser(`update run set mode = 'shadow' where id = $1`, [run]);
          // The second time as after a worker that died before its task was complete.
          for (const reason of ['wrong_run', 'closed'])
            assert.deepEqual(await firstStep(run, own, null), { status: 'refused', reason });
        },
      ],
    ];
    for (const [code, close] of closings) {
      const headers = newKey();
      const run = await startUnserved(headers);
      await close(run);
      api.kernel.idle = false;
      await api.kernel.settled();
      await loseAnswer(headers);
      const count = await countRuns();
      const again = await start(headers);
      assert.deepEqual(
        [again.status, again.body.run?.id, again.body.run?.status],
        [201, run, 'failed'],
        code,
      );
      assert.equal(again.body.run.problem.code, code);
      assert.equal(await countRuns(), count);
    }
  });

  it('is told with the submit that came with its start: closed, and no second run begins', async () => {
    const headers = newKey();
    const body = { submit: { transition: 'bank.pay', arguments: { amount: 1 } } };
    api.kernel.idle = true;
    const begun = await start(headers, body);
    assert.deepEqual([begun.status, begun.body.result?.status], [202, 'executing'], begun.text);
    const run: string = begun.body.run.id;
    await firstStep(run, broken, 'a bug');
    api.kernel.idle = false;
    await api.kernel.settled();
    await loseAnswer(headers);
    const count = await countRuns();
    const again = await start(headers, body);
    assert.deepEqual([...codes(again), again.body.run], [409, 'RUN_CLOSED', run], again.text);
    assert.match(again.body.detail, /^the run's first step failed three times in our own code: a bug/);
    assert.equal(await countRuns(), count);
    const polled = await api.ask('agent', 'GET', begun.body.result.poll);
    assert.deepEqual([polled.body.status, polled.body.error.code], ['failed', 'RUN_CLOSED'], polled.text);
  });

  it('is not what a withdrawn start becomes, whatever a worker makes of it later: the next attempt begins a run', async () => {
    const headers = newKey();
    api.kernel.away = true;
    assert.deepEqual(codes(await start(headers)), [503, 'ENGINE_UNAVAILABLE']);
    api.kernel.away = false;
    const { rows } = await api.database.pool.query<{ id: string }>(
      'select id from run order by started_at desc limit 1',
    );
    const run = rows[0]?.id ?? assert.fail();
    await firstStep(run, broken, 'a bug');
    assert.equal((await getRun(api.database.pool, run))?.problem?.code, 'ENGINE_UNAVAILABLE');
    const again = await start(headers);
    assert.deepEqual([again.status, again.body.run?.status], [202, 'running'], again.text);
    assert.notEqual(again.body.run.id, run);
  });
});
