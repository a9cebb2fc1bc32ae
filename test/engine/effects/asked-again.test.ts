import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Plan } from '../../../src/engine/plan.js';
import type { Asking, Kit, RunState } from '../../../src/engine/state.js';
import { giveUp } from '../../../src/engine/index.js';
import { gate, onEnter, plan, rest, state, transition } from '../build.js';
import { agent, principal } from '../people.js';
import { answerOf, approve, begin, kit, lost, operate, statuses, time, type Walk } from '../walk.js';

// An effect that may have happened already is asked for again: who is told, and what it is sent with.

const other = principal('drone', 'agent');
const failed = { status: 'failed', errorClass: 'transient', message: '500', effectPossible: true } as object;

const pays = (target: string, gated = true) =>
  transition('pay', target, { executor: rest, gates: gated ? [gate()] : [] });
const twice = (gated = true): Plan =>
  plan([
    state('a', [pays('a', gated), transition('go', 'b')]),
    state('b', [pays('b', gated), transition('back', 'a')]),
  ]);

/** A run, and what its approvers were last shown. */
function showing(of: Plan): { walk: Walk; asked: () => Asking } {
  let last: Asking | null = null;
  const show: Kit['show'] = (transition, asking) => {
    last = asking;
    return kit.show(transition, asking);
  };
  const walk = begin(of, {}, principal('starter'), { ...kit, show });
  return { walk, asked: () => last ?? assert.fail('nobody was asked') };
}

const keyOf = ({ run }: Walk): string =>
  run.executing?.action.idempotencyKey ?? assert.fail('nothing executes');

describe('a retry of an unknown outcome', () => {
  /** The same as an earlier kernel named and counted it. */
  const renamed = (key: string): string => key.replace(/:[^:]*:([^:]*):.*$/u, ':an older name:$1:7');

  it('is sent with the key that it had, whatever it would be now', () => {
    for (const gated of [false, true]) {
      const walk = begin(twice(gated));
      walk.submit(agent, 'pay');
      if (gated) approve(walk);
      walk.outcome(lost);
      const { stuckOn } = walk.run;
      assert.ok(stuckOn?.kind === 'action');
      const idempotencyKey = renamed(stuckOn.action.idempotencyKey);
      const doubts = [idempotencyKey];
      walk.run = {
        ...walk.run,
        doubts,
        stuckOn: { kind: 'action', action: { ...stuckOn.action, idempotencyKey, n: 7 } },
      };
      operate(walk, 'retry');
      if (gated) approve(walk);
      assert.equal(keyOf(walk), idempotencyKey);
      assert.equal(walk.run.executing?.action.n, 7);
      // While its outcome is unknown again the key stays the same; once it is done, the next key is none that was used.
      walk.outcome(lost);
      operate(walk, 'retry');
      if (gated) approve(walk);
      assert.equal(keyOf(walk), idempotencyKey);
      walk.outcome();
      assert.equal(walk.run.doubts, undefined);
      walk.submit(agent, 'pay');
      if (gated) approve(walk);
      assert.match(keyOf(walk), /:a\/pay:.*:8$/);
    }
  });

  it('tells who is asked that it may have happened, whatever its key would be now', () => {
    const { walk, asked } = showing(twice());
    walk.submit(agent, 'pay');
    approve(walk);
    walk.outcome(lost);
    const { stuckOn } = walk.run;
    assert.ok(stuckOn?.kind === 'action');
    const idempotencyKey = renamed(stuckOn.action.idempotencyKey);
    walk.run = {
      ...walk.run,
      doubts: [idempotencyKey],
      stuckOn: { kind: 'action', action: { ...stuckOn.action, idempotencyKey } },
    };
    operate(walk, 'retry');
    assert.deepEqual([asked().inDoubt, asked().repeatedBy], [true, 'ops']);
    // Two people who retry share one approval.
    operate(walk, 'retry');
    assert.deepEqual(statuses(walk), ['consumed', 'open']);
  });

  it('is the same of an onEnter, also where what it was is not kept with it', () => {
    const of = plan([state('a', [transition('go', 'b')]), state('b', [transition('again', 'b')], onEnter())]);
    for (const keep of [true, false]) {
      const walk = begin(of);
      walk.submit(agent, 'go');
      const own = keyOf(walk);
      walk.outcome(lost);
      const idempotencyKey = renamed(own);
      const again = { idempotencyKey, n: 7 };
      walk.run = { ...walk.run, stuckOn: { kind: 'onEnter', unknown: true, ...(keep ? { again } : {}) } };
      operate(walk, 'retry');
      assert.equal(keyOf(walk), keep ? idempotencyKey : own);
      walk.outcome();
      walk.submit(agent, 'again');
      assert.match(keyOf(walk), keep ? /:onEnter:b:[0-9a-f]*:8$/ : /:onEnter:b:[0-9a-f]*:1$/);
    }
  });
});

