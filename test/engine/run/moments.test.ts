import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decide, dueEvent, wakeTime } from '../../../src/engine/index.js';
import { closedStatuses, type ApprovalState, type RunState } from '../../../src/engine/state.js';
import { gate, plan, state, transition } from '../build.js';
import { principal } from '../people.js';
import { begin, hour, kit as plainKit, start, time } from '../walk.js';
import { kit, play, story } from '../stories.js';

// When a run's only timer is set, and what is found due when it fires: deadlines are compared with the time; that a timer has gone proves nothing.

const iso = (at: number): string => new Date(at).toISOString();

function parked(fields: Partial<ApprovalState> = {}, run: Partial<RunState> = {}): RunState {
  const of = plan([state('a', [transition('go', 'a', { gate: gate() })])]);
  const walk = begin(of);
  walk.submit(principal('bot', 'agent'), 'go');
  const [approval] = walk.run.approvals;
  assert.ok(approval !== undefined);
  return { ...walk.run, ...run, approvals: [{ ...approval, ...fields }] };
}

const other = (run: RunState, fields: Partial<ApprovalState>): RunState => {
  const [first] = run.approvals;
  assert.ok(first !== undefined);
  return { ...run, approvals: [first, { ...first, ...fields }] };
};

describe('a run wakes', () => {
  it('when the first of its approvals is to be reminded of or ends, or when its own time is up', () => {
    const waiting = parked({ timer: start + 5 * hour });
    assert.equal(wakeTime(waiting), start + 5 * hour);
    assert.equal(wakeTime({ ...waiting, deadline: start + hour }), start + hour);
    assert.equal(wakeTime({ ...waiting, deadline: start + 9 * hour }), start + 5 * hour);
    assert.equal(wakeTime(other(waiting, { id: 'apr_2', timer: start + 2 * hour })), start + 2 * hour);
  });

  it('for no approval that is settled, and for its own time once', () => {
    for (const status of ['approved', 'denied', 'expired', 'revoked', 'consumed'] as const)
      assert.equal(wakeTime(parked({ status, timer: start })), null, status);
    assert.notEqual(wakeTime(parked({ status: 'escalated' })), null);
    const over = { deadline: start, timeoutDue: true };
    assert.equal(wakeTime(parked({ status: 'denied' }, over)), null, 'its timeout waits for its effect');
    assert.equal(wakeTime(parked({ status: 'denied' }, { ...over, timeoutDue: false })), start);
  });

  it('never when it has ended, nor while it waits for an operator after a failure of ours', () => {
    for (const status of closedStatuses)
      assert.equal(wakeTime(parked({}, { status, deadline: start })), null, status);
    const stuck = (code: 'STEP_FAILED' | 'HISTORY_FORKED' | 'ON_ENTER_FAILED'): number | null =>
      wakeTime(parked({}, { status: 'stuck', problem: { code, message: 'x' }, deadline: start + hour }));
    assert.equal(stuck('STEP_FAILED'), null);
    assert.equal(stuck('HISTORY_FORKED'), null);
    assert.equal(stuck('ON_ENTER_FAILED'), start + hour, 'its time is up all the same');
    assert.equal(wakeTime(parked({}, { status: 'stuck', problem: null, deadline: start })), start);
  });
});

describe('what time has to say', () => {
  it('is nothing before its moment, and from then on whatever is earliest', () => {
    const run = other(parked({ timer: start + 2 * hour }, { deadline: start + 3 * hour }), {
      ...{ id: 'apr_2', timer: start + hour },
    });
    assert.equal(dueEvent(run, iso(start + hour - 1)), null);
    for (const late of [0, 1, 10 * hour]) {
      const at = iso(start + hour + late);
      assert.deepEqual(dueEvent(run, at), { kind: 'deadline', time: at, approval: 'apr_2' });
    }
    const [first] = run.approvals;
    const without = { ...run, approvals: first === undefined ? [] : [first] };
    const at = iso(start + 2 * hour);
    assert.deepEqual(dueEvent(without, at), { kind: 'deadline', time: at, approval: first?.id });
    const last = iso(start + 3 * hour);
    assert.deepEqual(dueEvent({ ...run, approvals: [] }, last), { kind: 'timeout', time: last });
  });

  it('is nothing at a time that is none', () => {
    assert.equal(dueEvent(parked({ timer: start }), 'not a time'), null);
    assert.equal(dueEvent(parked({ status: 'denied' }), time), null);
  });

  it('is said up: in any run everything due is taken in finitely many steps, and then nothing is due', () => {
    fc.assert(
      fc.property(story, fc.nat({ max: 400 }), (told, days) => {
        for (const { decision } of play(told)) {
          let { state: run } = decision;
          const at = iso(start + days * 24 * hour);
          let steps = 0;
          for (let event = dueEvent(run, at); event !== null; event = dueEvent(run, at)) {
            const next = wakeTime(run);
            assert.ok(next !== null && next <= Date.parse(at));
            const { state: after } = decide(told.plan, run, event, kit, `d${steps}`);
            assert.notDeepEqual(after, run);
            run = after;
            steps += 1;
            assert.ok(steps < 500);
          }
          const next = wakeTime(run);
          assert.ok(next === null || next > Date.parse(at), 'the next timer lies ahead');
        }
      }),
      { numRuns: 150 },
    );
  });

  it('is nothing before its time, also where time approves', () => {
    const timeout = { afterMs: hour, action: 'approve', to: [] } as const;
    const of = plan([state('a', [transition('go', 'a', { tier: 'reversible', gate: gate({ timeout }) })])]);
    const walk = begin(of, {}, principal('starter'), plainKit);
    walk.submit(principal('bot', 'agent'), 'go');
    const [approval] = walk.run.approvals;
    assert.equal(approval?.status, 'open');
    assert.equal(dueEvent(walk.run, iso(start + hour - 1)), null);
    assert.deepEqual(dueEvent(walk.run, iso(start + hour)), {
      ...{ kind: 'deadline', time: iso(start + hour), approval: approval?.id },
    });
  });
});
