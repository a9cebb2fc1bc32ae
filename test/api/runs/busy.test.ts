import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../testing/until.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

// A refusal of a run that is busy holds only for now: an agent that asks again under its key, as it is told, is done once.

const workflows = {
  work: {
    ...{ owner: 'test', initialState: 'open' },
    states: {
      open: {
        transitions: {
          slow: {
            ...{ target: 'open', tier: 'reversible' },
            executor: { kind: 'cli', connection: 'shell', args: ['sleep 1'] },
          },
          fails: {
            ...{ target: 'open', tier: 'reversible' },
            executor: { kind: 'cli', connection: 'shell', args: ['kill -9 $$'] },
          },
        },
      },
    },
  },
};
const connections = { shell: { kind: 'cli', command: '/bin/sh', args: ['-c'] } };

describe('a submit that is refused because the run is busy', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
    await api.load({
      'connections.json': { version: 1, connections },
      'flows/work.json': { version: 1, workflows },
    });
  });
  after(() => api.stop());

  const start = async (): Promise<string> =>
    (await api.ask('agent', 'POST', '/v1/flows/work/runs', {})).body.run.id;
  const submit = (run: string, key: string, name = 'slow'): Promise<Answer> =>
    api.ask('agent', 'POST', `/v1/runs/${run}/transitions/${name}`, {}, { 'idempotency-key': key });
  const count = async (of: 'message' | 'action', run: string): Promise<number> => {
    const where = of === 'message' ? `kind = 'submit' and` : '';
    const { rows } = await api.database.pool.query<{ count: number }>(
      `select count(*)::int as count from ${of} where ${where} run = $1`,
      [run],
    );
    return rows[0]?.count ?? 0;
  };
  const assertBusy = (answer: Answer): void => {
    assert.deepEqual(codes(answer), [409, 'RUN_BUSY'], answer.text);
    assert.equal(answer.headers.get('retry-after'), '2');
    assert.equal(answer.headers.get('idempotency-replayed'), null);
  };

  it('is done once under the same key once the run has settled, where the store knew', async () => {
    const run = await start();
    const first = submit(run, 'a');
    await until('the effect', async () => (await count('action', run)) === 1);
    assertBusy(await submit(run, 'b'));
    assertBusy(await submit(run, 'b'));
    assert.equal((await first).status, 200);
    const done = await submit(run, 'b');
    assert.equal(done.status, 200, done.text);
    const again = await submit(run, 'b');
    assert.deepEqual([again.status, again.headers.get('idempotency-replayed')], [200, 'true']);
    assert.equal(await count('action', run), 2);
    assert.equal(await count('message', run), 2);
  });

  it('is done once under the same key where the run refused it, also by two repeats at once', async () => {
    const run = await start();
    api.kernel.idle = true;
    const both = [submit(run, 'a'), submit(run, 'b')];
    await until('both are kept', async () => (await count('message', run)) === 2);
    api.kernel.idle = false;
    const answers = await Promise.all(both);
    const at = answers.findIndex(({ status }) => status === 409);
    assert.equal(answers[1 - at]?.status, 200, answers[1 - at]?.text);
    const refused = answers[at];
    assert.ok(refused !== undefined);
    assertBusy(refused);
    const key = at === 0 ? 'a' : 'b';
    const repeats = await Promise.all([submit(run, key), submit(run, key)]);
    const [done, other] = repeats.toSorted((a, b) => a.status - b.status);
    assert.equal(done?.status, 200, done?.text);
    assert.ok(other?.status === 200 || other?.body.code === 'IDEMPOTENCY_IN_PROGRESS', other?.text);
    assert.equal((await submit(run, key)).headers.get('idempotency-replayed'), 'true');
    assert.equal(await count('action', run), 2, 'one effect of each request');
    assert.equal(await count('message', run), 3, 'the refused message, and one more for both repeats');
  });

  it('is told by its poll to take another key, where it was answered 202 before its run refused it', async () => {
    const run = await start();
    api.kernel.idle = true;
    const path = `/v1/runs/${run}/transitions/slow?wait=0`;
    const keys = ['a202', 'b202'];
    const taken = await Promise.all(
      keys.map((key) => api.ask('agent', 'POST', path, {}, { 'idempotency-key': key })),
    );
    assert.deepEqual(
      taken.map(({ status }) => status),
      [202, 202],
    );
    api.kernel.idle = false;
    const polled = async (): Promise<Answer[]> =>
      Promise.all(taken.map(({ body }) => api.ask('agent', 'GET', body.result.poll)));
    await until('both have ended', async () =>
      (await polled()).every(({ body }) => ['executed', 'failed'].includes(body.status)),
    );
    const failed = (await polled()).filter(({ body }) => body.status === 'failed');
    assert.equal(failed.length, 1);
    assert.match(
      failed[0]?.body.error.message,
      /; nothing came of this: where it was sent under an Idempotency-Key, ask again under another/,
    );
  });

  it('says of a run that is stuck that the answer is kept under the key', async () => {
    const run = await start();
    await submit(run, 'a', 'fails');
    await until('it is stuck', async () => {
      const { body } = await api.ask('agent', 'GET', `/v1/runs/${run}`);
      return body.run.status === 'stuck';
    });
    const refused = await submit(run, 'b');
    assert.deepEqual(codes(refused), [409, 'RUN_STUCK'], refused.text);
    assert.match(
      refused.body.detail,
      /; this answer is kept under its Idempotency-Key: to ask again, take another$/,
    );
    assert.equal(refused.headers.get('retry-after'), null);
    const { body } = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/slow`, {});
    assert.doesNotMatch(body.detail, /Idempotency-Key/);
  });
});
