import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  evaluateGuard,
  possibleVerdicts,
  readsArguments,
  verdictOf,
  type GuardContext,
  type Verdict,
} from '../../src/engine/guards.js';
import type { Guard } from '../../src/engine/plan.js';
import { runsOf } from '../../testing/samples.js';
import { guard, leaf, object, principal } from './generate.js';

const context: fc.Arbitrary<GuardContext> = fc.record({
  arguments: object,
  context: object,
  input: object,
  principal: fc.option(principal),
  evidence: fc.array(
    fc.record({
      id: fc.uuid(),
      kind: fc.constantFrom('rest_call', 'human_request', 'own'),
      at: fc.constant(''),
      stay: fc.constantFrom(1, 2),
      state: fc.constantFrom('s0', 's1'),
      by: fc.constantFrom(null, 'ann', 'ben'),
    }),
    { maxLength: 5 },
  ),
  state: fc.constant('s0'),
  stay: fc.constant(2),
});
const verdict = (of: Guard, at: GuardContext): Verdict => evaluateGuard(of, at).verdict;
const check = <T>(property: fc.IProperty<T>, numRuns = 2_000): void => {
  fc.assert(property, { numRuns: runsOf(numRuns) });
};

/** The three-valued tables of docs/spec/semantics.md §3, written a second time. */
function reference(of: Guard, at: GuardContext): Verdict {
  switch (of.kind) {
    case 'not': {
      const inner = reference(of.guard, at);
      return inner === 'error' ? 'error' : inner === 'pass' ? 'fail' : 'pass';
    }
    case 'allOf': {
      const all = of.guards.map((guard) => reference(guard, at));
      return all.includes('fail') ? 'fail' : all.includes('error') ? 'error' : 'pass';
    }
    case 'anyOf': {
      const all = of.guards.map((guard) => reference(guard, at));
      return all.includes('pass') ? 'pass' : all.includes('error') ? 'error' : 'fail';
    }
    default:
      return verdict(of, at);
  }
}

describe('guards, whatever they are', () => {
  it('say pass, fail or error by the tables, at any nesting', () => {
    check(fc.property(guard, context, (of, at) => assert.equal(verdict(of, at), reference(of, at))));
  });

  it('never pass because of an error: with every error a failure, whatever passes passes still', () => {
    const without = (of: Guard, at: GuardContext): Guard => {
      switch (of.kind) {
        case 'not':
          return { kind: 'not', guard: without(of.guard, at) };
        case 'allOf':
        case 'anyOf':
          return { kind: of.kind, guards: of.guards.map((guard) => without(guard, at)) };
        default:
          return of;
      }
    };
    const errs: Guard = { kind: 'allOf', guards: [] };
    const wraps: readonly ((inner: Guard) => Guard)[] = [
      (inner) => ({ kind: 'not', guard: inner }),
      (inner) => ({ kind: 'allOf', guards: [inner] }),
      (inner) => ({ kind: 'anyOf', guards: [inner] }),
      (inner) => ({ kind: 'allOf', guards: [inner, { kind: 'not', guard: inner }] }),
    ];
    check(
      fc.property(fc.array(fc.nat(3), { maxLength: 12 }), context, (steps, at) => {
        const wrapped = steps.reduce<Guard>((inner, step) => wraps[step]?.(inner) ?? inner, errs);
        assert.equal(verdict(wrapped, at), 'error');
        assert.equal(verdict(without(wrapped, at), at), 'error');
      }),
    );
  });

  it('do not depend on the order of what they combine', () => {
    const lists = fc.array(leaf, { minLength: 1, maxLength: 5 });
    check(
      fc.property(
        lists,
        context,
        fc.constantFrom<'allOf' | 'anyOf'>('allOf', 'anyOf'),
        fc.nat(),
        (guards, at, kind, turn) => {
          const by = turn % guards.length;
          const turned = [...guards.slice(by), ...guards.slice(0, by)].reverse();
          assert.equal(verdict({ kind, guards }, at), verdict({ kind, guards: turned }, at));
        },
      ),
    );
  });

  it('keep the laws: twice not is nothing, De Morgan, one of one is itself, twice the same is once', () => {
    const not = (inner: Guard): Guard => ({ kind: 'not', guard: inner });
    check(
      fc.property(fc.array(guard, { minLength: 1, maxLength: 3 }), context, (guards, at) => {
        const all: Guard = { kind: 'allOf', guards };
        const any: Guard = { kind: 'anyOf', guards };
        const [first] = guards as [Guard];
        assert.equal(verdict(not(not(first)), at), verdict(first, at));
        assert.equal(verdict(not(all), at), verdict({ kind: 'anyOf', guards: guards.map(not) }, at));
        assert.equal(verdict(not(any), at), verdict({ kind: 'allOf', guards: guards.map(not) }, at));
        assert.equal(verdict({ kind: 'allOf', guards: [first] }, at), verdict(first, at));
        assert.equal(verdict({ kind: 'anyOf', guards: [first, first] }, at), verdict(first, at));
      }),
    );
  });

  it('say why, and what they read', () => {
    check(
      fc.property(guard, context, (of, at) => {
        const { verdict: said, reason, reads } = evaluateGuard(of, at);
        assert.ok(reason.length > 0 && Array.isArray(reads));
        assert.equal(verdictOf(of, at), said);
      }),
    );
  });

  it('are possible in every way that they turn out, whoever calls', () => {
    check(
      fc.property(guard, context, (of, at) => {
        const could = possibleVerdicts(of, at);
        const found = verdict(of, at);
        if (found === 'pass') assert.ok(could.pass);
        if (found === 'fail' && !readsArguments(of)) assert.ok(could.fail);
      }),
    );
  });
});

describe('guards of a store, beyond what a loader lets in', () => {
  const at: GuardContext = {
    ...{ arguments: {}, context: {}, input: {}, principal: null, evidence: [], state: 's', stay: 1 },
  };
  const nested = (depth: number): Guard => {
    let of: Guard = { kind: 'role', role: 'r' };
    for (let left = depth; left > 0; left -= 1) of = { kind: 'not', guard: of };
    return of;
  };
  it('are errors where they are too deep or too many, and never pass nor promise', () => {
    const many: Guard = { kind: 'anyOf', guards: Array.from({ length: 20_000 }, () => nested(0)) };
    const hundred: Guard = { kind: 'allOf', guards: Array.from({ length: 100 }, () => nested(0)) };
    const lists: Guard = { kind: 'anyOf', guards: Array.from({ length: 100 }, () => hundred) };
    for (const of of [nested(100_000), nested(65), many, lists]) {
      assert.equal(verdict(of, at), 'error');
      assert.equal(verdictOf(of, at), 'error');
      assert.deepEqual(possibleVerdicts(of, at), { pass: false, fail: false });
      assert.equal(readsArguments(of), true);
    }
    assert.equal(verdict(nested(64), at), 'fail');
  });
  it('are errors where their kind or operator is unknown, or nothing is required', () => {
    const odd = [
      { kind: 'script', text: 'true' },
      {
        kind: 'expr',
        expr: {
          left: { kind: 'literal', value: 1 },
          operator: 'matches',
          right: { kind: 'literal', value: 1 },
          text: '1 matches 1',
        },
      },
      { kind: 'evidence', requires: [] },
      { kind: 'allOf', guards: [] },
      { kind: 'anyOf', guards: [] },
    ] as unknown as Guard[];
    for (const of of odd) {
      assert.equal(verdict(of, at), 'error', JSON.stringify(of));
      assert.equal(verdict({ kind: 'not', guard: of }, at), 'error');
    }
  });
});
