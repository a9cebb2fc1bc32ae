import type { Comparison, Guard, Operand, Plan, Transition } from '../engine/plan.js';
import { isObject, type Json, type JsonObject } from '../model/json.js';
import { warn, type Compiling, type Path } from './context.js';

// What guards leave open, take twice, or can never say.

/** States that only the runtime leaves: does exactly one way out apply, whatever the context is? */
export function checkArms(to: Compiling, plan: Plan, path: Path): void {
  for (const state of plan.states) {
    const { transitions } = state;
    if (transitions.length === 0 || transitions.some((one) => one.actor !== 'deterministic')) continue;
    const at = [...path, 'states', state.name, 'transitions'];
    const defaults = transitions.filter((one) => one.guards.length === 0);
    const guarded = transitions.filter((one) => one.guards.length > 0);
    if (defaults.length > 1)
      warn(
        to,
        'DETERMINISTIC_OVERLAP',
        at,
        `state \`${state.name}\` has several transitions without a guard: a run for which no other applies is stuck`,
      );
    if (defaults.length === 0 && !covers(guarded))
      warn(
        to,
        'DETERMINISTIC_HOLE',
        at,
        `no transition of state \`${state.name}\` is without a guard: a run for which none applies is stuck`,
      );
    const texts = guarded.map((one) => JSON.stringify(one.guards));
    for (const [index, one] of guarded.entries())
      if (texts.indexOf(texts[index] ?? '') !== index)
        warn(
          to,
          'DETERMINISTIC_OVERLAP',
          [...at, one.name],
          `\`${one.name}\` has the guards of another transition: a run for which they pass is stuck`,
        );
  }
}

/** Only `==` beside `!=` leaves nothing out: both of `true` and `false` fail on null, and `<` beside `>=` errs. */
function covers(guarded: readonly Transition[]): boolean {
  const single = guarded.flatMap((one) => (one.guards.length === 1 ? one.guards : []));
  return single.some((one) =>
    single.some(
      (other) =>
        one.kind === 'expr' &&
        other.kind === 'expr' &&
        one.expr.operator === '==' &&
        other.expr.operator === '!=' &&
        sameOperand(one.expr.left, other.expr.left) &&
        sameOperand(one.expr.right, other.expr.right),
    ),
  );
}

function sameOperand(a: Operand, b: Operand): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** What the guards of one transition read, as the schemas declare it. */
export interface Declared {
  readonly arguments: JsonObject | null;
  readonly input: JsonObject | null;
}

export function checkComparisons(
  to: Compiling,
  guards: readonly Guard[],
  declared: Declared,
  at: Path,
): void {
  for (const { left, operator, right, text } of guards.flatMap(comparisons)) {
    const types = [typesOf(left, declared), typesOf(right, declared)] as const;
    if (sameOperand(left, right))
      warn(
        to,
        'CONSTANT_COMPARISON',
        at,
        `\`${text}\` compares a value with itself: its answer is always the same`,
      );
    else if (!canCompare(operator, types))
      warn(
        to,
        'NEVER_COMPARES',
        at,
        `\`${text}\` can never be evaluated: it compares ${said(types[0])} with ${said(types[1])}`,
      );
    else if (missesEnum(left, right, declared) || missesEnum(right, left, declared))
      warn(
        to,
        'NEVER_EQUAL',
        at,
        `\`${text}\`: the schema does not let that value in, so the answer is always the same`,
      );
  }
}

function comparisons(guard: Guard): readonly Comparison[] {
  switch (guard.kind) {
    case 'expr':
      return [guard.expr];
    case 'allOf':
    case 'anyOf':
      return guard.guards.flatMap(comparisons);
    case 'not':
      return comparisons(guard.guard);
    default:
      return [];
  }
}

/** Null: anything. */
type Types = readonly string[] | null;

function schemaOf(operand: Operand, declared: Declared): JsonObject | null {
  if (operand.kind === 'literal' || (operand.scope !== 'arguments' && operand.scope !== 'input')) return null;
  let schema: Json | undefined = declared[operand.scope] ?? undefined;
  for (const segment of operand.segments) {
    const properties: Json | undefined = isObject(schema) ? schema['properties'] : undefined;
    schema = isObject(properties) && Object.hasOwn(properties, segment) ? properties[segment] : undefined;
  }
  return isObject(schema) && operand.segments.length > 0 ? schema : null;
}

function typesOf(operand: Operand, declared: Declared): Types {
  if (operand.kind === 'literal') return [operand.value === null ? 'null' : typeof operand.value];
  const type = schemaOf(operand, declared)?.['type'];
  if (typeof type === 'string') return [plain(type)];
  return Array.isArray(type) ? type.map((one: Json) => plain(String(one))) : null;
}

function plain(type: string): string {
  return type === 'integer' ? 'number' : type;
}

function canCompare(operator: Comparison['operator'], [left, right]: readonly [Types, Types]): boolean {
  const may = (types: Types, ...wanted: readonly string[]): boolean =>
    types === null || types.some((one) => wanted.includes(one));
  switch (operator) {
    case '==':
    case '!=':
      return left === null || right === null || may(left, 'null', ...right) || may(right, 'null');
    case 'starts_with':
      return may(left, 'string') && may(right, 'string');
    case 'contains':
      return may(left, 'string', 'array') && may(right, 'string', 'number', 'boolean');
    default:
      return may(left, 'number') && may(right, 'number');
  }
}

function said(types: Types): string {
  return types === null ? 'anything' : types.join(' or ');
}

function missesEnum(operand: Operand, other: Operand, declared: Declared): boolean {
  if (other.kind !== 'literal' || other.value === null) return false;
  const values = schemaOf(operand, declared)?.['enum'];
  return Array.isArray(values) && !values.includes(other.value);
}
