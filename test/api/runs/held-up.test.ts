import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { mostUnanswered } from '../../../src/model/limits.js';
import { holdRun } from '../../../testing/servers/locks.js';
import { until } from '../../../testing/until.js';
import { codes, startApi, type Harness } from '../harness.js';

describe('a run that is held up', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());
  const start = async (): Promise<string> =>
    (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;

  it('is no matter of those who ask for another; who asks it waits, or is told that too many do', async () => {
    const [run, other] = [await start(), await start()];
    const lock = await holdRun(api.database.url, run);
    const path = (id: string): string => `/v1/runs/${id}/transitions/nothing`;
    const more = 10;
    const asked = Array.from({ length: mostUnanswered + 1 + more }, () =>
      api.ask('agent', 'POST', path(run), {}),
    );
    let told = 0;
    for (const answer of asked) void answer.then(() => (told += 1));
    await until('refusals at the door', () => told === more || null, 10_000);
    for (const as of ['employee', 'auditor', 'agent']) {
      const read = await api.ask(as, 'GET', '/v1/runs');
      assert.equal(read.status, 200, read.text);
    }
    assert.equal((await api.ask('agent', 'GET', `/v1/runs/${run}`)).status, 200);
    assert.notEqual((await api.ask('agent', 'POST', path(other), {})).status, 503);
    assert.equal(told, more);
    await lock.release();
    const answers = await Promise.all(asked);
    const busy = answers.filter(({ status }) => status === 429);
    assert.equal(busy.length, more);
    assert.deepEqual(
      [...new Set(busy.map((answer) => `${codes(answer).join()} ${answer.headers.get('retry-after')}`))],
      ['429,RATE_LIMITED 2'],
    );
    assert.match(busy[0]?.body.detail, /50 requests of this kind wait already/);
    assert.deepEqual(answers.filter(({ status }) => status >= 500).map(codes), []);
  });
});
