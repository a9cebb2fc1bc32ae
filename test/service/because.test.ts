import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { describe, it } from 'node:test';
import type { Pool } from '../../src/db/index.js';
import { makeExplain } from '../../src/service/approvals/body/because.js';
import type { Reader } from '../../src/service/runs/document.js';
import type { ApprovalRow } from '../../src/store/approvals/approvals.js';

// What it costs to say why approvals were asked for. Looks and statements are counted; no time is measured.

interface Store {
  readonly pool: Pool;
  /** For each statement, how many sources it asked for. */
  readonly asked: number[];
  /** The most statements at the same time. */
  mostAtOnce(): number;
}

/** Each version has its gate in another line: version 1 in line 3. */
function storeOfTexts(): Store {
  const asked: number[] = [];
  let now = 0;
  let most = 0;
  const query = async (
    _sql: string,
    [names, versions]: readonly [readonly string[], readonly number[]],
  ): Promise<object> => {
    asked.push(names.length);
    most = Math.max(most, (now += 1));
    await setImmediate();
    now -= 1;
    const text = (version: number): string => `${'\n'.repeat(version)}gates:\n  - on: amount > 1\n`;
    return {
      rows: versions.map((version, index) => ({ name: names[index], version, source: text(version) })),
    };
  };
  return { pool: { query } as unknown as Pool, asked, mostAtOnce: () => most };
}

interface Noted {
  readonly row: ApprovalRow;
  /** How often the rules of an approval were read, and how often they were looked for in a source. */
  readonly seen: { looks: number; located: number };
}

function approvalOf(flowVersion: number, flow = 'pay'): Noted {
  const seen = { looks: 0, located: 0 };
  const place = ['gates', 0];
  const path = Object.assign([...place], {
    [Symbol.iterator]: () => {
      seen.located += 1;
      return place[Symbol.iterator]();
    },
  });
  const doc = {
    flowVersion,
    get asked() {
      seen.looks += 1;
      return [{ source: 'policy', rule: 'amount > 1', reason: null, path }];
    },
  };
  return { row: { flow, doc } as unknown as ApprovalRow, seen };
}

const reader = (pool: Pool, id = 'p'): Reader => ({
  deps: { pool },
  principal: { id, kind: 'human', roles: [], permissions: [] },
});
const versions = (count: number): Noted[] => Array.from({ length: count }, (_, n) => approvalOf(n + 1));
const rowsOf = (noted: readonly Noted[]): ApprovalRow[] => noted.map(({ row }) => row);

describe('why approvals are asked for', () => {
  it('is said by the text of the version of each, of which eight are read at a time', async () => {
    const noted = [...versions(60), approvalOf(7, 'other')];
    const { pool, asked } = storeOfTexts();
    const explain = await makeExplain(reader(pool), rowsOf(noted));
    assert.deepEqual(
      noted.map(({ row }) => explain(row)[0]?.line),
      [...Array.from({ length: 60 }, (_, n) => n + 3), 9],
    );
    assert.deepEqual(asked, [8, 8, 8, 8, 8, 8, 8, 5]);
  });

  it('takes a few looks at each approval, of however many versions they are', async () => {
    const noted = versions(60);
    await makeExplain(reader(storeOfTexts().pool), rowsOf(noted));
    for (const { seen } of noted) assert.ok(seen.looks <= 6, `${seen.looks} looks`);
  });

  it('is looked for in a text once, for however many approvals the same rules ask', async () => {
    const noted = Array.from({ length: 60 }, () => approvalOf(1));
    const { pool, asked } = storeOfTexts();
    const explain = await makeExplain(reader(pool), rowsOf(noted));
    assert.deepEqual(new Set(noted.map(({ row }) => explain(row)[0]?.line)), new Set([3]));
    assert.deepEqual(asked, [1]);
    assert.equal(
      noted.reduce((sum, { seen }) => sum + seen.located, 0),
      1,
    );
  });

  it('is read for two answers at a time, however many are asked for', async () => {
    const { pool, mostAtOnce } = storeOfTexts();
    const all = await Promise.all(
      Array.from({ length: 10 }, (_, n) => makeExplain(reader(pool, `p${n}`), rowsOf(versions(20)))),
    );
    assert.deepEqual([all.length, mostAtOnce()], [10, 2]);
  });
});
