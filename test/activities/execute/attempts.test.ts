import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  outcomeOfAbandoned,
  decideAfterFailure,
  isCalledOff,
  judgeDenial,
  judgeFailure,
  chooseNextAttempt,
  judgeAndFollow,
} from '../../../src/activities/execute/attempts.js';
import { hasEffect } from '../../../src/executors/index.js';
import type { RestExecutor } from '../../../src/executors/rest/types.js';
import { defaultReliability, type Executor, type Reliability } from '../../../src/engine/plan.js';
import type { Executing, RunState } from '../../../src/engine/state.js';
import type { ErrorClass } from '../../../src/model/contract/errors.js';
import type { AttemptRow } from '../../../src/store/runs/actions.js';

const rest = (fields: Partial<RestExecutor> = {}): Executor => ({
  kind: 'rest',
  connection: 'c',
  method: 'POST',
  path: { kind: 'text', parts: ['/'] },
  query: [],
  headers: [],
  body: null,
  idempotencyKey: false,
  ...fields,
});

function executing(
  executor: Executor,
  reliability: Partial<Reliability> = {},
  tier: 'read_only' | null = null,
) {
  const action = { id: 'act_1', transition: 't', tier } as Executing['action'];
  const merged = { ...defaultReliability, ...reliability };
  return { action, executor, reliability: merged, at: 'transition' } as Executing;
}

const row = (
  attempt: number,
  outcome: AttemptRow['outcome'],
  more: Partial<AttemptRow> = {},
): AttemptRow => ({
  action: 'act_1',
  attempt,
  executor: 0,
  idempotencyKey: 'k',
  startedAt: '',
  finishedAt: null,
  outcome,
  errorClass: outcome === 'failed' ? 'transient' : null,
  effectPossible: false,
  effectInDoubt: false,
  nextAt: null,
  ...{ owner: 'run/1', process: 'svc_1' },
  ...more,
});
const failed = (attempt: number, errorClass: ErrorClass, executor = 0): AttemptRow =>
  row(attempt, 'failed', { errorClass, executor });

describe('the next attempt', () => {
  const called = (of: Executing, rows: readonly AttemptRow[]): string | null => {
    const next = chooseNextAttempt(of, rows);
    return next.kind === 'attempt' && 'connection' in next.executor ? next.executor.connection : null;
  };
  const second = rest({ connection: 'second' });
  const third = rest({ connection: 'third' });

  it('follows the failed ones, then the fallbacks in their order', () => {
    const of = executing(rest(), { maxAttempts: 2, fallback: [second] });
    const rows = [failed(1, 'transient'), failed(2, 'timeout')];
    assert.deepEqual(
      [0, 1, 2].map((count) => called(of, rows.slice(0, count))),
      ['c', 'c', 'second'],
    );
  });

  it('is a fallback’s at once after a failure that is never retried, and each is called once', () => {
    const of = executing(rest(), { maxAttempts: 4, fallback: [second, third] });
    const rows = [failed(1, 'auth'), failed(2, 'timeout', 1), failed(3, 'permanent', 2)];
    assert.deepEqual(
      [1, 2, 3].map((count) => called(of, rows.slice(0, count))),
      ['second', 'third', null],
    );
  });

  it('is a fallback’s after some retries too, when one of them is refused for good', () => {
    const of = executing(rest(), { maxAttempts: 4, fallback: [second] });
    assert.equal(called(of, [failed(1, 'transient'), failed(2, 'permanent')]), 'second');
  });

  it('is nobody’s where the record of attempts has no next attempt', () => {
    const of = executing(rest({ idempotencyKey: true }), { maxAttempts: 2 });
    for (const rows of [
      [failed(1, 'permanent')],
      [failed(1, 'transient'), failed(2, 'transient')],
      [row(1, 'succeeded')],
      [row(1, 'unknown')],
      [row(1, 'unknown', { errorClass: 'timeout' })],
      [row(1, 'succeeded', { errorClass: 'timeout' })],
      [row(1, 'failed', { errorClass: null })],
      [row(1, null, { executor: 7 })],
    ])
      assert.equal(chooseNextAttempt(of, rows).kind, 'unknown', JSON.stringify(rows));
  });

  it('is the lost one again where that was a fallback’s', () => {
    const of = executing(rest(), { fallback: [rest({ connection: 'second', idempotencyKey: true })] });
    assert.equal(called(of, [failed(1, 'permanent'), row(2, null, { executor: 1 })]), 'second');
  });

  it('is the same one again after a lost worker, where repeating it is safe', () => {
    const lost = [row(1, null)];
    for (const safe of [
      executing(rest({ idempotencyKey: true })),
      executing(rest({ method: 'GET' })),
      executing(rest(), {}, 'read_only'),
    ]) {
      const next = chooseNextAttempt(safe, lost);
      assert.deepEqual(next.kind === 'attempt' ? [next.attempt, next.resumed] : null, [1, true]);
    }
  });

  it('is nobody’s to make after a lost worker, where it might be done twice', () => {
    assert.equal(chooseNextAttempt(executing(rest()), [row(1, null)]).kind, 'unknown');
    const cli: Executor = { kind: 'cli', connection: 'c', args: [], stdin: null, idempotencyKey: false };
    assert.equal(chooseNextAttempt(executing(cli), [row(1, null)]).kind, 'unknown');
  });
});

