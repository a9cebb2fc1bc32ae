import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { beatWhileAllowed } from '../../../src/activities/execute/heartbeats.js';

describe('an execution', () => {
  beforeEach(() => mock.timers.enable({ apis: ['setInterval', 'Date'] }));
  afterEach(() => mock.timers.reset());

  it('is heard of as long as what it does may take, and again once it does something else', () => {
    let count = 0;
    const beats = beatWhileAllowed(() => (count += 1));
    const heardIn = (seconds: number): number => {
      const before = count;
      for (let second = 0; second < seconds; second += 1) mock.timers.tick(1_000);
      return count - before;
    };
    assert.equal(heardIn(60), 60);
    assert.equal(heardIn(30), 0, 'its first transaction hangs');
    beats.allow(5_000);
    assert.equal(heardIn(10), 5, 'its call has not ended');
    // A store that is away for a day: each write is one more that is allowed its time.
    for (let write = 0; write < 100; write += 1) {
      beats.allow(60_000);
      assert.equal(heardIn(60), 60);
    }
    beats.stop();
    assert.equal(heardIn(60), 0);
  });
});
