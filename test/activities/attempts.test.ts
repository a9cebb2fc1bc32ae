import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { afterFailure, hasEffect, nextAttempt } from '../../src/activities/attempts.js';
import { defaultReliability, type Executor, type Reliability } from '../../src/engine/plan.js';
import type { Executing } from '../../src/engine/state.js';
import type { AttemptRow } from '../../src/store/actions.js';

const rest = (fields: Partial<Extract<Executor, { kind: 'rest' }>> = {}): Executor => ({
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

const row = (attempt: number, outcome: AttemptRow['outcome']): AttemptRow => ({
  action: 'act_1',
  attempt,
  startedAt: '',
  finishedAt: null,
  outcome,
  errorClass: null,
});

describe('the next attempt', () => {
  it('follows the failed ones, then the fallbacks in their order', () => {
    const fallback = rest({ connection: 'second' });
    const of = executing(rest(), { maxAttempts: 2, fallback: [fallback] });
    const connections = [[], [row(1, 'failed')], [row(1, 'failed'), row(2, 'failed')]].map((rows) => {
      const next = nextAttempt(of, rows);
      return next.kind === 'attempt' && 'connection' in next.executor ? next.executor.connection : null;
    });
    assert.deepEqual(connections, ['c', 'c', 'second']);
  });

  it('is the same one again after a lost worker, where repeating it is safe', () => {
    const lost = [row(1, null)];
    for (const safe of [
      executing(rest({ idempotencyKey: true })),
      executing(rest({ method: 'GET' })),
      executing(rest(), {}, 'read_only'),
    ]) {
      const next = nextAttempt(safe, lost);
      assert.deepEqual(next.kind === 'attempt' ? [next.attempt, next.resumed] : null, [1, true]);
    }
  });

  it('is nobody’s to make after a lost worker, where it might be done twice', () => {
    assert.deepEqual(nextAttempt(executing(rest()), [row(1, null)]), { kind: 'unknown', attempt: 1 });
    const cli: Executor = { kind: 'cli', connection: 'c', args: [], stdin: null, idempotencyKey: false };
    assert.equal(nextAttempt(executing(cli), [row(1, null)]).kind, 'unknown');
  });
});

describe('after a failure', () => {
  const retrying = (fields: Partial<Reliability>) => executing(rest(), { maxAttempts: 3, ...fields });

  it('waits longer each time, up to its limit, and as long as the target asks', () => {
    const of = retrying({ backoff: 'exponential', initialDelayMs: 1_000, maxDelayMs: 1_500 });
    assert.deepEqual(afterFailure(of, 1, 'transient', undefined), { kind: 'retry', delayMs: 1_000 });
    assert.deepEqual(afterFailure(of, 2, 'transient', undefined), { kind: 'retry', delayMs: 1_500 });
    assert.deepEqual(afterFailure(of, 1, 'rate_limited', 9_000), { kind: 'retry', delayMs: 9_000 });
  });

  it('never tries auth, permanent and unknown outcomes again', () => {
    const of = retrying({});
    for (const errorClass of ['auth', 'permanent', 'unknown_outcome'] as const) {
      assert.deepEqual(afterFailure(of, 1, errorClass, undefined), { kind: 'final' });
    }
  });

  it('goes to the fallbacks after the last attempt, but not after an unknown outcome', () => {
    const of = executing(rest(), { fallback: [rest()] });
    assert.deepEqual(afterFailure(of, 1, 'permanent', undefined), { kind: 'fallback' });
    assert.deepEqual(afterFailure(of, 2, 'permanent', undefined), { kind: 'final' });
    assert.deepEqual(afterFailure(of, 1, 'unknown_outcome', undefined), { kind: 'final' });
  });
});

describe('what has an effect', () => {
  it('is everything that is not known to have none', () => {
    assert.equal(hasEffect(executing(rest()), rest()), true);
    assert.equal(hasEffect(executing(rest()), rest({ method: 'GET' })), false);
    assert.equal(hasEffect(executing(rest(), {}, 'read_only'), rest()), false);
  });
});