describe('after a failure', () => {
  const retrying = (fields: Partial<Reliability>) => executing(rest(), { maxAttempts: 3, ...fields });
  const tried = (...executors: readonly number[]) =>
    executors.map((executor, index) => ({ attempt: index + 1, executor }));

  it('waits longer each time, up to its limit', () => {
    const of = retrying({ backoff: 'exponential', initialDelayMs: 1_000, maxDelayMs: 1_500 });
    const failure = { errorClass: 'transient' } as const;
    assert.deepEqual(decideAfterFailure(of, tried(0), failure), { kind: 'retry', delayMs: 1_000 });
    assert.deepEqual(decideAfterFailure(of, tried(0, 0), failure), { kind: 'retry', delayMs: 1_500 });
  });

  const waits: readonly (readonly [string, number, number, number | null, number])[] = [
    ['as long as the target asks', 9_000, 60_000, null, 9_000],
    ['no longer than `maxDelayMs`', 90_000, 60_000, null, 60_000],
    ['no longer than an hour', 31_536_000_000, 31_536_000_000, null, 3_600_000],
    ['no longer than an hour where the run has more', 31_536_000_000, 31_536_000_000, 7_200_000, 3_600_000],
    ['no longer than the run has', 9_000, 60_000, 6_000, 6_000],
    ['not at all where it asks for now', 0, 60_000, null, 0],
  ];
  for (const [how, asked, maxDelayMs, left, delayMs] of waits)
    it(`waits ${how}`, () => {
      const failure = { errorClass: 'rate_limited', retryAfterMs: asked } as const;
      assert.deepEqual(decideAfterFailure(retrying({ maxDelayMs }), tried(0), failure, left), {
        kind: 'retry',
        delayMs,
      });
    });

  it('ends when the run’s time is up', () => {
    const of = executing(rest(), { maxAttempts: 3, fallback: [rest()] });
    for (const errorClass of ['transient', 'permanent'] as const)
      assert.deepEqual(decideAfterFailure(of, tried(0), { errorClass }, 0), { kind: 'final' });
  });

  it('never tries auth, permanent and unknown outcomes again', () => {
    for (const errorClass of ['auth', 'permanent', 'unknown_outcome'] as const)
      assert.deepEqual(decideAfterFailure(retrying({}), tried(0), { errorClass }), { kind: 'final' });
  });

  it('goes to the fallbacks after the last attempt, but not after an unknown outcome', () => {
    const of = executing(rest(), { fallback: [rest()] });
    const permanent = { errorClass: 'permanent' } as const;
    assert.deepEqual(decideAfterFailure(of, tried(0), permanent), { kind: 'fallback', position: 1 });
    assert.deepEqual(decideAfterFailure(of, tried(0, 1), permanent), { kind: 'final' });
    assert.deepEqual(decideAfterFailure(of, tried(0), { errorClass: 'unknown_outcome' }), { kind: 'final' });
    assert.deepEqual(decideAfterFailure(of, tried(0), { ...permanent, effectPossible: true }), {
      kind: 'final',
    });
  });

  it('is an unknown outcome still when the target refuses after an attempt that nobody knows the outcome of', () => {
    for (const errorClass of ['auth', 'permanent'] as const) {
      const refused = { status: 'failed', errorClass, message: 'said no' } as const;
      for (const then of ['retry', 'fallback', 'final'] as const) {
        for (const before of ['possible', 'in_doubt'] as const)
          assert.equal(judgeFailure(refused, before, then).errorClass, 'unknown_outcome');
        assert.equal(judgeFailure(refused, 'none', then).errorClass, errorClass);
      }
    }
  });

  it('says what a 5xx leaves open, and stays failed, when the next attempt is refused here and not by the target', () => {
    assert.equal(judgeDenial('no right', 'possible').errorClass, 'unknown_outcome');
    assert.deepEqual(judgeDenial('no right', 'none'), {
      ...{ status: 'failed', errorClass: 'permanent', message: 'no right' },
    });
    const { errorClass, message } = judgeDenial('no right', 'in_doubt');
    assert.equal(errorClass, 'permanent');
    assert.match(message, /^no right; .*does not say that nothing happened$/);
  });

  it('is an unknown outcome, whatever its class, when nothing is tried after it', () => {
    for (const errorClass of ['timeout', 'connection', 'rate_limited', 'transient'] as const) {
      const last = { status: 'failed', errorClass, message: 'failed' } as const;
      const judged = judgeFailure(last, 'possible', 'final');
      assert.equal(judged.errorClass, 'unknown_outcome');
      // Whether a key was sent is not said here.
      assert.equal(
        judged.message,
        'failed; an earlier attempt may have had its effect, check it before a retry',
      );
      for (const before of ['none', 'in_doubt'] as const)
        assert.equal(judgeFailure(last, before, 'final').errorClass, errorClass);
      for (const then of ['retry', 'fallback'] as const)
        assert.equal(judgeFailure(last, 'possible', then).errorClass, errorClass);
    }
  });
});

