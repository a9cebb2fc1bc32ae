import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Plan, State } from '../../../src/engine/plan.js';
import { links } from '../../../src/engine/index.js';
import { endingOf, endingText, type EventResult } from '../../../src/engine/state.js';
import { gate, onEnter, plan, rest, state, transition, type Fields } from '../build.js';
import { agent, fay, operator } from '../people.js';
import { answerOf, at, begin, begins, message, operate, time, types, type Walk } from '../walk.js';

// A run whose time is up, or that was cancelled: nothing of it begins any more, whether or not its timer has gone.

const lasting = 1_000;
/** The moment at which the run's time is up. */
const end = at(lasting);
const justBefore = at(lasting - 1);

/** `go` leads to a state in which something begins by itself. */
function flow(next: State, fields: Fields = {}, of: Partial<Plan> = {}): Plan {
  const pay = transition('pay', 'a', { executor: rest, gate: gate() });
  return plan(
    [
      state('a', [transition('go', 'next', { executor: rest, ...fields }), pay]),
      next,
      state('done'),
      state('gone'),
    ],
    { timeoutMs: lasting, onTimeout: { target: 'gone' }, ...of },
  );
}
const chained = state('next', [transition('step', 'done', { actor: 'deterministic', executor: rest })]);
const entered = state('next', [transition('back', 'a')], onEnter());
const endsEntering = state('next', [], onEnter());

const submit = (walk: Walk, name: string, at: string): EventResult =>
  walk.send({
    kind: 'message',
    time: at,
    message: message(agent, { kind: 'submit', transition: name, arguments: {}, expectedVersion: null }),
  });
const approve = (walk: Walk, at: string): EventResult => {
  const { id = '', action } = walk.run.approvals[0] ?? {};
  const body = { kind: 'decide', approval: id, decision: 'approve', reasonGiven: false } as const;
  const digest = action?.digest ?? '';
  return walk.send({ kind: 'message', time: at, message: message(fay, { ...body, digest }) });
};
const succeeds = (walk: Walk, at: string): EventResult => walk.outcome({}, at);
/** What was not begun by the record, since the run was to end. */
const unbegun = ({ trace }: EventResult): unknown[] =>
  trace.flatMap(({ type, action, policy }) =>
    type === 'transition.rejected' && policy?.rule === 'RUN_CLOSED' ? [action?.transition] : [],
  );

