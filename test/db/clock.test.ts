import assert from 'node:assert/strict';
import { afterEach, describe, it, mock } from 'node:test';
import { makeStoreClock } from '../../src/db/index.js';
import type { Queryable } from '../../src/db/index.js';

// A store whose clock and whose slowness are the test's, and a process whose own time is too.

interface Clocks {
  process: number;
  store: number;
  /** Of the next questions: how long each is under way, and before the store looks at its clock. */
  beforeMs: number;
  afterMs: number;
  isAway: boolean;
}

afterEach(() => mock.reset());

function makeClocks(): { clocks: Clocks; store: Queryable; pass(ms: number): Promise<void> } {
  const clocks: Clocks = {
    ...{ process: 5_000, store: Date.parse('2030-01-01T00:00:00Z'), beforeMs: 0, afterMs: 0 },
    isAway: false,
  };
  const go = (ms: number): void => {
    clocks.process += ms;
    clocks.store += ms;
  };
  mock.method(performance, 'now', () => clocks.process);
  mock.timers.enable({ apis: ['setInterval'] });
  const query = (): Promise<unknown> => {
    if (clocks.isAway) return Promise.reject(new Error('away'));
    go(clocks.beforeMs);
    const now = new Date(clocks.store).toISOString();
    go(clocks.afterMs);
    return Promise.resolve({ rows: [{ now }] });
  };
  const pass = async (ms: number): Promise<void> => {
    go(ms);
    mock.timers.tick(ms);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { clocks, store: { query } as unknown as Queryable, pass };
}

describe("the store's clock in another process", () => {
  it('goes on between two answers, whatever the clock of its own host is set to', async () => {
    const { clocks, store, pass } = makeClocks();
    const clock = await makeStoreClock(store, 60_000);
    for (const set of [0, 9e12]) {
      mock.timers.reset();
      mock.timers.enable({ apis: ['Date'], now: set });
      assert.equal(clock.now().getTime(), clocks.store);
      await pass(700);
      assert.equal(clock.now().getTime(), clocks.store);
    }
    clock.stop();
  });

  it('is off by no more than its quickest answers took, and after a slow one is mended by the next', async () => {
    const { clocks, store, pass } = makeClocks();
    [clocks.beforeMs, clocks.afterMs] = [3_000, 4_000];
    const clock = await makeStoreClock(store, 1_000);
    const off = (): number => clocks.store - clock.now().getTime();
    assert.ok(off() >= 0 && off() <= 7_000, String(off()));
    [clocks.beforeMs, clocks.afterMs] = [1, 2];
    await pass(1_000);
    assert.ok(Math.abs(off()) <= 3, String(off()));
    // A slow answer says less, and takes nothing back.
    [clocks.beforeMs, clocks.afterMs] = [5_000, 5_000];
    await pass(1_000);
    assert.ok(Math.abs(off()) <= 3, String(off()));
    clock.stop();
  });

  it("follows where the store's own clock is set, either way", async () => {
    const { clocks, store, pass } = makeClocks();
    const clock = await makeStoreClock(store, 1_000);
    for (const by of [3_600_000, -7_200_000]) {
      clocks.store += by;
      await pass(1_000);
      assert.equal(clock.now().getTime(), clocks.store);
    }
    clock.stop();
  });

  it('goes on while the store is away, and is asked again', async () => {
    const { clocks, store, pass } = makeClocks();
    const clock = await makeStoreClock(store, 1_000);
    clocks.isAway = true;
    await pass(1_000);
    assert.equal(clock.now().getTime(), clocks.store);
    clocks.isAway = false;
    clocks.store += 60_000;
    await pass(1_000);
    assert.equal(clock.now().getTime(), clocks.store);
    clock.stop();
    await assert.rejects(
      makeStoreClock({ query: () => Promise.reject(new Error('away')) } as unknown as Queryable),
      /away/,
    );
  });
});