describe('a name that several states have', () => {
  const counts = ({ run }: Walk) =>
    run.successes.flatMap(([key, times]) => (key.includes('pay') ? [[key.split(':')[0], times]] : []));

  it('has one count for each of them: what one has done gives no other a new key, and settles no doubt of it', () => {
    const { walk, asked } = showing(twice());
    walk.submit(agent, 'pay');
    approve(walk);
    const first = keyOf(walk);
    walk.outcome(failed);
    walk.submit(agent, 'go');
    walk.submit(agent, 'pay');
    assert.equal(asked().inDoubt, false, 'what is in doubt is the other one');
    approve(walk);
    walk.outcome();
    assert.deepEqual(counts(walk), [['b/pay', 1]]);
    walk.submit(agent, 'pay');
    assert.equal(asked().done, 1);
    walk.submit(agent, 'back');
    walk.submit(agent, 'pay');
    assert.deepEqual([asked().inDoubt, asked().done], [true, 0]);
    approve(walk);
    assert.equal(keyOf(walk), first, 'it has not succeeded: its target knows it by the key that it had');
  });

  it('is counted as often as it was done there, and each time its key is another', () => {
    const walk = begin(twice(false));
    const keys = new Set<string>();
    for (const name of ['pay', 'pay', 'go', 'pay', 'back', 'pay', 'go', 'pay']) {
      walk.submit(agent, name);
      if (name !== 'pay') continue;
      keys.add(keyOf(walk));
      walk.outcome();
    }
    assert.equal(keys.size, 5);
    assert.deepEqual(counts(walk), [
      ['a/pay', 3],
      ['b/pay', 2],
    ]);
  });

  it('of an approval is bound with its own count: done meanwhile by another, it does not run', () => {
    const walk = begin(twice());
    walk.submit(agent, 'pay');
    const [{ action }] = walk.run.approvals as [RunState['approvals'][number]];
    const counted = (name: string): readonly [string, number] => [
      `${name}:${action.idempotencyKey.split(':')[2]}`,
      1,
    ];
    for (const [name, runs] of [
      ['b/pay', true],
      ['a/pay', false],
    ] as const) {
      const before = walk.run;
      walk.run = { ...before, successes: [counted(name)] };
      approve(walk);
      assert.equal(walk.run.executing !== null, runs, name);
      walk.run = before;
    }
  });
});

describe('what becomes of a card that does not say that it may have happened', () => {
  /** Two ask for the same, one is approved, and its outcome is `result`. */
  const two = (result: object): Walk => {
    const walk = begin(twice());
    walk.submit(other, 'pay', {});
    walk.submit(other, 'pay', { n: 2 });
    walk.submit(agent, 'pay', {});
    approve(walk);
    walk.outcome(result);
    return walk;
  };

  it('is revoked, and others stay', () => {
    for (const result of [lost, failed])
      assert.deepEqual(statuses(two(result)), ['revoked', 'open', 'consumed']);
    const plainly = { ...failed, effectPossible: undefined };
    assert.deepEqual(statuses(two(plainly)), ['open', 'open', 'consumed']);
  });

  it('is revoked too where its outcome could not be read, and the action and whoever waits are told', () => {
    const run = begin(twice());
    run.submit(other, 'pay');
    run.submit(agent, 'pay');
    approve(run);
    const { action } = run.run.executing ?? assert.fail();
    run.send({ kind: 'outcome', time, action: action.id, result: null as never });
    assert.deepEqual(statuses(run).slice(0, 1), ['revoked']);
    assert.deepEqual(run.run.doubts, [action.idempotencyKey]);
    const told = run.last.actions.find((row) => row.action.id === action.id);
    assert.deepEqual([told?.status, told?.error?.code], ['unknown', 'EXECUTOR_UNKNOWN']);
    operate(run, 'retry');
    assert.equal(run.run.approvals.filter(({ status }) => status === 'open').length, 1);
  });

  it('is revoked, on record, where the run is given up', () => {
    const walk = begin(twice());
    walk.submit(other, 'pay');
    walk.submit(agent, 'pay');
    approve(walk);
    const given = giveUp(walk.run, {
      ...{ code: 'STEP_FAILED', key: 's9.failed', time, why: 'it threw', start: null, messages: [] },
    });
    assert.equal(given.state.approvals[0]?.status, 'revoked');
    assert.deepEqual(
      given.trace.map(({ type }) => type),
      ['approval.revoked', 'run.stuck'],
    );
    assert.deepEqual(
      given.actions.map(({ status }) => status),
      ['revoked', 'unknown'],
    );
  });

  it('of an outcome that cannot be read leaves nobody waiting', () => {
    const walk = begin(twice(false));
    const sent = walk.submit(agent, 'pay');
    assert.equal(answerOf(sent), undefined);
    const { action } = walk.run.executing ?? assert.fail();
    const said = answerOf(walk.send({ kind: 'outcome', time, action: action.id, result: null as never }));
    assert.deepEqual([said?.status, said?.status === 'refused' && said.code], ['refused', 'EXECUTOR_FAILED']);
    assert.equal(walk.run.waitingAnswer, null);
  });

  it('is no matter where approvals, or the key, cannot be read either: the run is stuck all the same', () => {
    for (const spoil of [
      (run: RunState): RunState => ({ ...run, approvals: null as never }),
      (run: RunState): RunState => ({
        ...run,
        executing: { ...run.executing, action: { ...run.executing?.action, idempotencyKey: 7 } } as never,
      }),
    ]) {
      const walk = begin(twice(false));
      walk.submit(agent, 'pay');
      const { action } = walk.run.executing ?? assert.fail();
      walk.run = spoil(walk.run);
      walk.send({ kind: 'outcome', time, action: action.id, result: null as never });
      assert.deepEqual([walk.run.status, walk.run.executing], ['stuck', null]);
    }
  });
});
