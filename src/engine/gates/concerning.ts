import type { Comparison, Guard, Operand, Path } from '../plan.js';
import { compare } from '../expression/compare.js';
import { isTooLarge } from '../guards.js';

// A charter's condition is written once for many actions, and some of them have not all the arguments that it reads.

/** How an action has an argument: by its schema, from a caller who may bring it, or never. */
export type Carried = 'declared' | 'open' | 'never';
export type CarriedBy = (argument: Path) => Carried;

/**
 * The condition as it is asked of one action. A comparison of arguments that are all missing is false where it would be
 * an error; with `==` and `!=` they are null, as everywhere. Whatever else is in the condition counts. Null: it can never
 * hold here. Too large to look at: it stays, and asks.
 */
export function concerning(on: Guard, carried: CarriedBy): Guard | null {
  return isTooLarge(on) ? on : narrow(on, carried);
}

function narrow(on: Guard, carried: CarriedBy): Guard | null {
  if (on.kind === 'expr') return neverHolds(on.expr, carried) ? null : requireGiven(on, carried);
  if (on.kind !== 'allOf' && on.kind !== 'anyOf') return requireGiven(on, carried);
  const parts = on.guards.map((part) => narrow(part, carried));
  const guards = parts.filter((part) => part !== null);
  if (guards.length === parts.length) return { kind: on.kind, guards };
  const [only] = guards;
  if (on.kind === 'allOf' || only === undefined) return null;
  return guards.length === 1 ? only : { kind: 'anyOf', guards };
}

/** The same, whole: what is false here may be what holds under a `not`. */
function requireGiven(on: Guard, carried: CarriedBy): Guard {
  switch (on.kind) {
    case 'expr':
      return requireGivenArguments(on, on.expr, carried);
    case 'allOf':
    case 'anyOf':
      return { kind: on.kind, guards: on.guards.map((part) => requireGiven(part, carried)) };
    case 'not':
      return { kind: 'not', guard: requireGiven(on.guard, carried) };
    default:
      return on;
  }
}

const isArgument = (operand: Operand): operand is Path =>
  operand.kind === 'path' && operand.scope === 'arguments' && operand.segments.length > 0;

const takesNull = ({ operator }: Comparison): boolean => operator === '==' || operator === '!=';

function neverHolds(expr: Comparison, carried: CarriedBy): boolean {
  const sides = [expr.left, expr.right];
  const isMissing = (side: Operand): boolean => isArgument(side) && carried(side) === 'never';
  if (!takesNull(expr)) return sides.some(isArgument) && sides.filter(isArgument).every(isMissing);
  if (!sides.some(isMissing) || !sides.every((side) => side.kind === 'literal' || isMissing(side)))
    return false;
  const [left, right] = sides.map((side) => (side.kind === 'literal' ? side.value : null));
  return compare(left, expr.operator, right).verdict === 'fail';
}

/** An argument that is missing is no reason to wait; one that is there and makes no sense is. */
function requireGivenArguments(on: Guard, expr: Comparison, carried: CarriedBy): Guard {
  const read = [expr.left, expr.right].filter(isArgument);
  if (takesNull(expr) || read.length === 0 || read.some((argument) => carried(argument) === 'declared'))
    return on;
  const given = [...new Set(read.flatMap(({ segments }) => segments.slice(0, 1)))].map(isGivenGuard);
  const some: readonly Guard[] = given.length === 1 ? given : [{ kind: 'anyOf', guards: given }];
  return { kind: 'allOf', guards: [...some, on] };
}

function isGivenGuard(name: string): Guard {
  const text = `$.arguments.${name}`;
  const left: Path = { kind: 'path', scope: 'arguments', segments: [name], optional: false, text };
  const right = { kind: 'literal', value: null } as const;
  return { kind: 'expr', expr: { left, operator: '!=', right, text: `${text} != null` } };
}
