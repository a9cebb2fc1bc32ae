import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { askedForNow, guardRefusing, readsRights } from '../../../src/engine/index.js';
import type { Guard, Plan } from '../../../src/engine/plan.js';
import type { Action } from '../../../src/engine/state.js';
import { expr, gate, literal, plan, state, transition } from '../build.js';
import { principal } from '../people.js';
import { approve, begin, kit } from '../walk.js';

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
      approve(walk, controller);
      assert.equal(walk.run.executing === null, isLost);
      const failed = walk.last.actions.find(({ status }) => status === 'failed');
      assert.equal(failed?.error?.code, isLost ? 'GUARD_REJECTED' : undefined);
    }
  });

  test('that a gate lets pass for are asked for once more: who has lost them needs the approval, who holds them none', () => {
    const on: Guard = { kind: 'not', guard: payer };
    const of = guarded([], { gates: [gate({ on })] });
    const [go] = of.states[0]?.transitions ?? [];
    const walk = begin(of);
    walk.submit(holder, 'go');
    const { executing } = walk.run;
    assert.ok(executing && go, 'the gate did not ask');
    const lost = { ...kit, rightsNow: (asked: typeof holder) => ({ ...asked, roles: [] }) };
    assert.equal(askedForNow(kit, walk.run, go, executing.action, undefined), null);
    const why = askedForNow(lost, walk.run, go, executing.action, undefined);
    assert.match(why ?? '', /a gate asks for an approval of it by now .* ask again/);

    const parked = begin(of);
    parked.submit(principal('ben'), 'go');
    const [asked] = parked.run.approvals;
    assert.ok(asked);
    parked.decide(controller, asked.id, 'approve');
    const [approval] = parked.run.approvals;
    assert.equal(
      askedForNow(lost, parked.run, go, asked.action, approval),
      null,
      'it is approved under that',
    );
    const two = { ...go, gates: [gate({ on, quorum: { count: 2, perRole: [] } })] };
    const more = askedForNow(lost, parked.run, two, asked.action, approval);
    assert.match(more ?? '', /asks for more by now .*: quorum; ask again/);
  });

  test('that are lost before the first attempt leave the approval unused; after a call it is used up', () => {
    const stopped = {
      status: 'failed',
      errorClass: 'permanent',
      message: 'no',
      code: 'GUARD_REJECTED',
    } as const;
    for (const [result, status] of [
      [{ ...stopped, attempt: 1 }, 'approved'],
      [{ ...stopped, attempt: 2 }, 'consumed'],
      [{ ...stopped, attempt: 1, effectPossible: true }, 'consumed'],
      [{ status: 'failed', errorClass: 'permanent', message: 'no', attempt: 1 }, 'consumed'],
    ] as const) {
      const walk = begin(guarded([payer], { gates: [gate()] }));
      walk.submit(holder, 'go');
      const id = walk.run.approvals[0]?.id ?? '';
      walk.decide(controller, id, 'approve');
      walk.outcome(result);
      const closed = walk.last.trace.some(({ type }) => type === 'approval.consumed');
      assert.equal(closed, status === 'consumed', JSON.stringify(result));
    }
  });
});
