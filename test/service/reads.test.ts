import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { approvalsQuery } from '../../src/model/contract/api.js';
import type { Caller } from '../../src/service/caller.js';
import { listInbox } from '../../src/service/inbox/inbox.js';
import { startRun } from '../../src/service/runs/start.js';
import { stateWithoutValues, type RunDocument } from '../../src/store/runs/document.js';
import { noteStatements } from '../../testing/servers/statements.js';
import { callerOf, makeGround, taken, type Ground } from './callers.js';

const size = 50;

describe('what a page of the inbox asks of the store', () => {
  let ground: Ground;
  before(async () => {
    ground = await makeGround();
    for (let left = size; left > 0; left -= 10)
      await Promise.all(Array.from({ length: 10 }, (_, n) => park(200 + left + n)));
  });
  after(() => ground.stop());

  async function park(amount: number): Promise<void> {
    const submit = { transition: 'bank.pay', arguments: { amount } };
    assert.equal(
      taken(await startRun(await callerOf(ground, 'agent'), 'pay', { submit }, 20)).kind,
      'pending',
    );
  }

  async function asked(
    limit: number,
    more: object = {},
  ): Promise<{ found: number; texts: readonly string[] }> {
    const caller = await callerOf(ground, 'finance');
    const { pool, statements } = noteStatements(ground.database.pool);
    const noted: Caller = { ...caller, deps: { ...caller.deps, pool } };
    const page = taken(await listInbox(noted, approvalsQuery.parse({ limit: String(limit), ...more })));
    for (const approval of page.data)
      assert.ok(typeof approval.arguments['amount'] === 'number' && approval.reason !== null);
    return { found: page.data.length, texts: statements.map(({ text }) => text) };
  }

  for (const more of [{ status: 'open' }, { mine: 'true' }, { order: 'age' }, { tier: 'reversible' }])
    it(`is as many statements for ${size} approvals as for one: ${JSON.stringify(more)}`, async () => {
      const [single, many] = [await asked(1, more), await asked(size, more)];
      assert.deepEqual([single.found, many.found], [1, size]);
      assert.deepEqual(many.texts.length, single.texts.length, many.texts.join('\n'));
      assert.ok(many.texts.length <= 12, many.texts.join('\n'));
    });

  it('is what the runs’ documents have of their approvals, which rows have too', async () => {
    const { rows } = await ground.database.pool.query<{ id: string; state: object | null; doc: string }>(
      'select a.id, case when a.state_at = a.updated_at then a.state end as state, r.doc from approval a join run r on r.id = a.run',
    );
    assert.equal(rows.length, size);
    for (const { id, state, doc } of rows) {
      const document = stateWithoutValues(JSON.parse(doc) as RunDocument);
      assert.deepEqual(
        state,
        document.approvals.find((approval) => approval.id === id),
      );
    }
  });

  it('is the document, where a row of before says nothing of it', async () => {
    const { pool } = ground.database;
    const { rows } = await pool.query<{ id: string }>(
      'update approval set state_at = null where id = (select min(id) from approval) returning id',
    );
    const page = taken(
      await listInbox(await callerOf(ground, 'finance'), approvalsQuery.parse({ mine: 'true' })),
    );
    const found = page.data.find(({ id }) => id === rows[0]?.id);
    assert.deepEqual(found?.may, { decide: true, verbs: ['approve', 'deny'], why: null, message: null });
    await pool.query('update approval set state_at = updated_at');
  });

  const first = approvalsQuery.parse({ limit: '1' });

  /** Lists that read from the store, or wait for their turn. */
  async function beginLists(callers: readonly Caller[]): Promise<ReturnType<typeof listInbox>[]> {
    const begun: Promise<void>[] = [];
    const lists = callers.map((caller) => {
      const { policies } = caller.deps;
      let begin = (): void => undefined;
      begun.push(new Promise((resolve) => (begin = resolve)));
      const policySet: typeof policies.policySet = async () => {
        const found = await policies.policySet();
        begin();
        return found;
      };
      return listInbox({ ...caller, deps: { ...caller.deps, policies: { ...policies, policySet } } }, first);
    });
    await Promise.all(begun);
    await setImmediate();
    return lists;
  }

  it('waits for no list of another principal, however many those are', { timeout: 60_000 }, async () => {
    const { pool } = ground.database;
    const [finance, agent] = await Promise.all(['finance', 'agent'].map((name) => callerOf(ground, name)));
    assert.ok(finance !== undefined && agent !== undefined);
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const ask = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
    const slow = { query: (...args: unknown[]) => opened.then(() => ask(...args)) } as unknown as typeof pool;
    const caller = { ...agent, deps: { ...agent.deps, pool: slow } };
    const held = await beginLists(Array.from({ length: 10 }, () => caller));
    assert.equal(taken(await listInbox(finance, first)).data.length, 1);
    open();
    for (const page of await Promise.all(held)) taken(page);
  });

  it('waits for no list for whose rows documents of runs are read', { timeout: 60_000 }, async () => {
    const { pool } = ground.database;
    await pool.query('update approval set state_at = null');
    const finance = await callerOf(ground, 'finance');
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const ask = pool.query.bind(pool) as (...args: unknown[]) => Promise<unknown>;
    const query = (text: string, values: unknown): Promise<unknown> =>
      /\br\.doc\b/.test(text) ? opened.then(() => ask(text, values)) : ask(text, values);
    const deps = { ...finance.deps, pool: { query } as unknown as typeof pool };
    // More lists than may read rows at a time, and fewer than may read documents.
    const colleague = (n: number): Caller => ({
      ...{ ...finance, principal: { ...finance.principal, id: `colleague ${n}` }, deps },
    });
    const held = await beginLists(Array.from({ length: 7 }, (_, n) => colleague(n)));
    assert.equal(taken(await listInbox(finance, first)).data.length, 1);
    open();
    for (const page of await Promise.all(held)) assert.equal(taken(page).data.length, 1);
    await pool.query('update approval set state_at = updated_at');
  });

  it('is no document of a run', async () => {
    const { texts } = await asked(size, { mine: 'true' });
    assert.ok(texts.every((text) => !/\br\.doc\b/.test(text)));
  });
});
