import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { makePool, type Pool } from '../../../src/db/index.js';
import { makeTarget, type Target } from '../../activities/execute/target.js';
import { startRun, submit, until } from '../../../testing/flows.js';
import { payFlow } from '../../../testing/policies.js';
import { joinStack } from '../../../testing/servers/joint-stack.js';
import { inCampaignsUnless } from '../../../testing/samples.js';
import type { Stack } from '../../../testing/servers/stack.js';

// A target that asks to be left alone for a while: whoever polls the action is told when it is called again.

const flow = payFlow({
  executor: { kind: 'rest', connection: 'busy', method: 'POST', path: '/pay', idempotencyKey: true },
  reliability: { retry: { maxAttempts: 3, backoff: 'fixed', initialDelayMs: 100, maxDelayMs: 3_600_000 } },
});

interface Polled {
  readonly status: string;
  readonly callUnderWay?: boolean;
  readonly nextAttemptAt?: string;
}

let target: Target;
const joint = joinStack(async () => {
  target = await makeTarget();
  const connections = { busy: { kind: 'rest', baseUrl: target.url, allowPrivate: true } };
  return {
    policies: {
      'connections.yaml': JSON.stringify({ connections }),
      'flows/pay.yaml': JSON.stringify({ workflows: { tried: flow } }),
    },
  };
});

describe('the action of a call that is to be tried again', () => {
  let stack: Stack;
  let pool: Pool;
  const answers: Promise<unknown>[] = [];
  before(async () => {
    stack = await joint();
    pool = makePool({ url: stack.databaseUrl, applicationName: 'test', max: 2 });
  });
  after(async () => {
    await Promise.all(answers);
    await pool.end();
    await target.close();
  });

  const busy = (status: number, seconds: number) => ({ status, headers: { 'retry-after': String(seconds) } });
  const paying = async (): Promise<{ run: string; poll: () => Promise<Polled> }> => {
    const started = await startRun(stack, 'agent', 'tried', {});
    // Its answer waits for the effect as long as a request may: nobody waits for it here.
    const asked = submit(stack, 'agent', started.run.id, 'pay');
    const id = await until('the action', async () => {
      const { rows } = await pool.query<{ id: string }>('select id from action where run = $1', [
        started.run.id,
      ]);
      return rows[0]?.id;
    });
    answers.push(asked);
    const poll = async (): Promise<Polled> => {
      const found = await stack.fetchAs('agent', 'GET', `/v1/actions/${id}`);
      assert.equal(found.status, 200, JSON.stringify(found.body));
      return found.body as Polled;
    };
    return { run: started.run.id, poll };
  };
  const waiting = (poll: () => Promise<Polled>): Promise<Polled> =>
    until('the wait', async () => {
      const found = await poll();
      // For a moment the call that has just ended is still told too.
      return found.nextAttemptAt === undefined || found.callUnderWay === true ? null : found;
    });
  const secondsAhead = (from: number, { nextAttemptAt }: Polled): number =>
    (Date.parse(nextAttemptAt ?? '') - from) / 1_000;

  for (const status of [503, 429])
    it(
      `says when while it waits after a ${status}, nothing of it during the next call, and none of both after it`,
      inCampaignsUnless(status === 503),
      async () => {
        let answer = (_status: number): void => undefined;
        target.say(busy(status, 8), new Promise<number>((resolve) => (answer = resolve)));
        const from = Date.now();
        const { poll } = await paying();
        const wait = await waiting(poll);
        assert.equal(wait.status, 'executing');
        assert.equal(wait.callUnderWay, false);
        // As far ahead as the target asked, from whenever its answer came.
        assert.ok(secondsAhead(from, wait) >= 8, JSON.stringify(wait));
        assert.equal(target.requests.length, 1);
        await until('the second call', async () => Promise.resolve(target.requests.length === 2));
        assert.ok(Date.now() >= Date.parse(wait.nextAttemptAt ?? ''), 'it was called before its time');
        const during = await poll();
        assert.deepEqual(
          [during.status, during.callUnderWay, during.nextAttemptAt],
          ['executing', true, undefined],
        );
        answer(200);
        const done = await until('the end', async () => {
          const found = await poll();
          return found.status === 'executing' ? null : found;
        });
        assert.deepEqual(
          [done.status, done.callUnderWay, done.nextAttemptAt],
          ['executed', undefined, undefined],
        );
        assert.equal(target.requests.length, 2);
      },
    );

  it('says a time of an hour ahead, and a cancel ends the wait', async () => {
    target.say(busy(503, 3_600));
    const from = Date.now();
    const { run, poll } = await paying();
    const wait = await waiting(poll);
    assert.ok(secondsAhead(from, wait) >= 3_600, JSON.stringify(wait));
    const cancelled = await stack.fetchAs('admin', 'POST', `/v1/runs/${run}/cancel`, {
      reason: 'not needed',
    });
    assert.ok([200, 202].includes(cancelled.status), JSON.stringify(cancelled.body));
    const done = await until('the end', async () => {
      const found = await poll();
      return found.status === 'executing' ? null : found;
    });
    assert.deepEqual([done.callUnderWay, done.nextAttemptAt], [undefined, undefined]);
    const { body } = await stack.fetchAs('admin', 'GET', `/v1/runs/${run}`);
    assert.equal(body.run.status, 'cancelled');
    assert.equal(target.requests.length, 1);
  });
});
