import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { beginCourse } from '../../src/activities/course.js';
import type { RunState } from '../../src/engine/state.js';
import { begin, gate, kit, plan, principal, state, transition } from '../engine/build.js';

// What is due in one step: each moment once, whatever a store says of it.

const of = plan([state('a', [transition('go', 'a', { gate: gate() })])]);

function parked(): RunState {
  const walk = begin(of);
  walk.submit(principal('bot', 'agent'), 'go');
  return walk.run;
}

describe('what is due in a step', () => {
  it('is decided, and the step goes on to what is due next', () => {
    const run = parked();
    const course = beginCourse(
      { plan: of, kit, time: '2026-12-31T00:00:00.000Z' },
      { ...run, deadline: 1 },
      2,
    );
    course.takeDue();
    assert.equal(course.done().after.status, 'timed_out');
  });

  it('is not asked for again and again where nothing comes of it', () => {
    const run = parked();
    const [approval] = run.approvals;
    assert.ok(approval !== undefined);
    let asked = 0;
    const twin = {
      ...approval,
      get timer(): number {
        asked += 1;
        return 1;
      },
    };
    const course = beginCourse(
      { plan: of, kit, time: '2026-12-31T00:00:00.000Z' },
      { ...run, approvals: [{ ...approval, status: 'denied' }, twin] },
      2,
    );
    course.takeDue();
    assert.ok(asked < 20, String(asked));
  });
});
