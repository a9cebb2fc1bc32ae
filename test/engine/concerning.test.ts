import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { narrowCondition, type Presence } from '../../src/engine/gates/concerning.js';
import { evaluateGuard, verdictOf, type GuardContext, type Verdict } from '../../src/engine/guards.js';
import type { Comparison, Guard, Operand, Path } from '../../src/engine/plan.js';
import type { JsonObject } from '../../src/model/values/json.js';
import { runsOf } from '../../testing/samples.js';
import { expr, literal, path } from './build.js';
import { guard, object } from './generate.js';

// A charter's condition, asked of an action that does not have all the arguments that it reads.

const amount = path('arguments', 'amount');
const large = expr(amount, '>', literal(50));
const risky = expr(path('context', 'risk'), '==', literal('high'));
const not = (inner: Guard): Guard => ({ kind: 'not', guard: inner });
const anyOf = (...guards: readonly Guard[]): Guard => ({ kind: 'anyOf', guards });
const allOf = (...guards: readonly Guard[]): Guard => ({ kind: 'allOf', guards });

const at = (args: JsonObject, context: JsonObject = {}): GuardContext => ({
  ...{ arguments: args, context, input: {}, principal: null, evidence: [], state: 'a', stay: 0 },
});
/** Does the gate apply? Also where its condition is an error. */
const asks = (on: Guard | null, where: GuardContext): boolean =>
  on !== null && verdictOf(on, where) !== 'fail';

const all = (how: Presence) => (): Presence => how;

describe("a charter's condition", () => {
  it('asks by each of its branches, whatever the others read', () => {
    for (const how of ['open', 'never'] as const) {
      const either = narrowCondition(anyOf(risky, large), all(how));
      assert.equal(asks(either, at({}, { risk: 'high' })), true, how);
      assert.equal(asks(either, at({}, { risk: 'low' })), false, how);
    }
    assert.equal(asks(narrowCondition(anyOf(risky, large), all('open')), at({ amount: 60 })), true);
    assert.deepEqual(narrowCondition(anyOf(risky, large), all('never')), risky);
    assert.deepEqual(narrowCondition(anyOf(risky, risky, large), all('never')), anyOf(risky, risky));
  });

  it('does not ask of an action without the argument that all of it needs', () => {
    const twice = expr(amount, '<', path('arguments', 'limit'));
    for (const on of [large, allOf(risky, large), anyOf(large, allOf(large, risky)), twice])
      assert.equal(narrowCondition(on, all('never')), null);
    assert.equal(narrowCondition(expr(amount, '==', literal('x')), all('never')), null);
  });

  it('asks under `not` where the comparison is no more than false', () => {
    for (const how of ['open', 'never'] as const) {
      assert.equal(asks(narrowCondition(not(large), all(how)), at({})), true, how);
      assert.equal(
        asks(narrowCondition(not(anyOf(large, risky)), all(how)), at({}, { risk: 'low' })),
        true,
        how,
      );
      assert.equal(asks(narrowCondition(not(not(large)), all(how)), at({})), false, how);
    }
  });

  it('takes a missing argument for null where `==` and `!=` do', () => {
    for (const how of ['open', 'never'] as const) {
      const dry = narrowCondition(expr(path('arguments', 'dryRun'), '!=', literal(true)), all(how));
      assert.equal(asks(dry, at({})), true, how);
      const context = narrowCondition(expr(amount, '==', path('context', 'x')), all(how));
      assert.deepEqual([asks(context, at({}, { x: 1 })), asks(context, at({}))], [false, true], how);
    }
  });

  it('asks of an argument that is there and makes no sense', () => {
    const on = narrowCondition(large, all('open'));
    assert.deepEqual(
      [{ amount: 'a lot' }, { amount: 1 }, {}].map((args) => asks(on, at(args))),
      [true, false, false],
    );
    const both = narrowCondition(expr(amount, '<', path('arguments', 'limit')), all('open'));
    assert.deepEqual(
      [{ amount: 1 }, { limit: 1 }, { amount: 1, limit: 1 }, {}].map((args) => asks(both, at(args))),
      [true, true, false, false],
    );
    const half = expr(amount, '<', path('arguments', 'limit'));
    const carried = ({ segments }: Path): Presence => (segments[0] === 'amount' ? 'declared' : 'never');
    assert.deepEqual(narrowCondition(half, carried), half);
  });

  it('is as it is written where all is declared, where nothing is listed, and where it is too large', () => {
    const whole = path('arguments');
    const permission: Guard = { kind: 'permission', permission: 'p' };
    const lone = expr(literal(1), '<', literal(2));
    for (const on of [anyOf(risky, large), not(large), permission, expr(whole, '==', literal(null)), lone])
      assert.deepEqual(narrowCondition(on, all('declared')), on);
    for (const on of [anyOf(), allOf()]) assert.equal(asks(narrowCondition(on, all('never')), at({})), true);
    let deep: Guard = large;
    for (let depth = 0; depth < 100; depth += 1) deep = not(deep);
    assert.equal(narrowCondition(deep, all('never')), deep);
    assert.equal(evaluateGuard(deep, at({})).verdict, 'error');
  });
});

