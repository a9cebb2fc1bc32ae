import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { guardRefusing, readsRights } from '../../src/engine/index.js';
import type { Guard, Plan } from '../../src/engine/plan.js';
import type { Action } from '../../src/engine/state.js';
import { begin, expr, gate, kit, literal, plan, principal, state, transition } from './build.js';

const controller = principal('maria', 'human', { roles: ['finance.controller'] });
const payer: Guard = { kind: 'role', role: 'payer' };
const always = expr(literal(1), '==', literal(1));
const holder = principal('bot', 'agent', { roles: ['payer'] });
const nested = (depth: number): Guard => (depth === 0 ? always : { kind: 'not', guard: nested(depth - 1) });

function guarded(guards: readonly Guard[], fields: Parameters<typeof transition>[2] = {}): Plan {
  return plan([
    state('a', [transition('go', 'b', { guards, executor: { kind: 'noop', output: {} }, ...fields })]),
    state('b'),
  ]);
}

describe('rights', () => {
  test('are read where a guard, a gate or a branch asks for them, however deep', () => {
    const asking: readonly Guard[] = [
      payer,
      { kind: 'permission', permission: 'pay' },
      { kind: 'not', guard: payer },
      { kind: 'allOf', guards: [always, payer] },
      { kind: 'anyOf', guards: [always, { kind: 'not', guard: payer }] },
      nested(200),
    ];
    for (const guard of asking) {
      assert.equal(readsRights(guarded([always, guard])), true, JSON.stringify(guard).slice(0, 80));
      assert.equal(readsRights(guarded([], { gates: [gate({ on: guard })] })), true);
      assert.equal(readsRights(guarded([], { branches: [{ when: guard, target: 'b' }] })), true);
    }
    const others: readonly Guard[] = [
      always,
      { kind: 'evidence', requires: [{ kind: 'human_request', count: 1, distinct: true }] },
      { kind: 'anyOf', guards: [always] },
    ];
    for (const guard of others)
      assert.equal(readsRights(guarded([guard], { gates: [gate({ on: null })] })), false);
  });

  test('are asked for once more at the effect: as they are now, and of what the runtime starts, none', () => {
    const of = guarded([always, payer]);
    const walk = begin(of);
    walk.submit(holder, 'go');
    const { executing } = walk.run;
    assert.ok(executing);
    const [go] = of.states[0]?.transitions ?? [];
    assert.ok(go);
    const refusing = (action: Action, rightsNow = kit.rightsNow) =>
      guardRefusing({ rightsNow }, walk.run, go, action);
    assert.equal(refusing(executing.action), null);
    const lost = refusing(executing.action, (asked) => ({ ...asked, roles: [] }));
    assert.deepEqual([lost?.index, lost?.kind, lost?.verdict], [1, 'role', 'fail']);
    assert.equal(refusing({ ...executing.action, byRuntime: true })?.index, 1);
    assert.equal(refusing({ ...executing.action, requester: null })?.index, 1);
  });

  test('that are lost before an approval stop what was approved, and those that are held do not', () => {
    for (const isLost of [false, true]) {
      const walk = begin(guarded([payer], { gates: [gate()] }));
      walk.submit(holder, 'go');
      if (isLost) walk.kit = { ...walk.kit, rightsNow: (asked) => ({ ...asked, roles: [] }) };
      walk.decide(controller, walk.run.approvals[0]?.id ?? '', 'approve');
      assert.equal(walk.run.executing === null, isLost);
      const failed = walk.last.actions.find(({ status }) => status === 'failed');
      assert.equal(failed?.error?.code, isLost ? 'GUARD_REJECTED' : undefined);
    }
  });
});