describe('the last failure of a run that is to end', () => {
  it('is an unknown outcome where the target may have done it, since nobody asks again', () => {
    const of = executing(rest({ idempotencyKey: true }), { maxAttempts: 3 });
    const goesOn = { cancelRequested: null, timeoutDue: false, deadline: null };
    const ends: readonly object[] = [{ cancelRequested: {} }, { timeoutDue: true }, { deadline: 5 }];
    for (const errorClass of ['timeout', 'connection', 'transient', 'permanent'] as const)
      for (const run of [{}, ...ends]) {
        const of5 = (effectPossible: boolean) =>
          judgeAndFollow(
            { ...goesOn, ...run },
            ...([of, [failed(1, errorClass)]] as const),
            ...([{ status: 'failed', errorClass, message: 'no answer', effectPossible }, 'none', 5] as const),
          ).judged;
        const isUnknown = run !== undefined && ends.includes(run);
        assert.equal(of5(true).errorClass, isUnknown ? 'unknown_outcome' : errorClass);
        assert.equal(of5(false).errorClass, errorClass);
        if (isUnknown)
          assert.match(of5(true).message, /^no answer; its effect may have happened, .*check it$/);
      }
  });
});

describe('a failure after an attempt that nobody knows the outcome of', () => {
  const goesOn = { cancelRequested: null, timeoutDue: false, deadline: null };
  const ruled = (attempts: number, errorClass: ErrorClass, run: object = {}) => {
    const rows = Array.from({ length: attempts }, (_one, index) => failed(index + 1, errorClass));
    const of = executing(rest({ idempotencyKey: true }), { maxAttempts: 3 });
    const { judged, then } = judgeAndFollow(
      { ...goesOn, ...run },
      ...([of, rows, { status: 'failed', errorClass, message: 'failed' }, 'possible', 5] as const),
    );
    return [then.kind, judged.errorClass];
  };

  it('keeps its class while it is tried again, and is unknown when it is not', () => {
    assert.deepEqual(ruled(2, 'transient'), ['retry', 'transient']);
    assert.deepEqual(ruled(3, 'transient'), ['final', 'unknown_outcome']);
    assert.deepEqual(ruled(2, 'permanent'), ['final', 'unknown_outcome']);
  });

  it('is unknown when the run is over', () => {
    for (const run of [{ cancelRequested: {} }, { timeoutDue: true }, { deadline: 5 }])
      assert.deepEqual(ruled(2, 'transient', run), ['final', 'unknown_outcome']);
  });
});