describe("after a run's time, though no timer has gone", () => {
  it('a submit begins nothing: the run has timed out', () => {
    const early = begin(flow(chained));
    assert.ok(begins(submit(early, 'go', justBefore)));
    for (const executor of [rest, null]) {
      const walk = begin(flow(chained, { executor }));
      const said = submit(walk, 'go', end);
      assert.deepEqual([begins(said), answerOf(said)?.code], [false, 'RUN_CLOSED']);
      assert.deepEqual([walk.run.status, walk.run.state], ['timed_out', 'gone']);
      assert.ok(types(said).includes('timeout.fired'));
    }
  });
  it('nothing begins at a time that is none', () => {
    const walk = begin(flow(chained));
    assert.equal(begins(submit(walk, 'go', 'sometime')), false);
  });
  it('a decision begins nothing: its approval ended with the run', () => {
    const walk = begin(flow(chained));
    submit(walk, 'pay', time);
    const said = approve(walk, end);
    assert.deepEqual([begins(said), answerOf(said)?.code], [false, 'APPROVAL_REVOKED']);
    assert.equal(walk.run.status, 'timed_out');
  });
  it('neither onEnter nor a chain follows an effect: its outcome is recorded, and then the time is up', () => {
    for (const next of [chained, entered, endsEntering]) {
      for (const onTimeout of [{ target: 'gone' }, null]) {
        const walk = begin(flow(next, {}, { onTimeout }));
        submit(walk, 'go', justBefore);
        const said = succeeds(walk, end);
        assert.equal(begins(said), false);
        assert.equal(said.actions[0]?.status, 'executed');
        assert.ok(types(said).indexOf('run.transitioned') < types(said).indexOf('timeout.fired'));
        const left = next === endsEntering ? null : onTimeout;
        assert.deepEqual([walk.run.status, walk.run.state], ['timed_out', left?.target ?? 'next']);
        assert.equal(types(said).filter((type) => type === 'timeout.fired').length, 1);
        assert.deepEqual(unbegun(said), next === endsEntering ? ['onEnter:next'] : []);
        assert.equal(answerOf(said)?.status, 'executed');
      }
    }
  });
  it('no chain follows an onEnter, and where an effect has led to its end the run is completed', () => {
    const walk = begin(flow(state('next', chained.transitions, onEnter())));
    submit(walk, 'go', time);
    succeeds(walk, justBefore);
    assert.equal(walk.run.executing?.at, 'onEnter');
    assert.equal(begins(succeeds(walk, end)), false);
    assert.equal(walk.run.status, 'timed_out');
    const last = begin(flow(state('next')));
    submit(last, 'go', time);
    succeeds(last, end);
    assert.deepEqual([last.run.status, last.run.state], ['completed', 'next']);
  });
  it('a retry begins nothing, and a cancel still cancels', () => {
    const stuck = (): Walk => {
      const walk = begin(flow(chained));
      submit(walk, 'go', time);
      succeeds(walk, time);
      walk.outcome({ status: 'failed', errorClass: 'permanent', message: 'no' } as object);
      assert.equal(walk.run.stuckOn?.kind, 'chain');
      return walk;
    };
    const retried = stuck();
    const said = operate(retried, 'retry', { at: end });
    assert.deepEqual([begins(said), answerOf(said)?.code], [false, 'RUN_CLOSED']);
    assert.equal(retried.run.status, 'timed_out');
    const cancelled = stuck();
    operate(cancelled, 'cancel', { at: end });
    assert.equal(cancelled.run.status, 'cancelled');
  });
  it('time that approves at a gate begins nothing, unless the run goes on where it was', () => {
    const byTime = gate({ timeout: { afterMs: lasting, action: 'approve', to: [] } });
    const pay = transition('pay', 'done', { executor: rest, tier: 'reversible', gate: byTime });
    for (const target of ['gone', 'a']) {
      const of = plan([state('a', [pay]), state('done'), state('gone')], {
        ...{ timeoutMs: lasting, onTimeout: { target } },
      });
      const walk = begin(of);
      submit(walk, 'pay', time);
      const approval = walk.run.approvals[0]?.id ?? '';
      const said = walk.send({ kind: 'deadline', time: end, approval });
      assert.ok(types(said).includes('timeout.fired'));
      assert.deepEqual([begins(said), walk.run.state], [target === 'a', target]);
    }
  });
  it('a denial moves nowhere: neither one that comes then, nor one that has waited for an effect', () => {
    const pay = transition('pay', 'done', { executor: rest, gate: gate(), onDeny: 'next' });
    const go = transition('go', 'a', { executor: rest });
    const made = (): Walk => {
      const of = plan([state('a', [pay, go]), entered, state('done'), state('gone')], {
        ...{ timeoutMs: lasting, onTimeout: { target: 'gone' } },
      });
      const walk = begin(of);
      submit(walk, 'pay', time);
      return walk;
    };
    const deny = (walk: Walk, at: string): EventResult => {
      const { id = '', action } = walk.run.approvals[0] ?? {};
      const body = { kind: 'decide', approval: id, decision: 'deny', reasonGiven: false } as const;
      return walk.send({
        kind: 'message',
        time: at,
        message: message(fay, { ...body, digest: action?.digest ?? '' }),
      });
    };
    const early = made();
    assert.ok(begins(deny(early, justBefore)));
    assert.equal(early.run.state, 'next');
    const late = made();
    assert.equal(begins(deny(late, end)), false);
    assert.deepEqual([late.run.state, late.run.status], ['gone', 'timed_out']);
    const waiting = made();
    submit(waiting, 'go', time);
    deny(waiting, justBefore);
    assert.equal(begins(succeeds(waiting, end)), false);
    assert.deepEqual([waiting.run.state, waiting.run.status], ['gone', 'timed_out']);
  });
  it('what is under way goes on, and nothing else is asked of anybody meanwhile', () => {
    const walk = begin(flow(chained));
    submit(walk, 'pay', time);
    submit(walk, 'go', justBefore);
    assert.equal(answerOf(approve(walk, end))?.code, 'APPROVAL_REVOKED');
    assert.deepEqual([walk.run.timeoutDue, walk.run.executing?.action.transition], [true, 'go']);
  });
});

