import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { followRights, keepWithRights, unknownRights } from '../../src/auth/index.js';
import { lastingRights } from '../../testing/rights.js';

/** Rights on a clock that the test holds. `takes`: how long an answer takes; `gives`: what it says. */
function held(t: TestContext, { takes = 0, gives = true } = {}) {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  let asked = 0;
  const rights = followRights(() => {
    asked += 1;
    now += takes;
    return Promise.resolve(gives);
  }, 0);
  return { rights, asked: () => asked, pass: (ms: number) => (now += ms) };
}

describe('the rights of a caller whose request waits', () => {
  it('are known for a second, and then asked for again', async (t) => {
    const { rights, asked, pass } = held(t);
    pass(1_000);
    assert.deepEqual([rights.areStale(), await rights.areSame(), asked()], [false, true, 0]);
    pass(1);
    assert.deepEqual([rights.areStale(), await rights.areSame(), asked()], [true, true, 1]);
    assert.deepEqual([rights.areStale(), await rights.areSame(), asked()], [false, true, 1]);
  });

  it('are known from when they were asked for, however long the answer took', async (t) => {
    const { rights, asked, pass } = held(t, { takes: 1_900 });
    pass(1_001);
    assert.deepEqual([await rights.areSame(), rights.areStale(), asked()], [true, true, 1]);
  });

  it('whose answers are slow are asked for three times at most, and then the request is kept', async (t) => {
    const { rights, asked, pass } = held(t, { takes: 1_900 });
    pass(1_001);
    const checks: string[] = [];
    const kept = await keepWithRights(rights, async (check) => {
      const known = await check();
      checks.push(known);
      return known === 'same' ? 'kept' : known;
    });
    assert.deepEqual([kept, checks, asked()], ['kept', ['stale', 'same'], 3]);
  });

  it('that have changed are asked for again each time', async (t) => {
    const { rights, asked, pass } = held(t, { gives: false });
    pass(1_001);
    assert.deepEqual([await rights.areSame(), await rights.areSame(), asked()], [false, false, 2]);
    assert.equal(rights.areStale(), true);
  });

  it('count as changed where they are not known within two seconds', async (t) => {
    let now = 0;
    t.mock.method(performance, 'now', () => now);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const rights = followRights(() => new Promise(() => undefined), 0);
    now = 1_001;
    let known: boolean | null = null;
    const asked = rights.areSame().then((isSame) => (known = isSame));
    t.mock.timers.tick(1_999);
    await Promise.resolve();
    assert.equal(known, null);
    t.mock.timers.tick(1);
    assert.equal(await asked, false);
  });

  it('are known from when the credential was read, however late the request comes to where they count', async (t) => {
    let now = 5_000;
    t.mock.method(performance, 'now', () => now);
    const rights = followRights(() => Promise.resolve(false), 4_001);
    assert.equal(rights.areStale(), false);
    now += 2;
    assert.deepEqual([rights.areStale(), await rights.areSame()], [true, false]);
  });

  it('are never stale where no credential stands for the caller, and never the same where it is not known', async () => {
    assert.deepEqual([lastingRights.areStale(), await lastingRights.areSame()], [false, true]);
    assert.deepEqual([unknownRights.areStale(), await unknownRights.areSame()], [true, false]);
  });
});