const isForeign = (operand: Operand): operand is Path =>
  operand.kind === 'path' && operand.scope === 'arguments' && operand.segments.length > 0;

/** The condition's verdict, where a comparison whose arguments are all missing is false instead of an error. */
function byHand(on: Guard, where: GuardContext): Verdict {
  if (on.kind === 'not') {
    const inner = byHand(on.guard, where);
    return inner === 'error' ? inner : inner === 'pass' ? 'fail' : 'pass';
  }
  if (on.kind === 'allOf' || on.kind === 'anyOf') {
    const verdicts = on.guards.map((guard) => byHand(guard, where));
    const decisive = on.kind === 'allOf' ? 'fail' : 'pass';
    const other = decisive === 'fail' ? 'pass' : 'fail';
    return (
      verdicts.find((verdict) => verdict === decisive) ??
      verdicts.find((verdict) => verdict === 'error') ??
      other
    );
  }
  const verdict = verdictOf(on, where);
  return on.kind === 'expr' && verdict === 'error' && allMissing(on.expr, where) ? 'fail' : verdict;
}

function allMissing({ left, right }: Comparison, where: GuardContext): boolean {
  const read = [left, right].filter(isForeign);
  const isMissing = ({ segments: [name = ''] }: Path): boolean =>
    !Object.hasOwn(where.arguments, name) || where.arguments[name] === null;
  return read.length > 0 && read.every(isMissing);
}

describe('of any condition and any action', () => {
  const subjects = fc.record({
    on: guard,
    other: guard,
    args: object,
    context: object,
    closed: fc.boolean(),
  });
  it('what it lets through, the whole condition lets through where what is missing does not apply', () => {
    fc.assert(
      fc.property(subjects, ({ on, args, context, closed }) => {
        const where = at(closed ? {} : args, context);
        const told = narrowCondition(on, all(closed ? 'never' : 'open'));
        if (!asks(told, where)) assert.equal(byHand(on, where), 'fail');
      }),
      { numRuns: runsOf(3_000) },
    );
  });
  it('it never asks less than one of its branches does', () => {
    fc.assert(
      fc.property(subjects, ({ on, other, args, context, closed }) => {
        const where = at(closed ? {} : args, context);
        const carried = all(closed ? 'never' : 'open');
        if (asks(narrowCondition(on, carried), where))
          assert.ok(asks(narrowCondition(anyOf(other, on), carried), where));
      }),
      { numRuns: runsOf(3_000) },
    );
  });
  it('it asks of no call that brings nothing, where all that it compares is arguments by order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(large, expr(literal(1), '<=', amount)), { minLength: 1 }),
        (parts) => {
          for (const on of [anyOf(...parts), allOf(...parts)]) {
            assert.equal(narrowCondition(on, all('never')), null);
            assert.equal(asks(narrowCondition(on, all('open')), at({})), false);
          }
        },
      ),
    );
  });
});