describe('between two attempts', () => {
  const run = (fields: object) =>
    ({ cancelRequested: null, timeoutDue: false, deadline: null, ...fields }) as RunState;

  it('ends what is cancelled or out of time, and nothing that is under way', () => {
    const waiting = [failed(1, 'transient')];
    assert.equal(isCalledOff(run({}), waiting, 5), false);
    assert.equal(isCalledOff(run({}), [], 5), false);
    for (const fields of [{ cancelRequested: {} }, { timeoutDue: true }, { deadline: 5 }]) {
      assert.equal(isCalledOff(run(fields), waiting, 5), true);
      assert.equal(isCalledOff(run(fields), [], 5), true, 'the first begins as little as the next');
      assert.equal(isCalledOff(run(fields), [row(1, null)], 5), false);
    }
  });

  it('leaves the outcome unknown where an attempt may have had its effect', () => {
    assert.equal(outcomeOfAbandoned([failed(1, 'transient')], null, 'none').status, 'failed');
    const timedOut = { ...failed(1, 'timeout'), effectPossible: true };
    assert.equal(outcomeOfAbandoned([timedOut, failed(2, 'transient')], null, 'none').status, 'unknown');
    const answered503 = { ...failed(1, 'transient'), effectInDoubt: true };
    const { status, message } = outcomeOfAbandoned([answered503], null, 'none');
    assert.equal(status, 'failed', 'as 503 is where nothing follows it');
    assert.match(message, /does not say that nothing happened/);
    assert.equal(outcomeOfAbandoned([row(1, null)], null, 'none').status, 'unknown');
    // Another action's under the same key, which this one does again.
    assert.equal(outcomeOfAbandoned([], null, 'possible').status, 'unknown');
    assert.deepEqual(Object.keys(outcomeOfAbandoned([], null, 'in_doubt')).includes('effectPossible'), true);
    assert.equal('effectPossible' in outcomeOfAbandoned([], null, 'none'), false);
  });

  it('says why, and of a failure of our own never that the run was cancelled', () => {
    const messageOf = (rows: readonly AttemptRow[], why: string | null): string =>
      outcomeOfAbandoned(rows, why, 'none').message;
    assert.match(messageOf([failed(1, 'transient')], null), /cancelled or its time ran out before the next/);
    assert.match(messageOf([], null), /cancelled or its time ran out before it was begun/);
    assert.equal(messageOf([failed(1, 'transient')], 'a bug'), 'attempt 2 could not be begun: a bug');
    assert.match(messageOf([row(1, null)], 'a bug'), /outcome is unknown: a bug$/);
  });
});

describe('what has an effect', () => {
  it('is everything that is not known to have none', () => {
    assert.equal(hasEffect(executing(rest()), rest()), true);
    assert.equal(hasEffect(executing(rest()), rest({ method: 'GET' })), false);
    assert.equal(hasEffect(executing(rest(), {}, 'read_only'), rest()), false);
  });
});
