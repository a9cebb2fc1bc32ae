import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Executor, Plan } from '../../../src/engine/plan.js';
import type { EventResult } from '../../../src/engine/state.js';
import { giveUp, wakeTime } from '../../../src/engine/index.js';
import { gate, keyless, onEnter, plan, state, transition, type Fields } from '../build.js';
import { fay, operator, principal } from '../people.js';
import { answerOf, approve, at, begin, begins, lost, message, time, types, type Walk } from '../walk.js';

// A run whose time is up while the outcome of an effect is unknown: only a person's word moves it.

const agent = principal('bot', 'agent', { permissions: ['run.operate'] });
const lasting = 1_000;
const end = at(lasting);

type Target = { readonly target: string } | null;

function paying(onTimeout: Target, fields: Fields = {}): Plan {
  const pay = transition('pay', 'a', { executor: keyless, ...fields });
  const other = transition('other', 'a', { executor: keyless, gate: gate() });
  const states = [state('a', [pay, other]), state('rescue', [transition('fix', 'done')]), state('done')];
  return plan(states, { timeoutMs: lasting, onTimeout });
}
function entering(onTimeout: Target): Plan {
  const states = [
    state('a', [transition('go', 'next')]),
    state('next', [transition('fin', 'done')], onEnter({ executor: keyless })),
    state('done'),
  ];
  return plan(states, { timeoutMs: lasting, onTimeout });
}

const counted = (walk: Walk, type: string): number =>
  walk.history.flatMap((result) => types(result)).filter((name) => name === type).length;
const operate = (walk: Walk, kind: 'cancel' | 'retry', at = end, by = operator): EventResult =>
  walk.send({ kind: 'message', time: at, message: message(by, { kind }) });
const timeUp = (walk: Walk): EventResult => walk.send({ kind: 'timeout', time: end });
const outcomeAt = (walk: Walk, result: object, at = end): EventResult => walk.outcome(result, at);
const isWaiting = ({ run }: Walk, at: string): void => {
  assert.deepEqual([run.status, run.state, run.overdue, run.executing], ['stuck', at, true, null]);
  assert.equal(wakeTime(run), null);
};

const failing = { status: 'failed', errorClass: 'transient', message: 'the target answered 500' } as object;
/** Effects that the runtime begins by itself: on the way into a state, and as a step of a chain. */
const begun: readonly { name: string; walk: (executor: Executor, onTimeout: Target) => Walk }[] = [
  {
    name: 'onEnter:a',
    walk: (executor, onTimeout) =>
      begin(
        plan([state('a', [transition('go', 'done')], onEnter({ executor })), state('done')], {
          timeoutMs: lasting,
          onTimeout,
        }),
      ),
  },
  {
    name: 'pay',
    walk: (executor, onTimeout) =>
      begin(
        plan([state('a', [transition('pay', 'done', { actor: 'deterministic', executor })]), state('done')], {
          timeoutMs: lasting,
          onTimeout,
        }),
      ),
  },
];

