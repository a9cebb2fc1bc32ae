import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { RightsChanged } from '../../src/auth/index.js';
import { changerOf } from '../../testing/rights.js';
import type { Pool } from '../../src/db/index.js';
import { reconstruct } from '../../src/service/audit/reconstruction.js';
import { makeExplain } from '../../src/service/approvals/body/because.js';
import type { Caller } from '../../src/service/caller.js';
import { keepInShare } from '../../src/service/changes.js';
import { withDocument, type Reader } from '../../src/service/runs/document.js';
import { makeFairTurns } from '../../src/service/seats.js';
import type { ApprovalRow } from '../../src/store/approvals/approvals.js';
import type { ListedRun } from '../../src/store/runs/runs.js';

// A process reads the values of only a few large answers at a time, and each principal has a share of them.

/** A store that answers nothing until `open`. It counts the statements at the same time, and by whom. */
interface Held {
  readonly pool: (by: string) => Pool;
  open(): void;
  readonly most: { all: number; readonly of: Map<string, number> };
}

function holdAnswers(): Held {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const now = new Map<string, number>();
  const most = { all: 0, of: new Map<string, number>() };
  const count = (by: string, more: number): void => {
    now.set(by, (now.get(by) ?? 0) + more);
    most.of.set(by, Math.max(most.of.get(by) ?? 0, now.get(by) ?? 0));
    const all = [...now.values()].reduce((sum, count) => sum + count, 0);
    most.all = Math.max(most.all, all);
  };
  const pool = (by: string): Pool => {
    const query = async (): Promise<object> => {
      count(by, 1);
      await opened;
      count(by, -1);
      return { rows: [] };
    };
    return { query } as unknown as Pool;
  };
  return { pool, open: () => open(), most };
}

const answering = { query: () => Promise.resolve({ rows: [] }) } as unknown as Pool;

type Asking = Reader & Pick<Caller, 'principal'>;

const asking = (id: string, pool: Pool): Asking => ({
  deps: { pool },
  principal: { id, kind: 'agent', roles: [], permissions: [] },
});

const approval = {
  flow: 'pay',
  doc: { flowVersion: 1, asked: [{ source: 'charter', rule: 'gate', reason: null, path: ['gates', 0] }] },
} as unknown as ApprovalRow;

const kinds: readonly {
  readonly name: string;
  readonly each: number;
  readonly all: number;
  readonly read: (asker: Asking) => Promise<unknown>;
}[] = [
  {
    name: 'the document of a run',
    each: 2,
    all: 8,
    read: (asker) => withDocument(asker, 'run_1', (_row, document) => document),
  },
  { name: 'the texts of flows', each: 1, all: 2, read: (asker) => makeExplain(asker, [approval]) },
  {
    name: 'the record of a run',
    each: 1,
    all: 4,
    read: (asker) => reconstruct(asker as Asking & Caller, { id: 'run_1', traceId: 'trc_1' } as ListedRun),
  },
];

for (const { name, each, all, read } of kinds)
  describe(`who reads ${name}`, () => {
    it('waits for nobody who asks for it two hundred times at once', { timeout: 60_000 }, async () => {
      const { pool, open, most } = holdAnswers();
      const flood = Array.from({ length: 200 }, () => read(asking('agent', pool('agent'))));
      await read(asking('finance', answering));
      open();
      await Promise.all(flood);
      assert.deepEqual(most, { all: each, of: new Map([['agent', each]]) });
    });

    it(`is one of ${all} at a time, however many ask`, { timeout: 60_000 }, async () => {
      const { pool, open, most } = holdAnswers();
      const people = Array.from({ length: 30 }, (_, n) => `colleague ${n}`);
      const asked = people.map((id) => read(asking(id, pool(id))));
      await setImmediate();
      open();
      await Promise.all(asked);
      assert.equal(most.all, all);
    });
  });

describe('turns that principals share', () => {
  it('are given to each in the order in which it asked, and to the service as to anybody', async () => {
    const turns = makeFairTurns({ each: 1, all: 2 });
    const order: string[] = [];
    const asked = ['a1', 'a2', 'a3', 'b1', 'b2', 'the service'].map((name) =>
      turns(name === 'the service' ? null : name.slice(0, 1), async () => {
        await setImmediate();
        order.push(name);
      }),
    );
    await Promise.all(asked);
    assert.deepEqual(
      order.filter((name) => name.startsWith('a')),
      ['a1', 'a2', 'a3'],
    );
    assert.ok(order.indexOf('the service') < order.indexOf('a3'), order.join());
    assert.ok(order.indexOf('b1') < order.indexOf('a2'), order.join());
  });

  it('go on after one that failed', async () => {
    const turns = makeFairTurns({ each: 1, all: 1 });
    const failed = turns('ann', () => Promise.reject(new Error('the store is away')));
    const next = turns('ann', () => Promise.resolve('next'));
    await assert.rejects(failed, /the store is away/);
    assert.equal(await next, 'next');
  });
});

describe('what callers change', () => {
  it('is kept in five transactions at a time, and in two of each principal, however many ask', async () => {
    const { pool, open, most } = holdAnswers();
    const ids = Array.from({ length: 30 }, (_, n) => (n < 15 ? 'busy' : `colleague ${n}`));
    const changes = ids.map((id) => keepInShare(changerOf(id), () => pool(id).query('insert')));
    await setImmediate();
    open();
    await Promise.all(changes);
    assert.deepEqual([most.all, most.of.get('busy')], [5, 2]);
  });

  it('takes no connection for somebody who has other rights by then', async () => {
    const rights = { areStale: () => true, areSame: () => Promise.resolve(false) };
    const keep = (): Promise<never> => assert.fail('a transaction is begun');
    await assert.rejects(keepInShare({ ...changerOf('leaver'), rights }, keep), RightsChanged);
  });
});
