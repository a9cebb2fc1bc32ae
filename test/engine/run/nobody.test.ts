import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { mayDecide } from '../../../src/engine/index.js';
import type { Guard } from '../../../src/engine/plan.js';
import type { ApprovalState } from '../../../src/engine/state.js';
import { expr, gate, literal, path, plan, rest, state, transition, type Fields } from '../build.js';
import { agent, ann, principal } from '../people.js';
import { begin, kit, operate, type Walk } from '../walk.js';

// A run in which it is nobody's turn says so: it is stuck and waits for an operator, and never waits in silence.

const never = expr(literal(1), '==', literal(2));
const open: Guard = expr(path('context', 'open'), '==', literal(true));

const problem = (walk: Walk): readonly unknown[] => [walk.run.status, walk.run.problem?.code];
const stuck = ['stuck', 'NO_ELIGIBLE_TRANSITION'];
const approval = (walk: Walk, at = -1): ApprovalState => walk.run.approvals.at(at) ?? assert.fail();

/** `pay` is asked for while the context says open; `shut` closes it, so that only the approval is left. */
function lastHope(fields: Fields = {}): Walk {
  const walk = begin(
    plan(
      [
        state('a', [
          transition('pay', 'b', { gate: gate(), guards: [open], ...fields }),
          transition('shut', 'a', {
            guards: [open],
            executor: rest,
            output: [
              {
                key: 'open',
                spec: { kind: 'set', value: { kind: 'literal', value: false } },
              },
            ],
          }),
        ]),
        state('b'),
      ],
      { initialContext: { open: true } },
    ),
  );
  walk.submit(agent, 'pay');
  walk.submit(agent, 'shut');
  walk.outcome();
  assert.equal(walk.run.status, 'waiting');
  return walk;
}

describe('a run of which the last thing asked for is not done', () => {
  it('is stuck when it is denied', () => {
    const walk = lastHope();
    walk.decide(ann, approval(walk).id, 'deny');
    assert.deepEqual(problem(walk), stuck);
    assert.match(walk.run.problem?.message ?? '', /`pay`: .* is false/);
  });
  it('is stuck when its time is up', () => {
    const walk = lastHope();
    walk.fire(approval(walk).id);
    assert.deepEqual([...problem(walk), approval(walk).status], [...stuck, 'expired']);
  });
  it('is stuck when a guard no longer lets through what was approved', () => {
    const walk = lastHope();
    walk.decide(ann, approval(walk).id, 'approve');
    assert.deepEqual([...problem(walk), approval(walk).status], [...stuck, 'approved']);
  });
  it('goes on as long as somebody could still come', () => {
    const walk = begin(
      plan([state('a', [transition('pay', 'b', { gate: gate() }), transition('stay', 'a')]), state('b')]),
    );
    walk.submit(agent, 'pay');
    walk.decide(ann, approval(walk).id, 'deny');
    assert.equal(walk.run.status, 'running');
  });
  it('is stuck where a store has lost the state that it stands in', () => {
    const walk = lastHope();
    walk.run = { ...walk.run, state: 'gone' };
    walk.decide(ann, approval(walk).id, 'deny');
    assert.deepEqual(problem(walk), stuck);
  });
});

describe('a gate on a step of the runtime', () => {
  const chain = (): Walk =>
    begin(plan([state('a', [transition('go', 'b', { actor: 'deterministic', gate: gate() })]), state('b')]));
  it('leaves the run to an operator when it is denied, and is asked for again on retry', () => {
    const walk = chain();
    assert.equal(walk.run.status, 'waiting');
    walk.decide(ann, approval(walk).id, 'deny');
    assert.deepEqual(problem(walk), stuck);
    assert.match(walk.run.problem?.message ?? '', /`go`: only the runtime takes it/);
    operate(walk, 'retry');
    assert.deepEqual([walk.run.status, walk.run.approvals.length], ['waiting', 2]);
    walk.decide(ann, approval(walk).id, 'approve');
    assert.equal(walk.run.status, 'completed');
  });
});

describe('a state that only looks as if somebody could go on', () => {
  const entered = (fields: Fields, charter: object = {}): Walk =>
    begin(
      plan(
        [state('a', [transition('go', 'b', fields), transition('no', 'b', { guards: [never] })]), state('b')],
        {
          charter: { read: [], execute: [], deny: [], unmapped: [], ...charter },
        },
      ),
    );
  it('is stuck where only the runtime could, and does not while others stand beside it', () => {
    const walk = entered({ actor: 'deterministic' });
    assert.deepEqual(problem(walk), stuck);
    assert.match(walk.run.problem?.message ?? '', /`go`: only the runtime takes it; `no`: /);
  });
  it('is stuck where the charter blocks what is left', () => {
    const walk = entered({ tool: 't', tier: 'reversible' }, { deny: ['t'] });
    assert.deepEqual(problem(walk), stuck);
    assert.match(walk.run.problem?.message ?? '', /`go`: the charter blocks it \(denied\)/);
    assert.equal(entered({ tool: 't', tier: 'reversible' }, { read: ['t'] }).run.status, 'running');
  });
});

describe('an approval of a store that has lost something', () => {
  it('is no reason not to settle what was executed under it', () => {
    const walk = begin(
      plan([state('a', [transition('pay', 'b', { gate: gate(), executor: rest })]), state('b')]),
    );
    walk.submit(agent, 'pay');
    walk.decide(ann, approval(walk).id, 'approve');
    walk.run = { ...walk.run, approvals: [] };
    walk.outcome();
    assert.equal(walk.run.status, 'completed');
    assert.ok(walk.last.trace.every((fact) => fact.type !== 'approval.consumed'));
  });
});

describe('a gate of a queue', () => {
  it('keeps its people beside a gate of others', () => {
    const gates = [gate({ roles: [], queue: 'controllers' }), gate({ roles: ['cfo'] })];
    const walk = begin(plan([state('a', [transition('pay', 'b', { gates })]), state('b')]), {}, agent, kit);
    walk.submit(agent, 'pay');
    const cfo = principal('cat', 'human', { roles: ['cfo'] });
    assert.equal(mayDecide(approval(walk), ann, kit).status, 'yes');
    walk.decide(cfo, approval(walk).id, 'approve');
    assert.equal(approval(walk).status, 'open');
    walk.decide(ann, approval(walk).id, 'approve');
    assert.equal(walk.run.status, 'completed');
  });
});
