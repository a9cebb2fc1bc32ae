import type { Comparison, Guard, Mapping, Operand, Path as PathOperand, Plan } from '../../engine/plan.js';
import { isObject, type Json, type JsonObject } from '../../model/values/json.js';
import { takeSteps } from './analysis.js';

// Which values may stand at a path, as far as schemas and mappings say, and a few values of each kind that guards can tell
// apart.

export type Value = Json | undefined;

export interface Domain {
  /** May the value stand there? Where that is not certain, true. */
  readonly admits: (value: Value) => boolean;
  /** Values that a case needs in any event: bounds, listed values, literals that are written there. */
  readonly marks: readonly Json[];
}

export const anything: Domain = { admits: () => true, marks: [] };
export const oneOf = (values: readonly Value[]): Domain => ({
  admits: (value) =>
    values.some((listed) => listed === value || JSON.stringify(listed) === JSON.stringify(value)),
  marks: values.filter((value) => value !== undefined),
});

export function typeOf(value: Value): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** The values at a path below a schema. Missing is among them where the schema does not require the path. */
export function schemaDomain(schema: JsonObject | null, segments: readonly string[]): Domain {
  let here: Json | undefined = schema ?? undefined;
  let certain = true;
  for (const segment of segments) {
    if (!isObject(here)) return anything;
    const properties: Json | undefined = here['properties'];
    const required: Json | undefined = here['required'];
    certain &&= Array.isArray(required) && required.includes(segment) && here['type'] === 'object';
    here = isObject(properties) && Object.hasOwn(properties, segment) ? properties[segment] : undefined;
  }
  if (!isObject(here) || segments.length === 0) return anything;
  const below = here;
  const bounds = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'].flatMap(
    (key) => below[key] ?? [],
  );
  const listed = Object.hasOwn(below, 'const') ? [below['const'] ?? null] : below['enum'];
  return {
    admits: (value) => (value === undefined ? !certain : isAdmitted(below, value)),
    marks: [...bounds, ...(Array.isArray(listed) ? (listed as readonly Json[]) : [])],
  };
}

function isAdmitted(schema: JsonObject, value: Json): boolean {
  const { type, enum: listed, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const types = typeof type === 'string' ? [type] : Array.isArray(type) ? type : null;
  const fits = (item: Json): boolean =>
    item === typeOf(value) || (item === 'integer' && typeof value === 'number' && Number.isInteger(value));
  if (types !== null && !types.some(fits) && !(value === null && schema['nullable'] === true)) return false;
  const same = (item: Json): boolean => JSON.stringify(item) === JSON.stringify(value);
  if (Array.isArray(listed) && !listed.some(same)) return false;
  if (Object.hasOwn(schema, 'const') && !same(schema['const'] ?? null)) return false;
  if (typeof value !== 'number') return true;
  return (
    (typeof minimum !== 'number' || value >= minimum) &&
    (typeof maximum !== 'number' || value <= maximum) &&
    (typeof exclusiveMinimum !== 'number' || value > exclusiveMinimum) &&
    (typeof exclusiveMaximum !== 'number' || value < exclusiveMaximum)
  );
}

/** What a mapping writes where arguments have this schema. A path that does not resolve writes null. */
export function writtenDomain({ spec }: Mapping, plan: Plan, argumentsSchema: JsonObject | null): Domain {
  if (spec.kind === 'concat') return { admits: (value) => typeof value === 'string', marks: [] };
  if (spec.kind !== 'set')
    return { admits: (value) => typeof value === 'number' || value === null, marks: [] };
  const { value } = spec;
  if (value.kind !== 'path') return oneOf([value.value]);
  const schema =
    value.scope === 'arguments' ? argumentsSchema : value.scope === 'input' ? plan.inputSchema : null;
  if (schema === null) return anything;
  const read = schemaDomain(schema, value.segments);
  return {
    admits: (written) =>
      written !== undefined && (read.admits(written) || (written === null && read.admits(undefined))),
    marks: read.marks,
  };
}

// --- values that guards can tell apart -----------------------------------------------------------

/** A literal that a path is compared with. */
export interface Compared {
  readonly operator: Comparison['operator'];
  readonly value: Json;
}

export const pathKey = ({ scope, segments }: PathOperand): string => JSON.stringify([scope, ...segments]);

export const isPath = (operand: Operand): operand is PathOperand => operand.kind === 'path';

/** The guards inside a guard that hold no others. */
export function leaves(guard: Guard): readonly Guard[] {
  if (guard.kind === 'not') return leaves(guard.guard);
  return guard.kind === 'allOf' || guard.kind === 'anyOf' ? guard.guards.flatMap(leaves) : [guard];
}

/** The literals that each path is compared with; none for a path that is compared with paths alone. */
export function comparisonsByPath(guards: readonly Guard[]): ReadonlyMap<string, readonly Compared[]> {
  const found = new Map<string, Compared[]>();
  for (const leaf of guards.flatMap(leaves)) {
    if (leaf.kind !== 'expr') continue;
    const { left, right, operator } = leaf.expr;
    for (const [path, other] of [
      [left, right],
      [right, left],
    ] as const) {
      if (path.kind !== 'path') continue;
      const list = found.get(pathKey(path)) ?? [];
      if (other.kind === 'literal') list.push({ operator, value: other.value });
      found.set(pathKey(path), list);
    }
  }
  return found;
}

/** The types that an author expects, by the literals that the value is compared with; a string where there are none. */
export function comparedTypes(compared: readonly Compared[]): ReadonlySet<string> {
  const types = compared.flatMap(({ value }) => (value === null ? [] : [typeof value]));
  return new Set(types.length === 0 ? ['string'] : types);
}

/** A private character, for texts that equal no literal of an author. */
const fresh = '\u{10fffd}';
const tooMany = 4;

/** A value of every kind that these comparisons can tell apart; null where there are too many to be certain. */
export function representatives(domain: Domain, compared: readonly Compared[]): readonly Value[] | null {
  const all = [...compared.map((comparison) => comparison.value), ...domain.marks];
  const parts = [
    ...new Set(compared.flatMap(({ operator, value }) => (operator === 'contains' ? [value] : []))),
  ];
  if (parts.length > tooMany || all.length > 200 || !takeSteps(50 + all.length ** 2 / 4)) return null;
  const lists = parts.reduce<Json[][]>(
    (some, item) => [...some, ...some.map((list) => [...list, item])],
    [[]],
  );
  const tails = lists.map((list) => list.filter((item) => typeof item === 'string').join(''));
  const texts = ['', ...all.filter((item) => typeof item === 'string')].flatMap((start) =>
    tails.flatMap((tail) => [`${start}${tail}`, `${start}${fresh}${tail}`]),
  );
  const values: Value[] = [
    undefined,
    null,
    true,
    false,
    ...numbersAround(all.filter((item) => typeof item === 'number')),
    ...new Set(texts),
    ...lists,
    {},
    ...domain.marks,
  ];
  return values.filter((value) => domain.admits(value));
}

function numbersAround(marks: readonly number[]): number[] {
  const sorted = [...new Set([0, ...marks])].sort((a, b) => a - b);
  const between = sorted.flatMap((mark, index) => {
    const next = sorted[index + 1];
    return next === undefined ? [] : [(mark + next) / 2, Math.floor((mark + next) / 2), mark + 1, next - 1];
  });
  const [first = 0] = sorted;
  return [
    ...new Set([
      ...sorted,
      ...between,
      first - 1,
      first - 0.5,
      (sorted.at(-1) ?? 0) + 1,
      (sorted.at(-1) ?? 0) + 0.5,
    ]),
  ];
}
