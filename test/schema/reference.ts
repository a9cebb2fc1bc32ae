import { isObject, type Json, type JsonObject } from '../../src/model/values/json.js';

// JSON Schema 2020-12 as its specification says, keyword by keyword, for the keywords that pass on what they have looked at.

/** The names and items that a schema has looked at in a value that fits; null: the value does not fit. */
type Seen = ReadonlySet<string> | null;

export function fits(schema: Json, value: Json): boolean {
  return seenBy(schema, value, schema) !== null;
}

function seenBy(schema: Json, value: Json, root: Json): Seen {
  if (typeof schema === 'boolean') return schema ? new Set() : null;
  if (!isObject(schema)) throw new Error('no schema');
  const seen = new Set<string>();
  const take = (evaluated: Seen): boolean => {
    for (const name of evaluated ?? []) seen.add(name);
    return evaluated !== null;
  };
  const inside = (of: Json, name: string): boolean => {
    seen.add(name);
    return seenBy(of, child(value, name), root) !== null;
  };
  const here = (of: Json | undefined): Seen => seenBy(of ?? true, value, root);
  const rules = [
    () => hasType(schema, value),
    () => hasNames(schema, value),
    () => insideFits(schema, value, inside),
    () => branches(schema, here).every(take),
    () => restFits(schema, value, inside),
    () => schema['$ref'] === undefined || take(seenBy(referred(root), value, root)),
    () => lastFits(schema, value, seen, inside),
  ];
  return rules.every((holds) => holds()) ? seen : null;
}

function child(value: Json, name: string): Json {
  return (value as Readonly<Record<string, Json>>)[name] ?? null;
}

function referred(root: Json): Json {
  return isObject(root) && isObject(root['$defs']) ? (root['$defs']['q'] ?? false) : false;
}

function hasType({ type }: JsonObject, value: Json): boolean {
  const actual = Array.isArray(value) ? 'array' : value === null ? 'null' : typeof value;
  return type === undefined || type === actual;
}

function hasNames(schema: JsonObject, value: Json): boolean {
  const { required, minItems, maxItems } = schema;
  if (Array.isArray(value))
    return value.length >= Number(minItems ?? 0) && value.length <= Number(maxItems ?? Infinity);
  return !isObject(value) || ((required ?? []) as string[]).every((name) => Object.hasOwn(value, name));
}

type Inside = (of: Json, name: string) => boolean;

function insideFits(schema: JsonObject, value: Json, inside: Inside): boolean {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined || value.map((_one, index) => inside(items, String(index))).every(Boolean);
  }
  if (!isObject(value)) return true;
  const { properties = {}, patternProperties = {} } = schema as Readonly<Record<string, JsonObject>>;
  const found = Object.keys(value).flatMap((name) => [
    ...(Object.hasOwn(properties, name) ? [inside(properties[name] ?? true, name)] : []),
    ...Object.entries(patternProperties)
      .filter(([pattern]) => new RegExp(pattern, 'u').test(name))
      .map(([, of]) => inside(of, name)),
  ]);
  return found.every(Boolean);
}

function restFits(schema: JsonObject, value: Json, inside: Inside): boolean {
  const { additionalProperties: rest } = schema;
  if (rest === undefined || !isObject(value)) return true;
  const { properties = {}, patternProperties = {} } = schema as Readonly<Record<string, JsonObject>>;
  const patterns = Object.keys(patternProperties).map((name) => new RegExp(name, 'u'));
  const others = Object.keys(value).filter(
    (name) => !Object.hasOwn(properties, name) && !patterns.some((pattern) => pattern.test(name)),
  );
  return others.map((name) => inside(rest, name)).every(Boolean);
}

/** What each branch that counts has looked at; null among them: the value does not fit. */
function branches(schema: JsonObject, here: (of: Json | undefined) => Seen): readonly Seen[] {
  const list = (key: string): readonly Seen[] => ((schema[key] ?? []) as readonly Json[]).map(here);
  const holding = (all: readonly Seen[], isEnough: (count: number) => boolean): readonly Seen[] => {
    const those = all.filter((seen) => seen !== null);
    return all.length === 0 || isEnough(those.length) ? those : [null];
  };
  const asked = schema['if'] === undefined ? undefined : here(schema['if']);
  return [
    ...list('allOf'),
    ...holding(list('anyOf'), (count) => count > 0),
    ...holding(list('oneOf'), (count) => count === 1),
    ...(schema['not'] === undefined || here(schema['not']) === null ? [] : [null]),
    ...(asked === undefined ? [] : asked === null ? [here(schema['else'])] : [asked, here(schema['then'])]),
    ...Object.entries((schema['dependentSchemas'] ?? {}) as JsonObject).flatMap(([name, of]) =>
      here({ type: 'object', required: [name] }) === null ? [] : [here(of)],
    ),
  ];
}

function lastFits(schema: JsonObject, value: Json, seen: Set<string>, inside: Inside): boolean {
  const rest = Array.isArray(value) ? schema['unevaluatedItems'] : schema['unevaluatedProperties'];
  if (rest === undefined || typeof value !== 'object' || value === null) return true;
  const others = Object.keys(value).filter((name) => !seen.has(name));
  return others.map((name) => inside(rest, name)).every(Boolean);
}
