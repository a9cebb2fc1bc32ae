import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { describe, it } from 'node:test';
import type { Pool } from '../../src/db/index.js';
import { readApprovals } from '../../src/service/approvals/look.js';
import type { Reader } from '../../src/service/runs/document.js';
import type { ApprovalRow } from '../../src/store/approvals/approvals.js';

interface Store {
  readonly pool: Pool;
  /** How often a run was read, and how often its document was looked at. */
  readonly seen: { queries: number; looks: number };
  /** The most documents at the same time that were read and not parsed yet. */
  mostHeld(): number;
}

/** A store of runs with these approvals, which the service reads by the id of the run. */
function storeOf(runs: Readonly<Record<string, readonly string[]>>): Store {
  const seen = { queries: 0, looks: 0 };
  const held = new Set<string>();
  let most = 0;
  const query = async (_sql: string, [id]: readonly [string]): Promise<object> => {
    seen.queries += 1;
    held.add(id);
    most = Math.max(most, held.size);
    await setImmediate();
    const text = JSON.stringify({ approvals: (runs[id] ?? []).map(stateOf), executing: null, stuckOn: null });
    let looks = 0;
    const row = {
      id,
      get doc() {
        seen.looks += 1;
        // The first look only takes the length.
        if ((looks += 1) > 1) held.delete(id);
        return text;
      },
    };
    return { rows: [row] };
  };
  return { pool: { query } as unknown as Pool, seen, mostHeld: () => most };
}

function stateOf(id: string): object {
  return { id, status: 'escalated', roles: ['of the run'], action: { held: null } };
}

function rowsOf(runs: Readonly<Record<string, readonly string[]>>): ApprovalRow[] {
  return Object.entries(runs).flatMap(([run, ids]) =>
    ids.map(
      (id) => ({ id, run, status: 'open', roles: ['of the row'], state: null }) as unknown as ApprovalRow,
    ),
  );
}

const readerOf = ({ pool }: Store, id: string): Reader => ({
  deps: { pool },
  principal: { id, kind: 'human', roles: [], permissions: [] },
});

const named = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}${n}`);

describe('approvals as their runs have them', () => {
  it('cost one reading of each run, however many of its approvals are asked for', async () => {
    const runs = { long: named('a', 95), other: named('b', 3) };
    const store = storeOf(runs);
    const found = await readApprovals(readerOf(store, 'ann'), rowsOf(runs));
    assert.deepEqual(
      found.map(({ row, state }) => [row.id, row.status, row.roles, state?.id]),
      [...runs.long, ...runs.other].map((id) => [id, 'escalated', ['of the run'], id]),
    );
    assert.deepEqual(store.seen, { queries: 2, looks: 4 });
  });

  it('keep no document, and eight are read at a time whoever else asks', async () => {
    const lists = named('list', 30).map((list) =>
      Object.fromEntries(named(list, 5).map((run) => [run, [`${run}-approval`]])),
    );
    const store = storeOf(Object.assign({}, ...lists) as Record<string, readonly string[]>);
    const found = await Promise.all(
      lists.map((list, n) => readApprovals(readerOf(store, `colleague ${n}`), rowsOf(list))),
    );
    assert.equal(found.flat().length, 150);
    assert.ok(found.flat().every(({ state }) => state !== null));
    assert.equal(store.mostHeld(), 8);
  });
});