describe('what the runtime began and has failed, and may have happened all the same', () => {
  const possible = { ...failing, effectPossible: true };
  const each = begun.flatMap((start) =>
    [keyless, { ...keyless, idempotencyKey: true }].map((executor) => ({ ...start, executor })),
  );

  it('is said to, is repeated for a human alone, under its own key, and is settled by a success', () => {
    for (const { walk: make, executor } of each) {
      const walk = make(executor, null);
      const key = walk.run.executing?.action.idempotencyKey;
      outcomeAt(walk, possible, time);
      assert.match(
        walk.run.problem?.message ?? '',
        /answered 500; it may have happened all the same, look before a retry$/,
      );
      assert.equal(answerOf(operate(walk, 'retry', time, agent))?.code, 'HUMANS_ONLY');
      assert.equal(begins(operate(walk, 'retry', time)), true);
      assert.equal(walk.run.executing?.action.idempotencyKey, key);
      outcomeAt(walk, {}, time);
      assert.deepEqual([walk.run.doubts, walk.run.stuckOn], [undefined, null]);
    }
  });

  it('is named by the end of its run, by a cancel and by time, and time moves the run nowhere before', () => {
    for (const { name, walk: make, executor } of each) {
      for (const ends of [(walk: Walk) => operate(walk, 'cancel', time), timeUp]) {
        const walk = make(executor, null);
        outcomeAt(walk, possible, time);
        ends(walk);
        assert.match(
          walk.run.problem?.message ?? '',
          new RegExp(
            `^the run has ended, and whether \`${name}\` was done is not known: .*answered 500`,
            'u',
          ),
        );
      }
      const walk = make(executor, { target: 'done' });
      outcomeAt(walk, possible, time);
      timeUp(walk);
      isWaiting(walk, 'a');
    }
  });

  it('is no more than a failure where nothing can have happened', () => {
    for (const { walk: make, executor } of each) {
      const walk = make(executor, null);
      outcomeAt(walk, failing, time);
      assert.equal(begins(operate(walk, 'retry', time, agent)), true);
      outcomeAt(walk, failing, time);
      operate(walk, 'cancel', time);
      assert.equal(walk.run.problem, null);
    }
  });
});

/** Stuck on an effect that may have happened, before the time of the run is up. */
const ways: readonly { name: string; at: string; walk: (onTimeout: Target) => Walk }[] = [
  {
    ...{ name: 'pay', at: 'a' },
    walk: (onTimeout) => {
      const walk = begin(paying(onTimeout));
      walk.submit(agent, 'pay');
      walk.outcome(lost);
      return walk;
    },
  },
  {
    ...{ name: 'onEnter:next', at: 'next' },
    walk: (onTimeout) => {
      const walk = begin(entering(onTimeout));
      walk.submit(agent, 'go');
      walk.outcome(lost);
      return walk;
    },
  },
];

