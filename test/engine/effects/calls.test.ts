import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { callsOf, hasEffect } from '../../../src/engine/effects/effects.js';
import { defaultReliability, type Executor } from '../../../src/engine/plan.js';

// A plan may have been made by a later build, with kinds of executors that this build does not know.

describe('an executor of an unknown kind', () => {
  const unknown = { kind: 'grpc', connection: 'c', output: 1 } as unknown as Executor;
  const kit = { isRead: () => false };

  it('is taken to call something, and to change something there, whatever it has beside its connection', () => {
    assert.deepEqual(callsOf({ executor: unknown, reliability: defaultReliability }), [unknown]);
    for (const tier of [null, 'reversible', 'irreversible'] as const)
      assert.equal(hasEffect(kit, { action: { tier } }, unknown), true);
  });

  it('calls nothing where it has an output and nothing to call', () => {
    const noop = { kind: 'noop', output: { kind: 'literal', value: 1 } } as unknown as Executor;
    assert.deepEqual(callsOf({ executor: noop, reliability: defaultReliability }), []);
    assert.equal(hasEffect(kit, { action: { tier: null } }, noop), false);
  });
});
