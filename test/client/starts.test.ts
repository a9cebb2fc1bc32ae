import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { makePayloads } from '../../src/audit/index.js';
import { followRights, loadKeys, unknownRights } from '../../src/auth/index.js';
import { lastingRights } from '../../testing/rights.js';
import type { ClientDeps } from '../../src/client/index.js';
import { start, startWithSubmit } from '../../src/client/start.js';
import type { StartOutcome, StartRequest, SubmitRequest } from '../../src/client/types.js';
import { makeWaiter, type Waiter } from '../../src/client/waiter.js';
import type { Principal } from '../../src/model/principal.js';
import { newId } from '../../src/model/names/ids.js';
import { putSigningKey } from '../../src/store/people/signing-keys.js';
import { getListedRun } from '../../src/store/runs/runs.js';
import { makeDatabase, type Database } from '../../testing/servers/database.js';
import { holdRun } from '../../testing/servers/locks.js';
import { until } from '../../testing/until.js';
import { putRun, runRow } from '../store/rows.js';

// The starts of one principal wait for each other in memory, so that they delay nobody else.

let database: Database;
let waiter: Waiter;
let home: string;
let deps: ClientDeps;
before(async () => {
  database = await makeDatabase();
  waiter = await makeWaiter(database.url);
  home = mkdtempSync(join(tmpdir(), 'countersign-starts-'));
  const keys = await loadKeys(home, {});
  await putSigningKey(database.pool, { ...keys.signing, sealed: null });
  await putRun(database.pool, newId('run'));
  const temporal = {
    withDeadline: (_at: number, act: () => Promise<unknown>) => act(),
    workflow: { start: () => Promise.resolve() },
  } as unknown as Client;
  deps = {
    ...{ pool: database.pool, payloads: makePayloads({ kek: keys.kek }), keys },
    ...{ forNamespace: () => temporal, onInternalError: assert.fail, taskQueue: 'test' },
    isOurs: () => Promise.resolve(true),
  } as unknown as ClientDeps;
});
after(async () => {
  await waiter.close();
  await database.drop();
  rmSync(home, { recursive: true });
});

function startOf(by: string, more: Partial<StartRequest> = {}): StartRequest {
  const run = newId('run');
  const { flow, flowVersion, planHash, environment, mode } = runRow(run);
  const principal: Principal = { id: by, kind: 'agent', roles: [], permissions: [] };
  const asked = { initialState: 'a', input: {}, principal, rights: lastingRights, trace: null, waitMs: 1 };
  return { run, flow, flowVersion, planHash, environment, mode, ...asked, ...more };
}

function firstOf({ run, principal, rights }: StartRequest): SubmitRequest {
  const about = { transition: 'next', arguments: {}, expectedVersion: null, trace: null };
  return { run, messageId: newId('msg'), principal, rights, waitMs: 1, ...about };
}

async function countSubmits(run: string): Promise<number | null> {
  const kept = `select 1 from message where run = $1 and kind = 'submit'`;
  return (await database.pool.query(kept, [run])).rowCount;
}

/** Starts of one principal that hold their connections until they are released. */
function holding(by: string): {
  readonly send: (more?: Partial<StartRequest>) => Promise<StartOutcome>;
  readonly begun: () => number;
  readonly release: () => void;
} {
  let begun = 0;
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const mayBegin = (): Promise<void> => {
    begun += 1;
    return released;
  };
  return {
    send: (more = {}) => start(deps, waiter, startOf(by, { mayBegin, ...more })),
    begun: () => begun,
    release: () => release(),
  };
}

/** A fifth of the pool. */
const own = 6;

