import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { appendRun } from '../../../src/audit/index.js';
import { withTransaction } from '../../../src/db/index.js';
import { mostAnswerBytes } from '../../../src/model/limits.js';
import { getRun } from '../../../src/store/runs/runs.js';
import { scopeOf } from '../../../src/activities/execute/attempt-facts.js';
import { fact } from '../../audit/facts.js';
import { startApi, type Harness } from '../harness.js';

describe('an answer is no larger than this service carries', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());
  const large = 900_000;

  async function park(run: string, currency: string): Promise<string> {
    const asked = await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
      arguments: { amount: 500, currency },
    });
    assert.equal(asked.status, 202, asked.text);
    return asked.body.result.approval.id as string;
  }
  const start = async (): Promise<string> =>
    (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id as string;

  it('so a page of approvals ends where they are too many bytes, and the next goes on behind it', async () => {
    const asked: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      const run = await start();
      for (let m = 0; m < 3; m += 1) asked.push(await park(run, String(m).repeat(large)));
      asked.push(await park(run, 'EUR'));
    }
    for (const query of ['limit=500', 'limit=500&order=age', 'limit=500&mine=true', 'limit=3']) {
      const listed: string[] = [];
      let pages = 0;
      for (let cursor = ''; ; pages += 1) {
        const page = await api.ask('finance', 'GET', `/v1/approvals?status=open&${query}${cursor}`);
        assert.ok(page.body.data.length > 0);
        assert.ok(page.text.length < mostAnswerBytes + 100_000, `${page.text.length} bytes`);
        for (const { id, arguments: given } of page.body.data) {
          assert.ok(given.currency.length > 0);
          listed.push(id as string);
        }
        if (page.body.nextCursor === null) break;
        cursor = `&cursor=${page.body.nextCursor as string}`;
      }
      assert.deepEqual(listed, asked, query);
      assert.ok(pages >= 2 && pages <= 3, `${pages + 1} pages of ${query}`);
    }
  });

  it('so a reconstruction names the values that are too many bytes, and misses none of them', async () => {
    const run = await start();
    for (let n = 0; n < 6; n += 1)
      await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.pay`, {
        arguments: { amount: 1, currency: String(n).repeat(large) },
        trace: { prompt: `pay ${n}`, response: 'paid' },
      });
    const path = `/v1/runs/${run}/reconstruction`;
    const { body, text } = await api.ask('auditor', 'GET', path);
    assert.ok(text.length < mostAnswerBytes + 100_000, `${text.length} bytes`);
    const told = body.actions.map((action: any) => [
      action.input?.currency.length ?? null,
      action.omitted?.map(({ part, bytes }: { part: string; bytes: number }) => [part, bytes]) ?? null,
    ]);
    const bytes = JSON.stringify({ amount: 1, currency: '0'.repeat(large) }).length;
    assert.deepEqual(told, [
      ...Array<unknown>(4).fill([large, null]),
      ...Array<unknown>(2).fill([null, [['input', bytes]]]),
    ]);
    assert.deepEqual([body.omitted, body.complete, body.actions[5].prompt], [2, true, 'pay 5']);
    const { rows } = await api.database.asSuperuser('select commit from payload where id = $1', [
      body.actions[5].omitted[0].payload,
    ]);
    assert.deepEqual(rows, [{ commit: body.actions[5].omitted[0].commit }]);
    await api.database.asSuperuser('update payload_key set wrapped = null where run = $1', [run]);
    const erased = (await api.ask('auditor', 'GET', path)).body;
    assert.deepEqual([erased.omitted, erased.complete], [undefined, false]);
    assert.ok(erased.actions[5].missing.includes('input'));
  });

  it('so neither a page of records nor a reconstruction is, whatever its guards have read', async () => {
    const run = await start();
    const row = await getRun(api.database.pool, run);
    assert.ok(row);
    const reads = Array.from({ length: 25 }, (_, n) => ({
      path: `$.arguments.${n}`,
      value: 'x'.repeat(1_900),
    }));
    const count = 120;
    const guards = Array.from({ length: count }, (_, n) =>
      fact(`guard ${n}`, {
        type: 'guard.evaluated',
        action: { transition: 'bank.pay' },
        policy: { rule: `guard ${n}`, verdict: 'fail', reason: 'too much' },
        data: { index: n, reads },
      }),
    );
    const asked = fact('asked', { type: 'transition.requested', action: { transition: 'bank.pay' } });
    await withTransaction(api.database.pool, (tx) => appendRun(tx, scopeOf(row), [asked, ...guards]));
    const rebuilt = await api.ask('auditor', 'GET', `/v1/runs/${run}/reconstruction`);
    assert.ok(rebuilt.text.length < mostAnswerBytes + 100_000, `${rebuilt.text.length} bytes`);
    const { policy } = rebuilt.body.actions.at(-1);
    const whole = policy.filter((verdict: any) => verdict.reads !== undefined);
    assert.equal(policy.length, count);
    assert.ok(whole.length > 50 && whole.length < count, `${whole.length} with what they read`);
    assert.equal(rebuilt.body.omitted, count - whole.length);
    const last = policy.at(-1);
    assert.deepEqual([last.rule, last.verdict, last.reason], ['guard 119', 'fail', 'too much']);

    const listed: string[] = [];
    let pages = 0;
    for (let cursor = ''; ; pages += 1) {
      const page = await api.ask('auditor', 'GET', `/v1/runs/${run}/audit?limit=500${cursor}`);
      assert.ok(page.text.length < mostAnswerBytes + 100_000, `${page.text.length} bytes`);
      listed.push(...page.body.data.map((item: any) => item.id as string));
      if (page.body.nextCursor === null) break;
      cursor = `&cursor=${page.body.nextCursor as string}`;
    }
    assert.ok(pages >= 1 && listed.includes(last.record));
    assert.equal(new Set(listed).size, listed.length);
    assert.ok(listed.length > count);
  });
});
