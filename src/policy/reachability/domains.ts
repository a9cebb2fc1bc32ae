import type { Comparison, Guard, Mapping, Operand, Path as PathOperand, Plan } from '../../engine/plan.js';
import { isObject, type Json, type JsonObject } from '../../model/json.js';
import { mayLook } from './analysis.js';

// Which values may stand at a path, as far as schemas and mappings say: a few of each kind that guards can tell apart.

export type Value = Json | undefined;

export interface Domain {
  /** Does the value belong to it? Never less than what can happen. */
  readonly admits: (value: Value) => boolean;
  /** Values that have to be looked at, whatever the guards compare with. */
  readonly marks: readonly Json[];
}

export const anything: Domain = { admits: () => true, marks: [] };
export const oneOf = (values: readonly Value[]): Domain => ({
  admits: (value) => values.some((one) => one === value || JSON.stringify(one) === JSON.stringify(value)),
  marks: values.filter((one) => one !== undefined),
});

export function typeOf(value: Value): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

/** The values at a path below a schema; missing where the schema does not demand them. */
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
  const own = here;
  const bounds = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'].flatMap(
    (key) => own[key] ?? [],
  );
  const listed = Object.hasOwn(own, 'const') ? [own['const'] ?? null] : own['enum'];
  return {
    admits: (value) => (value === undefined ? !certain : admittedBy(own, value)),
    marks: [...bounds, ...(Array.isArray(listed) ? (listed as readonly Json[]) : [])],
  };
}

function admittedBy(schema: JsonObject, value: Json): boolean {
  const { type, enum: listed, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const types = typeof type === 'string' ? [type] : Array.isArray(type) ? type : null;
  const fits = (one: Json): boolean =>
    one === typeOf(value) || (one === 'integer' && typeof value === 'number' && Number.isInteger(value));
  if (types !== null && !types.some(fits) && !(value === null && schema['nullable'] === true)) return false;
  const same = (one: Json): boolean => JSON.stringify(one) === JSON.stringify(value);
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

/** What a mapping writes, read in a place with these arguments. A path that does not resolve writes null. */
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
    admits: (one) => one !== undefined && (read.admits(one) || (one === null && read.admits(undefined))),
    marks: read.marks,
  };
}

// --- values that guards can tell apart -----------------------------------------------------------

/** What one path is compared with. */
export interface Compared {
  readonly operator: Comparison['operator'];
  readonly value: Json;
}

export const pathKey = ({ scope, segments }: PathOperand): string => JSON.stringify([scope, ...segments]);

export const isPath = (one: Operand): one is PathOperand => one.kind === 'path';

/** The single guards inside a guard. */
export function leaves(guard: Guard): readonly Guard[] {
  if (guard.kind === 'not') return leaves(guard.guard);
  return guard.kind === 'allOf' || guard.kind === 'anyOf' ? guard.guards.flatMap(leaves) : [guard];
}

/** Every comparison of a path with a literal, by path. */
export function comparedWith(guards: readonly Guard[]): ReadonlyMap<string, readonly Compared[]> {
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

/** What an author takes the value to be, from what it is compared with. */
export function comparedTypes(compared: readonly Compared[]): ReadonlySet<string> {
  const types = compared.flatMap(({ value }) => (value === null ? [] : [typeof value]));
  return new Set(types.length === 0 ? ['string'] : types);
}

const fresh = '\u{10fffd}';
const tooMany = 4;

/** One value of every kind that these comparisons can tell apart; null where there are too many to be certain. */
export function representatives(domain: Domain, compared: readonly Compared[]): readonly Value[] | null {
  const all = [...compared.map((one) => one.value), ...domain.marks];
  const parts = [
    ...new Set(compared.flatMap(({ operator, value }) => (operator === 'contains' ? [value] : []))),
  ];
  if (parts.length > tooMany || all.length > 200 || !mayLook(50 + all.length ** 2 / 4)) return null;
  const lists = parts.reduce<Json[][]>((some, one) => [...some, ...some.map((list) => [...list, one])], [[]]);
  const tails = lists.map((list) => list.filter((one) => typeof one === 'string').join(''));
  const texts = ['', ...all.filter((one) => typeof one === 'string')].flatMap((one) =>
    tails.flatMap((tail) => [`${one}${tail}`, `${one}${fresh}${tail}`]),
  );
  const values: Value[] = [
    undefined,
    null,
    true,
    false,
    ...numbersAround(all.filter((one) => typeof one === 'number')),
    ...new Set(texts),
    ...lists,
    {},
    ...domain.marks,
  ];
  return values.filter((one) => domain.admits(one));
}

function numbersAround(marks: readonly number[]): number[] {
  const sorted = [...new Set([0, ...marks])].sort((a, b) => a - b);
  const between = sorted.flatMap((one, index) => {
    const next = sorted[index + 1];
    return next === undefined ? [] : [(one + next) / 2, Math.floor((one + next) / 2), one + 1, next - 1];
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
