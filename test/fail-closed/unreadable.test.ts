import assert from 'node:assert/strict';
import { decide } from '../../src/engine/index.js';
import type { Event, RunState } from '../../src/engine/state.js';
import { keyless, plan, state, transition } from '../engine/build.js';
import { kit, message, time } from '../engine/walk.js';
import { failClosed } from './support/cells.js';
import { answers, facing, odd, recorded, refuses } from './support/refused.js';
import { agent } from '../engine/people.js';

// What a store gives back may be anything: it decides nothing, and the record says that it could not be read.

const submit = (): Event => ({
  kind: 'message',
  time,
  message: message(agent, { kind: 'submit', transition: 'go', arguments: {}, expectedVersion: null }),
});

function unread(change: (run: RunState) => RunState): void {
  const walk = facing({});
  walk.run = change(walk.run);
  refuses(walk, () => walk.send(submit()), 'INTERNAL', 'message.refused');
}

/** Nobody is answered, nothing is done, and it is on record. */
function onRecord(run: RunState, event: Event): void {
  const of = plan([state('a', [transition('go', 'b')]), state('b')]);
  const decision = decide(of, run, event, kit, 's1');
  assert.equal(decision.state, run);
  assert.deepEqual([decision.effects, decision.actions], [[], []]);
  assert.equal(recorded(decision, 'message.refused').length, 1);
}

failClosed('engine.input', {
  error: () => unread((run) => ({ ...run, approvals: odd(null) })),
  timeout: () => {
    const walk = facing({ executor: keyless });
    walk.submit(agent, 'go');
    const { run } = walk;
    const action = run.executing?.action;
    const decision = walk.send({ kind: 'outcome', time, action: action?.id ?? '', result: odd(null) });
    assert.deepEqual([walk.run.status, walk.run.problem?.code], ['stuck', 'EXECUTOR_UNKNOWN']);
    assert.deepEqual(walk.run.stuckOn, { kind: 'action', action });
    assert.equal(recorded(decision, 'run.stuck').length, 1);
    assert.deepEqual(
      decision.actions.map((one) => [one.action.id, one.status]),
      [[action?.id, 'unknown']],
    );
    const [said, ...more] = decision.effects.map((one) => (one.kind === 'answer' ? one.answer : null));
    assert.ok(said?.status === 'refused' && more.length === 0);
    assert.deepEqual([said.code, said.errorClass], ['EXECUTOR_FAILED', 'unknown_outcome']);
    // An onEnter is not skipped by a retry, and is a human's to repeat.
    const entering = { ...run, executing: { ...run.executing, at: 'onEnter' } as RunState['executing'] };
    walk.run = entering;
    walk.send({ kind: 'outcome', time, action: action?.id ?? '', result: odd(null) });
    const { idempotencyKey, n } = action ?? assert.fail();
    assert.deepEqual(walk.run.stuckOn, { kind: 'onEnter', unknown: true, again: { idempotencyKey, n } });
    // A run that has ended stays ended.
    onRecord(
      { ...run, status: 'completed' },
      { kind: 'outcome', time, action: action?.id ?? '', result: odd(null) },
    );
  },
  missing: () => {
    unread((run) => ({ ...run, status: odd('fine') }));
    for (const name of ['version', 'stay', 'chainDepth'])
      for (const value of [undefined, null, '1', -1, 0.5, 2 ** 60])
        unread((run) => ({ ...run, [name]: odd(value) }));
  },
  malformed: () => {
    const walk = facing({});
    const event = submit();
    assert.ok(event.kind === 'message');
    const said = walk.send({ ...event, message: { ...event.message, body: odd({ kind: 'shrug' }) } });
    assert.deepEqual(
      answers(said).map((one) => one['code']),
      ['INTERNAL'],
    );
    onRecord(walk.run, odd({ kind: 'shrug', time }));
  },
  empty: () => {
    const { run } = facing({});
    for (const nothing of [null, undefined, {}, [], '', 0]) onRecord(run, odd(nothing));
    for (const nothing of [null, undefined, {}, [], '', 0])
      onRecord(odd(nothing), { kind: 'outcome', time, action: 'act_1', result: odd({}) });
  },
});
