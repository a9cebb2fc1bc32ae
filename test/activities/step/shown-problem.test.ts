import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { addWayOn } from '../../../src/activities/step/persist.js';
import type { Plan } from '../../../src/engine/plan.js';
import type { RunState } from '../../../src/engine/state.js';
import { plan, state, transition } from '../../engine/build.js';
import { begin } from '../../engine/walk.js';

const timed = plan([state('a', [transition('pay', 'b')]), state('b')], { timeoutMs: 1_000 });
const unreadable: Plan = {
  ...timed,
  get onTimeout(): never {
    throw new TypeError('a bug of ours');
  },
};
const problem = { code: 'STEP_FAILED', message: 'its step failed' } as const;
const stuck: RunState = { ...begin(timed).run, status: 'stuck', problem };

describe('the problem of a stuck run', () => {
  const way = 'a retry tries it again, which helps once its cause is gone; a cancel ends the run';

  it('is shown with what a person can do about it, and with what its time does', () => {
    const { next, ...rest } = addWayOn(stuck, timed) ?? assert.fail('nothing is shown');
    assert.deepEqual(rest, problem);
    assert.match(next ?? '', new RegExp(`^${way}; a retry after .* finds the run's time up`));
  });

  it('is shown without its time where our own code fails over that, or the plan is gone', () => {
    for (const of of [unreadable, null]) assert.deepEqual(addWayOn(stuck, of), { ...problem, next: way });
  });
});
