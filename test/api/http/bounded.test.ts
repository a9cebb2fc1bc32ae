import assert from 'node:assert/strict';
import { setMaxListeners } from 'node:events';
import { after, before, describe, it } from 'node:test';
import type { ApiDeps } from '../../../src/api/index.js';
import { makeFeed } from '../../../src/service/index.js';
import { makeShared } from '../../../src/service/seats.js';
import type { Pool } from '../../../src/db/index.js';
import { until } from '../../../testing/until.js';
import { startApi, type Harness } from '../harness.js';

/** A pool that shows `see` each statement and then its rows. */
function watched(pool: Pool, see: (text: string) => (rows: unknown) => void): Pool {
  const query = async (text: string, values: unknown[]): Promise<unknown> => {
    const done = see(text);
    const result = await pool.query(text, values);
    done(result.rows);
    return result;
  };
  return new Proxy(pool, { get: (of, name) => (name === 'query' ? query : Reflect.get(of, name)) });
}

describe('what one caller can cost', () => {
  let api: Harness;
  const errors: string[] = [];
  let see: (text: string) => (rows: unknown) => void = () => () => undefined;
  before(async () => {
    api = await startApi((deps) => ({
      ...deps,
      pool: watched(deps.pool, (text) => see(text)),
      onInternalError: (what, error) => void errors.push(`${what}: ${String(error)}`),
      client: { ...deps.client, history: () => Promise.reject(new TypeError('our own mistake')) },
    }));
  });
  after(() => api.stop());

  it('a flow is read without the text of its versions', async () => {
    const marker = 'said-in-each-version';
    for (const version of [2, 3])
      await api.database.pool.query(
        `insert into flow_version (name, version, hash, plan_hash, environment, definition, source, owner, description, warnings, published_by)
         select name, $1, hash, plan_hash, environment, definition, $2, owner, 'short', warnings, published_by
           from flow_version where name = 'form' and version = 1`,
        [version, `${marker} ${version}`],
      );
    let read = '';
    see = () => (rows) => void (read += JSON.stringify(rows));
    const { body } = await api.ask('admin', 'GET', '/v1/flows/form');
    see = () => () => undefined;
    assert.deepEqual([body.owner, body.description], ['team', 'short']);
    assert.deepEqual(
      body.versions.map(({ version }: { version: number }) => version),
      [3, 2, 1],
    );
    assert.ok(read.includes(body.versions[0].hash as string));
    assert.ok(!read.includes(marker), 'no text of a version was read');
  });

  it('streams of one principal that read the log from its beginning read one after the other', async () => {
    const deps: ApiDeps = api.deps;
    for (let n = 0; n < 30; n += 1) await api.ask('agent', 'GET', '/v1/whoami');
    let [now, most] = [0, 0];
    const pool = watched(deps.pool, (text) => {
      const counts = text.includes('from audit_log l join');
      if (counts) most = Math.max(most, (now += 1));
      return () => {
        if (counts) now -= 1;
      };
    });
    const feed = await makeFeed({ pool, listen: () => Promise.resolve({ close: () => Promise.resolve() }) });
    const signal = AbortSignal.timeout(20_000);
    setMaxListeners(0, signal);
    await until('a log with an index', async () => ((await feed.size()) > 5 ? true : null), 20_000);
    const followers = Array.from({ length: 20 }, () => feed.follow(-1, 'greedy'));
    const pieces = await Promise.all(followers.map((follower) => follower.next(signal)));
    assert.ok(pieces.every((piece) => piece[0]?.index === 0));
    assert.ok(most >= 1 && most <= 2, `one reader of it, and one of the tail: ${most}`);
    for (const follower of followers) follower.leave();
    await feed.close();
  });

  it('one principal has so many long polls at one run and no more; who comes then is answered as things stand', async () => {
    const run: string = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id;
    const path = `/v1/runs/${run}/transitions/bank.pay`;
    const parked = await api.ask('agent', 'POST', path, { arguments: { amount: 500 } });
    const { poll, approval } = parked.body.result;
    const { longPolls } = api.deps.feed;
    const waiting = Array.from({ length: 30 }, () => api.ask('agent', 'GET', `${poll}?wait=20`));
    let answered = 0;
    for (const asking of waiting) void asking.then(() => (answered += 1));
    await until('those without a seat', () => Promise.resolve(answered === 10 || null), 15_000);
    assert.equal(longPolls.taken(), 20);
    const decision = { decision: 'approve', digest: approval.digest, reason: 'seen' };
    await api.ask('finance', 'POST', `/v1/approvals/${approval.id}/decision`, decision);
    const all = await Promise.all(waiting);
    assert.equal(all.filter(({ body }) => body.status === 'executed').length, 20);
    assert.ok(
      all.every(
        ({ status, body, headers }) =>
          status === 200 && (body.status === 'executed' || headers.get('retry-after') !== null),
      ),
    );
    assert.equal(longPolls.taken(), 0);
  });

  it('what many look for at once is looked for once more, and never with an older answer', async () => {
    const shared = makeShared();
    const gates: (() => void)[] = [];
    let begun = 0;
    const ask = (): Promise<number> =>
      shared('the same', () => {
        const mine = (begun += 1);
        return new Promise((resolve) => gates.push(() => resolve(mine)));
      });
    const first = ask();
    const others = Array.from({ length: 50 }, ask);
    gates.shift()?.();
    assert.equal(await first, 1);
    await until('the second asking', () => Promise.resolve(gates.length > 0 || null), 1_000);
    const late = ask();
    gates.shift()?.();
    assert.deepEqual([...new Set(await Promise.all(others))], [2]);
    await until('the third asking', () => Promise.resolve(gates.length > 0 || null), 1_000);
    gates.shift()?.();
    assert.equal(await late, 3);
    await assert.rejects(
      shared('that fails', () => Promise.reject(new Error('away'))),
      /away/,
    );
    assert.equal(await shared('that fails', () => Promise.resolve(4)), 4);
  });

  it('an answer 500 is counted as what failed in our own code', async () => {
    const run: string = (await api.ask('agent', 'POST', '/v1/flows/pay/runs', {})).body.run.id;
    const before = errors.length;
    const answer = await api.ask('auditor', 'GET', `/v1/runs/${run}/history`);
    assert.equal(answer.status, 500);
    assert.deepEqual(errors.slice(before).length, 1);
    assert.match(errors.at(-1) ?? '', new RegExp(`^${answer.body.traceId}: GET .*our own mistake`));
  });
});
