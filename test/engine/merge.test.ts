import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Gate, GateTimeout } from '../../src/engine/plan.js';
import { stricterThan, strictest } from '../../src/engine/merge.js';
import { quorumReached } from '../../src/engine/quorum.js';
import type { ApprovalState } from '../../src/engine/state.js';
import { gate, path, time } from './build.js';

// Several gates merged to one: whoever satisfies that one has satisfied each of them.

const roles = ['clerk', 'cfo', 'sre', 'ceo'];
type Person = readonly string[];

const gates: fc.Arbitrary<Gate> = fc
  .record({
    roles: fc.subarray(roles, { minLength: 1 }),
    count: fc.integer({ min: 1, max: 3 }),
    slots: fc.array(fc.record({ at: fc.nat(3), count: fc.integer({ min: 1, max: 2 }) }), { maxLength: 2 }),
    separation: fc.record({ requester: fc.boolean(), author: fc.boolean(), promoter: fc.boolean() }),
    reason: fc.constantFrom<Gate['reason']>('required', 'optional'),
  })
  .map(({ roles: own, count, slots, separation, reason }) => {
    // A slot is of a role that may decide: the loader lets in no other.
    const perRole = new Map(slots.map((one) => [own[one.at % own.length] ?? '', one.count]));
    return gate({
      ...{ roles: own, separation, reason },
      quorum: { count, perRole: [...perRole].map(([role, many]) => ({ role, count: many })) },
    });
  });

const people: fc.Arbitrary<readonly Person[]> = fc.array(fc.subarray(roles), { maxLength: 9 });

/** Do these people's approvals reach it? Who holds none of its roles cannot decide. */
function reaches(of: Gate, all: readonly Person[]): boolean {
  const decisions: ApprovalState['decisions'] = all.flatMap((held, index) => {
    const counts = of.roles.filter((role) => held.includes(role));
    return counts.length === 0
      ? []
      : [
          {
            ...{ id: `d${index}`, by: { id: `p${index}`, kind: 'human' as const }, roles: counts },
            ...{ decision: 'approve' as const, at: time },
          },
        ];
  });
  return quorumReached({ gate: of, decisions, requesters: [] });
}

const merged = (first: Gate, ...others: readonly Gate[]): Gate => others.reduce(strictest, first);

describe('gates merged to the strictest', () => {
  it('are satisfied by nobody who does not satisfy each of them', () => {
    fc.assert(
      fc.property(gates, fc.array(gates, { minLength: 1, maxLength: 3 }), people, (first, others, all) => {
        if (!reaches(merged(first, ...others), all)) return;
        for (const one of [first, ...others]) assert.ok(reaches(one, all), JSON.stringify(one));
      }),
      { numRuns: 20_000 },
    );
  });

  it('can be satisfied: by enough people who hold every role', () => {
    const enough = Array.from({ length: 40 }, () => roles);
    fc.assert(
      fc.property(gates, fc.array(gates, { minLength: 1, maxLength: 3 }), (first, others) => {
        assert.ok(reaches(merged(first, ...others), enough));
      }),
      { numRuns: 2_000 },
    );
  });

  it('can be satisfied by people of one role each', () => {
    const enough = roles.flatMap((role) => Array.from({ length: 12 }, () => [role]));
    fc.assert(
      fc.property(gates, fc.array(gates, { minLength: 1, maxLength: 3 }), (first, others) => {
        assert.ok(reaches(merged(first, ...others), enough), JSON.stringify(merged(first, ...others)));
      }),
      { numRuns: 2_000 },
    );
  });

  it('ask for the requester, the author, the promoter and a reason as soon as one of them does', () => {
    fc.assert(
      fc.property(gates, gates, (a, b) => {
        const both = strictest(a, b);
        for (const who of ['requester', 'author', 'promoter'] as const)
          assert.equal(both.separation[who], a.separation[who] || b.separation[who]);
        assert.equal(both.reason === 'required', a.reason === 'required' || b.reason === 'required');
      }),
    );
  });

  it('change nothing where both are the same, and ask for no more than that', () => {
    fc.assert(
      fc.property(gates, (one) => {
        assert.deepEqual(stricterThan(one, one), []);
        assert.deepEqual(stricterThan(one, strictest(one, one)), []);
      }),
    );
  });

  it('keep as many of each as each asks for, where no role is in both', () => {
    const both = strictest(
      gate({ roles: ['clerk'], quorum: { count: 2, perRole: [] } }),
      gate({ roles: ['cfo'] }),
    );
    assert.equal(reaches(both, [['clerk'], ['cfo']]), false);
    assert.equal(reaches(both, [['clerk'], ['clerk'], ['cfo']]), true);
  });

  it('keep the people of the first, where a third asks for those of the second', () => {
    const three = merged(gate({ roles: ['clerk'] }), gate({ roles: ['cfo'] }), gate({ roles: ['cfo'] }));
    assert.equal(reaches(three, [['clerk'], ['cfo']]), true);
    assert.equal(reaches(three, [['cfo'], ['cfo']]), false);
  });

  it('take the time of the one that says one, deny before they escalate or approve, and the sooner of two', () => {
    const after = (action: GateTimeout['action'], afterMs: number): GateTimeout => ({
      ...{ action, afterMs, to: [] },
    });
    const both = (a: GateTimeout | null, b: GateTimeout | null): GateTimeout | null =>
      strictest(gate({ timeout: a }), gate({ timeout: b })).timeout;
    assert.deepEqual(both(null, after('deny', 1)), after('deny', 1));
    assert.deepEqual(both(after('escalate', 1), null), after('escalate', 1));
    assert.deepEqual(both(after('escalate', 1), after('deny', 9)), after('deny', 9));
    assert.deepEqual(both(after('deny', 9), after('approve', 1)), after('deny', 9));
    assert.deepEqual(both(after('deny', 9), after('deny', 1)), after('deny', 1));
    assert.deepEqual(both(after('deny', 1), after('deny', 9)), after('deny', 1));
  });

  it('remind when either does, and end with whatever either ends with', () => {
    const [one, two] = [path('arguments', 'until'), path('context', 'end')];
    assert.ok(one.kind === 'path' && two.kind === 'path');
    const both = strictest(
      gate({ reminders: [0.5, 0.9], expiresWith: [one] }),
      gate({ reminders: [0.25, 0.5], expiresWith: [two] }),
    );
    assert.deepEqual(both.reminders, [0.25, 0.5, 0.9]);
    assert.deepEqual(both.expiresWith, [one, two]);
    const left = strictest(gate({ reminders: [0.5] }), gate({ expiresWith: [one] }));
    assert.deepEqual([left.reminders, left.expiresWith], [[0.5], [one]]);
  });

  it('have the time of which less is left, however each of them says it', () => {
    const timed = (timeout: Gate['timeout']): Gate => gate({ timeout });
    const hour = 3_600_000;
    const deny = { action: 'deny' as const, to: [] };
    const business = { ...deny, afterMs: hour, hours: 'business' as const };
    assert.deepEqual(merged(timed(business), timed({ ...deny, afterMs: 2 * hour, atMs: 7 })).timeout, {
      ...deny,
      afterMs: hour,
      atMs: 7,
    });
    assert.deepEqual(merged(timed(business), timed({ ...business, afterMs: 5 })).timeout, {
      ...business,
      afterMs: 5,
    });
    assert.equal(
      merged(timed({ ...deny, afterMs: 9, atMs: 3 }), timed({ ...deny, afterMs: 1, atMs: 8 })).timeout?.atMs,
      3,
    );
  });
});
