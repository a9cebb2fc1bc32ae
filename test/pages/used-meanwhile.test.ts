import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startApi, type Harness } from '../api/harness.js';
import { until } from '../../testing/flows.js';

describe('a click on a link that is used, by which nothing is decided yet', () => {
  let api: Harness;
  let behindMs = 0;
  /** How often anybody looked for a link. */
  let looks = 0;
  before(async () => {
    api = await startApi((deps) => {
      const query = (text: string, values: unknown[]): unknown => {
        if (text.includes('from approval_link l where l.hash')) looks += 1;
        return deps.pool.query(text, values);
      };
      const pool = Object.assign(Object.create(deps.pool) as typeof deps.pool, { query });
      return { ...deps, pool, now: () => new Date(deps.now().getTime() - behindMs) };
    });
  });
  after(() => api.stop());

  /** The address of a link that somebody has just used. */
  async function usedLink(): Promise<string> {
    behindMs = 0;
    const run: string = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id;
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const asked = await api.ask('agent', 'POST', path, { arguments: { amount: 150 } });
    const approval: string = asked.body.result.approval.id;
    const made = await api.ask('finance', 'POST', `/v1/approvals/${approval}/links`, { minutes: 5 });
    assert.equal(made.status, 201, made.text);
    await api.database.pool.query('update approval_link set used_at = now() where id = $1', [made.body.id]);
    behindMs = 3_600_000;
    looks = 0;
    return `${api.url}${String(made.body.path)}`;
  }

  it('is answered after so many looks, though the clock of the API is behind', async () => {
    const answer = await fetch(await usedLink());
    assert.equal(answer.status, 403);
    assert.match(await answer.text(), /this link was used/);
    assert.ok(looks > 2 && looks <= 60, `${looks}`);
  });

  it('looks no more where whoever clicked has gone', async () => {
    const leaving = new AbortController();
    const clicked = fetch(await usedLink(), { signal: leaving.signal });
    await until('it to look', () => Promise.resolve(looks > 2));
    leaving.abort();
    await assert.rejects(clicked);
    await until('it to be on record', async () => {
      const records = (await api.ask('auditor', 'GET', '/v1/audit?type=api.called&limit=500')).body.data;
      return records.some(({ data }: any) => data.route === '/links/{token}' && data.status === 499);
    });
    assert.ok(looks <= 30, `${looks}`);
  });
});