describe('after a cancel that waits for an effect', () => {
  it('neither onEnter nor a chain follows it', () => {
    for (const next of [chained, entered, endsEntering]) {
      const walk = begin(flow(next));
      submit(walk, 'go', time);
      operate(walk, 'cancel');
      const said = succeeds(walk, time);
      assert.equal(begins(said), false);
      assert.deepEqual([walk.run.status, walk.run.state], ['cancelled', 'next']);
      assert.deepEqual(unbegun(said), next === endsEntering ? ['onEnter:next'] : []);
      assert.equal(types(said).at(-1), 'run.cancelled');
    }
  });
  it('no approval is given any more', () => {
    const walk = begin(flow(chained));
    submit(walk, 'pay', time);
    submit(walk, 'go', time);
    assert.ok(types(operate(walk, 'cancel')).includes('approval.revoked'));
    const said = approve(walk, time);
    assert.equal(answerOf(said)?.code, 'APPROVAL_REVOKED');
    assert.equal(types(said).includes('approval.decided'), false);
  });
  it('the record says that it came too late, where the effect led to the end of the run', () => {
    const walk = begin(flow(state('next')));
    submit(walk, 'go', time);
    const asked = operate(walk, 'cancel').trace[0]?.causation;
    const { trace } = succeeds(walk, time);
    assert.equal(walk.run.status, 'completed');
    const late = trace.find((fact) => fact.type === 'transition.rejected');
    assert.deepEqual([late?.causation, late?.actor.id, late?.data['code']], [asked, 'ops', 'RUN_CLOSED']);
    assert.equal(trace.at(-1)?.type, 'run.completed');
    const other = begin(flow(chained));
    submit(other, 'go', time);
    operate(other, 'cancel');
    assert.equal(types(succeeds(other, time)).includes('transition.rejected'), false);
  });
});

describe('a run that is to end once what is under way has its outcome', () => {
  const of = flow(chained);
  const busy = (): Walk => {
    const walk = begin(of);
    submit(walk, 'go', time);
    return walk;
  };
  const offered = (walk: Walk): string[] =>
    links(of, walk.run, agent, { floors: [] }).map((link) => link.rel);
  const busyMessage = (walk: Walk): string => {
    const answer = answerOf(submit(walk, 'pay', time)) as { code?: string; message?: string } | undefined;
    assert.equal(answer?.code, 'RUN_BUSY');
    return answer.message ?? '';
  };

  it('offers nothing and says why, cancelled or out of time', () => {
    const walk = busy();
    assert.deepEqual([endingOf(walk.run), offered(walk)], [null, ['go', 'pay']]);
    assert.equal(busyMessage(walk), '`go` is executing; try again when it has settled');
    operate(walk, 'cancel');
    assert.deepEqual(offered(walk), []);
    assert.deepEqual(endingOf(walk.run), { why: 'cancel', by: operator, waitsFor: 'go' });
    assert.match(
      busyMessage(walk),
      /^`ops` has cancelled the run, which ends once the outcome of `go` is known/,
    );
    const late = busy();
    late.send({ kind: 'timeout', time: end });
    assert.deepEqual(offered(late), []);
    assert.deepEqual(endingOf(late.run), { why: 'timeout', by: null, waitsFor: 'go' });
  });

  it('is told by what it has ended as, once it has', () => {
    const walk = busy();
    operate(walk, 'cancel');
    walk.outcome();
    assert.deepEqual([walk.run.status, endingOf(walk.run)], ['cancelled', null]);
    assert.match(endingText({ by: null, waitsFor: 'go' }), /time is up.*once the outcome of `go` is known/);
  });
});
