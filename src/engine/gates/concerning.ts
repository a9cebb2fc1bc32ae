import type { Comparison, Guard, Operand, Path } from '../plan.js';
import { compare } from '../expression/compare.js';
import { isTooLarge } from '../guards.js';

// A charter's condition is written once for many actions, and some of these do not have all the arguments that it reads.

/** Whether an action has an argument: its schema declares it, a caller may bring it (`open`), or never. */
export type Presence = 'declared' | 'open' | 'never';
export type PresenceOf = (argument: Path) => Presence;

/**
 * The condition as it is asked of one action: a comparison whose arguments are all missing is false, instead of an error;
 * with `==` and `!=` they are null, as everywhere. The other parts of the condition count as they are. Null: the condition
 * can never hold for this action. A condition that is too large to look at stays as it is.
 */
export function narrowCondition(on: Guard, carried: PresenceOf): Guard | null {
  return isTooLarge(on) ? on : narrow(on, carried);
}

function narrow(on: Guard, carried: PresenceOf): Guard | null {
  if (on.kind === 'expr') return neverHolds(on.expr, carried) ? null : requireGiven(on, carried);
  if (on.kind !== 'allOf' && on.kind !== 'anyOf') return requireGiven(on, carried);
  const parts = on.guards.map((part) => narrow(part, carried));
  const guards = parts.filter((part) => part !== null);
  if (guards.length === parts.length) return { kind: on.kind, guards };
  const [only] = guards;
  if (on.kind === 'allOf' || only === undefined) return null;
  return guards.length === 1 ? only : { kind: 'anyOf', guards };
}

/** The condition with nothing taken out, since what is false may hold under a `not`: comparisons ask first whether their arguments are given. */
function requireGiven(on: Guard, carried: PresenceOf): Guard {
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

function neverHolds(expr: Comparison, carried: PresenceOf): boolean {
  const sides = [expr.left, expr.right];
  const isMissing = (side: Operand): boolean => isArgument(side) && carried(side) === 'never';
  if (!takesNull(expr)) return sides.some(isArgument) && sides.filter(isArgument).every(isMissing);
  if (!sides.some(isMissing) || !sides.every((side) => side.kind === 'literal' || isMissing(side)))
    return false;
  const [left, right] = sides.map((side) => (side.kind === 'literal' ? side.value : null));
  return compare(left, expr.operator, right).verdict === 'fail';
}

/** The comparison, asked only where an argument of it is given: a missing argument must not make a gate wait, a senseless one must. */
function requireGivenArguments(on: Guard, expr: Comparison, carried: PresenceOf): Guard {
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