describe("a run's time that is up while an outcome is unknown", () => {
  it('neither moves the run nor does anything again: the move waits, and the problem says for what', () => {
    for (const { name, at, walk: make } of ways)
      for (const target of [at, 'done']) {
        const walk = make({ target });
        const problem = walk.run.problem ?? assert.fail();
        const said = timeUp(walk);
        assert.equal(begins(said), false);
        isWaiting(walk, at);
        assert.equal(walk.run.problem?.code, 'EXECUTOR_UNKNOWN');
        const waits = `the run's time is up, and whether \`${name}\` was done is not known: a retry by a person, then the run moves to \`${target}\`, or a cancel`;
        assert.equal(walk.run.problem?.message, `${problem.message}; ${waits}`);
        assert.deepEqual(
          said.trace.map(({ type, data }) => [type, data]),
          [['timeout.fired', { state: at, waits }]],
        );
        assert.equal(answerOf(walk.submit(agent, 'pay'))?.code, 'RUN_STUCK');
        assert.equal(answerOf(operate(walk, 'retry', end, agent))?.code, 'HUMANS_ONLY');
        isWaiting(walk, at);
      }
  });

  it('holds though no timer has gone: an agent that asks, or a person who retries, finds the run waiting', () => {
    for (const { at, walk: make } of ways) {
      const asked = make({ target: at });
      assert.equal(
        answerOf(
          asked.send({
            ...{ kind: 'message', time: end },
            message: message(agent, {
              kind: 'submit',
              transition: 'pay',
              arguments: {},
              expectedVersion: null,
            }),
          }),
        )?.code,
        'RUN_STUCK',
      );
      isWaiting(asked, at);
      const retried = make({ target: at });
      assert.equal(begins(operate(retried, 'retry')), true);
      assert.deepEqual([retried.run.overdue, retried.run.timeoutDue], [true, false]);
    }
  });

  it('holds for an outcome that becomes unknown as the time is up', () => {
    for (const fires of [true, false]) {
      const walk = begin(paying({ target: 'a' }));
      walk.submit(agent, 'other');
      walk.submit(agent, 'pay');
      if (fires) timeUp(walk);
      outcomeAt(walk, lost);
      isWaiting(walk, 'a');
      assert.deepEqual(
        walk.run.approvals.map(({ status }) => status),
        ['revoked'],
      );
    }
  });

  it('moves the run once what a person had repeated has an outcome, and nothing else begins before', () => {
    for (const { at, walk: make } of ways)
      for (const result of [{}, { status: 'failed', errorClass: 'permanent', message: 'no' }]) {
        const walk = make({ target: 'done' });
        timeUp(walk);
        assert.equal(begins(operate(walk, 'retry')), true);
        assert.equal(walk.run.state, at);
        const said = outcomeAt(walk, result);
        assert.equal(begins(said), false);
        assert.deepEqual(
          [walk.run.status, walk.run.state, walk.run.overdue],
          ['timed_out', 'done', undefined],
        );
        assert.equal(counted(walk, 'timeout.fired'), 1);
      }
  });

  it('waits again where the outcome is unknown again', () => {
    for (const { at, walk: make } of ways) {
      const walk = make({ target: at });
      timeUp(walk);
      operate(walk, 'retry');
      outcomeAt(walk, lost);
      isWaiting(walk, at);
      assert.match(walk.run.problem?.message ?? '', /^the connection was lost; the run's time is up/);
      assert.equal(counted(walk, 'timeout.fired'), 1);
      operate(walk, 'cancel');
      assert.equal(walk.run.status, 'cancelled');
    }
  });

  it('leaves the approval open that a retry waits for, and the move waits for what comes of it', () => {
    for (const decision of ['approve', 'deny'] as const) {
      const walk = begin(paying({ target: 'rescue' }, { gate: gate() }));
      walk.submit(agent, 'pay');
      approve(walk);
      walk.submit(agent, 'other');
      walk.outcome(lost);
      operate(walk, 'retry', time);
      timeUp(walk);
      const open = walk.run.approvals.filter((approval) => approval.status === 'open');
      assert.deepEqual(
        open.map(({ action, repeats }) => [action.transition, repeats]),
        [['pay', true]],
      );
      walk.decide(fay, open[0]?.id ?? '', decision);
      if (decision === 'deny') {
        assert.deepEqual([walk.run.status, walk.run.state], ['stuck', 'a']);
        continue;
      }
      outcomeAt(walk, {});
      assert.deepEqual([walk.run.status, walk.run.state], ['running', 'rescue']);
    }
  });

  it('ends a run that has no target, and its end names what may have happened', () => {
    for (const { name, walk: make } of ways) {
      const walk = make(null);
      const said = timeUp(walk);
      assert.equal(walk.run.status, 'timed_out');
      const message = `the run has ended, and whether \`${name}\` was done is not known: the connection was lost`;
      assert.deepEqual([walk.run.problem?.code, walk.run.problem?.message], ['EXECUTOR_UNKNOWN', message]);
      const last = said.trace.at(-1);
      assert.deepEqual(
        [last?.type, last?.data['code'], last?.data['message']],
        ['run.timed_out', 'EXECUTOR_UNKNOWN', message],
      );
    }
  });

  it('is named by a cancel too, also where its problem is not kept', () => {
    const walk = ways[0]?.walk({ target: 'a' }) ?? assert.fail();
    const said = operate(walk, 'cancel');
    assert.equal(said.trace.at(-1)?.data['code'], 'EXECUTOR_UNKNOWN');
    const bare = ways[0]?.walk({ target: 'a' }) ?? assert.fail();
    bare.run = { ...bare.run, problem: null };
    timeUp(bare);
    isWaiting(bare, 'a');
    operate(bare, 'cancel');
    assert.match(bare.run.problem?.message ?? '', /whether `pay` was done is not known/);
  });
});

describe("a run's time that is up while an effect is done and not written", () => {
  const unwritten = (): Walk => {
    const output = [
      { key: 'note', spec: { kind: 'set', value: { kind: 'path', scope: 'output', segments: ['note'] } } },
    ];
    const walk = begin(paying({ target: 'rescue' }, { output } as unknown as Fields));
    walk.submit(agent, 'pay');
    walk.outcome({ output: { note: 'x'.repeat(600_000) } });
    assert.equal(walk.run.stuckOn?.kind, 'done');
    return walk;
  };

  it('waits for a person, whose word does nothing again', () => {
    const walk = unwritten();
    assert.equal(answerOf(operate(walk, 'retry', time))?.code, 'RUN_STUCK');
    timeUp(walk);
    isWaiting(walk, 'a');
    assert.match(walk.run.problem?.message ?? '', /`pay` was done, and what it writes is not kept/);
    assert.equal(answerOf(operate(walk, 'retry', end, agent))?.code, 'HUMANS_ONLY');
    const said = operate(walk, 'retry');
    assert.equal(begins(said), false);
    assert.deepEqual([walk.run.status, walk.run.state], ['running', 'rescue']);
  });
});

describe('a problem in which nothing is in doubt', () => {
  it('does not keep the run from moving when its time is up', () => {
    const failed = { status: 'failed', errorClass: 'permanent', message: 'no' } as object;
    const walk = begin(entering({ target: 'done' }));
    walk.submit(agent, 'go');
    walk.outcome(failed);
    assert.deepEqual(walk.run.stuckOn, { kind: 'onEnter' });
    timeUp(walk);
    assert.equal(walk.run.status, 'timed_out');
    assert.equal(walk.run.problem, null);
  });
});

describe('an onEnter of unknown outcome that may not be done again', () => {
  it('is unknown still: a retry that was refused it has not made it forgotten', () => {
    const walk = begin(entering({ target: 'next' }));
    walk.submit(agent, 'go');
    walk.outcome(lost);
    const { stuckOn } = walk.run;
    assert.ok(stuckOn?.kind === 'onEnter' && stuckOn.unknown === true);
    walk.kit = { ...walk.kit, floors: [{ tiers: ['none'], gate: gate() }] };
    operate(walk, 'retry', time);
    assert.deepEqual([walk.run.status, walk.run.stuckOn], ['stuck', stuckOn]);
    timeUp(walk);
    isWaiting(walk, 'next');
  });
});

describe('a run that its time-out led on', () => {
  it('is timed out only where the target of its time-out is its end', () => {
    const direct = begin(paying({ target: 'done' }));
    timeUp(direct);
    assert.equal(direct.run.status, 'timed_out');
    const rescued = begin(paying({ target: 'rescue' }));
    timeUp(rescued);
    rescued.submit(agent, 'fix');
    assert.deepEqual([rescued.run.status, rescued.run.state], ['completed', 'done']);
    const fix = transition('fix', 'failed', { actor: 'deterministic' });
    const chained = begin(
      plan(
        [
          state('a', [transition('go', 'a')]),
          state('rescue', [fix]),
          state('failed', [], { outcome: 'failure' }),
        ],
        {
          ...{ timeoutMs: lasting, onTimeout: { target: 'rescue' } },
        },
      ),
    );
    timeUp(chained);
    assert.equal(chained.run.status, 'failed');
  });
});

describe('a run that is to end while the effect of its last call has happened', () => {
  const keyed: Executor = { ...keyless, idempotencyKey: true };
  const ended = (isCancelled: boolean): Walk => {
    const fields = { executor: keyed, outputSchema: { output: true } };
    const walk = begin(paying(null, fields), {}, agent);
    walk.submit(agent, 'pay');
    if (isCancelled) operate(walk, 'cancel', time);
    outcomeAt(walk, { output: 'none that fits' }, time);
    return walk;
  };

  it('says at its end that it may have happened, where what was answered cannot be used', () => {
    const { run } = ended(true);
    assert.equal(run.status, 'cancelled');
    assert.match(run.problem?.message ?? '', /whether `pay` was done is not known/u);
    assert.match(run.problem?.message ?? '', /its effect has happened, and the run is to end/u);
  });

  it('is not what a run is told that goes on: the same key makes it safe to ask again', () => {
    const { run } = ended(false);
    assert.deepEqual([run.status, run.problem], ['running', null]);
  });
});

describe('what a caller asked for, and failed, and may have happened all the same', () => {
  const possible = { ...failing, effectPossible: true };
  const keyed: Executor = { ...keyless, idempotencyKey: true };
  const failedOnce = (onTimeout: Target, executor = keyed): Walk => {
    const pay = transition('zahle für', 'a', { executor });
    const walk = begin(
      plan(
        [
          state('a', [pay, transition('finish', 'done'), transition('fail', 'failed')]),
          state('done'),
          state('failed', [], { outcome: 'failure' }),
        ],
        { timeoutMs: lasting, onTimeout },
      ),
    );
    walk.submit(agent, 'zahle für');
    outcomeAt(walk, possible, time);
    assert.deepEqual([walk.run.status, walk.run.problem], ['running', null]);
    return walk;
  };
  const ends: readonly (readonly [status: string, onTimeout: Target, end: (walk: Walk) => EventResult])[] = [
    ['cancelled', null, (walk) => operate(walk, 'cancel', time)],
    ['timed_out', null, timeUp],
    ['timed_out', { target: 'done' }, timeUp],
    ['completed', null, (walk) => walk.submit(agent, 'finish')],
    ['failed', null, (walk) => walk.submit(agent, 'fail')],
  ];

  it('is named by the end of its run, whatever ends it', () => {
    for (const executor of [keyed, keyless])
      for (const [status, onTimeout, end] of ends) {
        const walk = failedOnce(onTimeout, executor);
        const said = end(walk);
        const message =
          'the run has ended, and whether `zahle für` was done is not known: it failed, and may have happened all the same';
        assert.equal(walk.run.status, status);
        assert.deepEqual(walk.run.problem, {
          ...{ code: 'EXECUTOR_UNKNOWN', message, errorClass: 'unknown_outcome' },
        });
        const last = said.trace.at(-1);
        assert.deepEqual([last?.data['code'], last?.data['message']], ['EXECUTOR_UNKNOWN', message]);
      }
  });

  it('is not, once it has been done under its key', () => {
    for (const [status, onTimeout, end] of ends) {
      const walk = failedOnce(onTimeout);
      walk.submit(agent, 'zahle für');
      outcomeAt(walk, {}, time);
      end(walk);
      assert.equal(walk.run.status, status);
      assert.equal(walk.run.problem?.code, status === 'failed' ? 'OUTCOME_FAILURE' : undefined);
    }
  });

  it('is named beside what the run is stuck on, each once, and no more of them than a sentence can hold', () => {
    const names = Array.from({ length: 12 }, (_, n) => `pay${n}`);
    const walk = begin(
      plan([
        state(
          'a',
          names.map((name) => transition(name, 'a', { executor: keyed })),
        ),
      ]),
    );
    for (const name of [...names.slice(1), 'pay1']) {
      walk.submit(agent, name, { n: walk.history.length });
      outcomeAt(walk, possible, time);
    }
    walk.submit(agent, 'pay0');
    outcomeAt(walk, lost, time);
    operate(walk, 'cancel', time);
    const listed = names
      .slice(1, 11)
      .map((name) => `\`${name}\``)
      .join(', ');
    assert.equal(
      walk.run.problem?.message,
      `the run has ended, and whether \`pay0\` was done is not known: the connection was lost; nor is known whether ${listed} and 1 more was done`,
    );
  });

  it('is named where the run is given up, stuck on something else, and then cancelled', () => {
    const walk = failedOnce(null);
    const { state: stuck } = giveUp(walk.run, {
      ...{ code: 'STEP_FAILED', key: 'k', time, why: 'a bug', start: null, messages: [] },
    });
    walk.run = stuck;
    operate(walk, 'cancel', time);
    assert.match(walk.run.problem?.message ?? '', /whether `zahle für` was done is not known/u);
  });
});