describe('starts of one principal', () => {
  it('hold a fifth of the connections, however many there are, and nobody who starts another run', async () => {
    const held = holding('many');
    const asked = Array.from({ length: 40 }, () => held.send());
    await until('starts at work', () => held.begun() === own || null, 5_000);
    assert.equal((await start(deps, waiter, startOf('another'))).status, 'accepted');
    assert.equal(held.begun(), own);
    assert.ok(database.pool.totalCount - database.pool.idleCount <= own);
    held.release();
    assert.deepEqual([...new Set((await Promise.all(asked)).map(({ status }) => status))], ['accepted']);
    assert.equal(held.begun(), 40);
  });

  it('are decided on paper one at a time, and those of another beside them', async () => {
    const decided: string[] = [];
    let release = (): void => undefined;
    const released = new Promise<null>((resolve) => (release = () => resolve(null)));
    const send = (by: string): Promise<StartOutcome> => {
      const refuse = (): Promise<null> => {
        decided.push(by);
        return released;
      };
      return start(deps, waiter, startOf(by, { refuse }));
    };
    const asked = ['many', 'many', 'many', 'another'].map(send);
    await until('starts that are decided', () => decided.length === 2 || null, 5_000);
    assert.deepEqual(decided, ['many', 'another']);
    release();
    await Promise.all(asked);
    assert.equal(decided.length, 4);
  });

  it('that wait too long are not kept, and their callers are told so; of what was begun before nobody is', async (t) => {
    const before = startOf('late');
    assert.equal((await start(deps, waiter, before)).status, 'accepted');
    const held = holding('late');
    const atWork = Array.from({ length: own }, () => held.send());
    await until('starts at work', () => held.begun() === own || null, 5_000);
    const next = startOf('late');
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const late = [start(deps, waiter, next), start(deps, waiter, before)];
    t.mock.timers.tick(30_000);
    t.mock.timers.reset();
    const [first, again] = await Promise.all(late);
    assert.ok(first?.status === 'unavailable' && first.code === 'AUDIT_UNAVAILABLE');
    assert.match(first.message ?? '', /did not come within 30 s: nothing of it is kept, try again$/);
    assert.equal(await getListedRun(database.pool, next.run), null);
    assert.equal(again?.status, 'accepted');
    const stops = new AbortController();
    const waiting = start(deps, { ...waiter, stopping: stops.signal }, next);
    stops.abort();
    const stopped = await waiting;
    assert.match(stopped.status === 'unavailable' ? (stopped.message ?? '') : '', /is stopping.*try again$/);
    assert.equal(await getListedRun(database.pool, next.run), null);
    held.release();
    await Promise.all(atWork);
    assert.equal((await start(deps, waiter, next)).status, 'accepted');
  });

  it('that waited are not kept where their caller has other rights by then', async () => {
    const begun = startOf('leaver');
    assert.equal((await start(deps, waiter, begun)).status, 'accepted');
    const held = holding('leaver');
    const atWork = Array.from({ length: own }, () => held.send());
    await until('starts at work', () => held.begun() === own || null, 5_000);
    const rights = followRights(() => Promise.resolve(false), performance.now());
    const next = startOf('leaver', { rights });
    const asked = start(deps, waiter, next);
    const again = startWithSubmit(deps, waiter, { ...begun, rights }, firstOf({ ...begun, rights }));
    await setTimeout(1_100);
    held.release();
    const told = await asked;
    assert.ok(told.status === 'unavailable' && told.code === 'AUDIT_UNAVAILABLE');
    assert.match(told.message ?? '', /its caller's rights changed, .+: nothing of it is kept, try again$/);
    assert.equal(await getListedRun(database.pool, next.run), null);
    // What is known of the rights goes on to the submit of a start that was begun before.
    assert.equal((await again).status, 'unavailable');
    assert.equal(await countSubmits(begun.run), 0);
    await Promise.all(atWork);
  });

  it('that were begun before keep no first submit of a caller who has other rights by the time its turn comes', async () => {
    const before = startOf('again');
    assert.equal((await start(deps, waiter, before)).status, 'accepted');
    const lock = await holdRun(database.url, before.run);
    const rights = followRights(() => Promise.resolve(false), performance.now());
    const asked = startWithSubmit(deps, waiter, { ...before, rights }, firstOf({ ...before, rights }));
    await until('the submit at its run', () => lock.someoneWaits().then((is) => is || null), 5_000);
    await setTimeout(1_100);
    await lock.release();
    const told = await asked;
    assert.ok(told.status === 'unavailable' && told.code === 'AUDIT_UNAVAILABLE', JSON.stringify(told));
    assert.equal(await countSubmits(before.run), 0);
  });

  for (const [what, isSame, status] of [
    ['are kept once their rights are the same behind all that they wait for', [true, true, true], 'accepted'],
    ['are not kept where their rights have changed by then', [true, true, false], 'unavailable'],
  ] as const)
    it(what, async () => {
      const answers = [...isSame];
      const rights = { areStale: () => true, areSame: () => Promise.resolve(answers.shift() ?? false) };
      const asked = startOf('slow', { rights });
      assert.equal((await start(deps, waiter, asked)).status, status);
      assert.deepEqual(answers, []);
      const row = await getListedRun(database.pool, asked.run);
      assert.equal(row === null, status === 'unavailable');
    });

  it('that were begun before are told so, whatever rights their caller has by now', async () => {
    const begun = startOf('known');
    assert.equal((await start(deps, waiter, begun)).status, 'accepted');
    assert.equal((await start(deps, waiter, { ...begun, rights: unknownRights })).status, 'accepted');
    assert.equal(
      (await start(deps, waiter, startOf('known', { rights: unknownRights }))).status,
      'unavailable',
    );
  });
});
