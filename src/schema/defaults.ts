import { isObject, maxJsonDepth, type Json, type JsonObject } from '../model/json.js';
import type { Pattern } from './pattern.js';
import { spend } from './work.js';

// Defaults are filled in before the schema is asked anything, by which names are there and never by what a value is: what
// comes out is the same whichever of the defaults were sent. A default under a keyword that not every value fits, such as
// `oneOf` or `if`, is not filled in, and `unfilled.ts` names it.

/** What a schema is read with: where its references lead, and its patterns as they were compiled. */
export interface Reading {
  readonly resolve: (reference: string) => Json | undefined;
  readonly patterns: ReadonlyMap<string, Pattern>;
}

/** What one schema fills in. */
export interface Filling {
  /** Of the whole value; empty: it fills in nothing. */
  readonly parts: readonly Part[];
  /** Names that are filled in at the top. */
  readonly names: readonly string[];
}

/** A subschema that every value at its place must fit. Only what something is filled in below is followed. */
interface Part {
  /** By name, as JSON texts. */
  readonly defaults: readonly (readonly [name: string, text: string])[];
  /** Names whose values are followed, where it is not every name. */
  readonly names: readonly string[];
  readonly followsEveryName: boolean;
  /** Those of the value of a name. */
  readonly ofName: (name: string) => readonly Part[];
  /** Up to this index each item has its own; null: no item is followed. */
  readonly prefix: number | null;
  readonly ofItem: (index: number) => readonly Part[];
}

const nothing: readonly Part[] = [];

export function fillingOf(schema: JsonObject, reading: Reading): Filling {
  const defaultsOf = remembered((one) => defaultsIn(one, reading));
  const isFilling = remembered((one) => fillsBelow(one, reading, defaultsOf, new Set()));
  const partOf = remembered((one): Part => {
    const { declared, patterns, others, prefix, items } = within(one, reading);
    const follows = (inner: Json | undefined): boolean => isObject(inner) && isFilling(inner);
    const followsItems = [...prefix, items].some(follows);
    return {
      defaults: defaultsOf(one),
      names: Object.keys(declared).filter((name) => follows(declared[name])),
      followsEveryName: [others, ...patterns.map(([, inner]) => inner)].some(follows),
      ofName: (name) => {
        const own = Object.hasOwn(declared, name) ? [declared[name]] : [];
        const matching = patterns.filter(([pattern]) => pattern.test(name)).map(([, inner]) => inner);
        const said = [...own, ...matching];
        return (said.length === 0 ? [others] : said).flatMap(partsOf);
      },
      prefix: followsItems ? prefix.length : null,
      ofItem: (index) => partsOf(index < prefix.length ? prefix[index] : items),
    };
  });
  const partsOfObject = remembered((one) => [...together(one, reading)].filter(isFilling).map(partOf));
  const partsOf = (one: Json | undefined): readonly Part[] => (isObject(one) ? partsOfObject(one) : nothing);
  const parts = partsOf(schema);
  return { parts, names: parts.flatMap((part) => part.defaults.map(([name]) => name)) };
}

function remembered<V>(make: (schema: JsonObject) => V): (schema: JsonObject) => V {
  const known = new Map<JsonObject, V>();
  return (schema) => {
    const found = known.get(schema);
    if (found !== undefined) return found;
    const made = make(schema);
    known.set(schema, made);
    return made;
  };
}

/** The schema and those that hold wherever it does, the nearest first: its references, and its `allOf`. */
export function together(
  schema: Json | undefined,
  reading: Reading,
  found = new Set<JsonObject>(),
): ReadonlySet<JsonObject> {
  if (!isObject(schema) || found.has(schema)) return found;
  found.add(schema);
  for (const one of beside(schema, reading)) together(one, reading, found);
  return found;
}

function beside(schema: JsonObject, { resolve }: Reading): readonly (Json | undefined)[] {
  const references = [schema['$ref'], schema['$dynamicRef']];
  const targets = references.map((one) => (typeof one === 'string' ? resolve(one) : undefined));
  return [...targets, ...listOf(schema['allOf'])];
}

/** What it says of the values inside of one. */
function within(schema: JsonObject, { patterns: compiled }: Reading) {
  const { properties, patternProperties, additionalProperties, prefixItems, items } = schema;
  const patterns = Object.entries(objectOf(patternProperties)).flatMap(([text, one]) => {
    const pattern = compiled.get(text);
    return pattern === undefined ? [] : [[pattern, one] as const];
  });
  return {
    declared: objectOf(properties),
    patterns,
    others: additionalProperties,
    prefix: listOf(prefixItems),
    items,
  };
}

function defaultsIn(schema: JsonObject, reading: Reading): Part['defaults'] {
  return Object.entries(objectOf(schema['properties'])).flatMap(([name, own]) => {
    const saying = [...together(own, reading)].find((one) => Object.hasOwn(one, 'default'));
    return saying === undefined ? [] : [[name, JSON.stringify(saying['default'])] as const];
  });
}

function fillsBelow(
  schema: Json | undefined,
  reading: Reading,
  defaultsOf: (schema: JsonObject) => Part['defaults'],
  seen: Set<JsonObject>,
): boolean {
  if (!isObject(schema) || seen.has(schema)) return false;
  seen.add(schema);
  if (defaultsOf(schema).length > 0) return true;
  const { declared, patterns, others, prefix, items } = within(schema, reading);
  const inside = [...Object.values(declared), ...patterns.map(([, one]) => one), others, ...prefix, items];
  return [...beside(schema, reading), ...inside].some((one) => fillsBelow(one, reading, defaultsOf, seen));
}

/**
 * The value with the defaults of all these schemas, each of which it is to fit; what the first says goes before what the
 * others say. It is the value itself where they have none, else a copy, made by way of a text: `structuredClone`, and every
 * copy that is made name by name, takes ten times as long for objects of many names.
 */
export function filledIn(fillings: readonly Filling[], value: JsonObject): JsonObject {
  const parts = fillings.flatMap((one) => one.parts);
  if (parts.length === 0) return value;
  const copy = JSON.parse(JSON.stringify(value)) as JsonObject;
  fill(parts, copy, 1);
  return copy;
}

function fill(parts: readonly Part[], value: Json | undefined, depth: number): void {
  if (parts.length === 0 || typeof value !== 'object' || value === null) return;
  spend(2 + 4 * parts.length);
  // Such a value could not be kept, and what is filled in without an end stops here.
  if (depth > maxJsonDepth) spend(Infinity);
  if (Array.isArray(value)) fillItems(parts, value as readonly Json[], depth);
  else fillNames(parts, value as JsonObject, depth);
}

function fillItems(parts: readonly Part[], items: readonly Json[], depth: number): void {
  const following = parts.filter(({ prefix }) => prefix !== null);
  if (following.length === 0) return;
  const longest = Math.max(...following.map(({ prefix }) => prefix ?? 0));
  const ofItem = (index: number): readonly Part[] => [
    ...new Set(following.flatMap((one) => one.ofItem(index))),
  ];
  const ofOthers = ofItem(longest);
  for (const [index, item] of items.entries())
    fill(index < longest ? ofItem(index) : ofOthers, item, depth + 1);
}

function fillNames(parts: readonly Part[], value: JsonObject, depth: number): void {
  for (const { defaults } of parts)
    for (const [name, text] of defaults) if (!Object.hasOwn(value, name)) define(value, name, text);
  if (parts.some((one) => one.followsEveryName)) {
    for (const name of Object.keys(value)) {
      spend(20);
      fill(ofName(parts, name), value[name], depth + 1);
    }
    return;
  }
  for (const [name, inner] of followed(parts)) {
    spend(1);
    if (Object.hasOwn(value, name)) fill(inner, value[name], depth + 1);
  }
}

function ofName(parts: readonly Part[], name: string): readonly Part[] {
  return [...new Set(parts.flatMap((one) => one.ofName(name)))];
}

const known = new WeakMap<readonly Part[], readonly (readonly [name: string, parts: readonly Part[]])[]>();

/** Worked out once for all the objects of a list. */
function followed(parts: readonly Part[]): readonly (readonly [name: string, parts: readonly Part[]])[] {
  const found = known.get(parts);
  if (found !== undefined) return found;
  const names = new Set(parts.flatMap((one) => one.names));
  const made = [...names].map((name) => [name, ofName(parts, name)] as const);
  known.set(parts, made);
  return made;
}

/** A name like `__proto__` is a name. */
function define(object: JsonObject, name: string, text: string): void {
  spend(5 + text.length / 4);
  const [enumerable, configurable, writable] = [true, true, true];
  Object.defineProperty(object, name, { value: JSON.parse(text), enumerable, configurable, writable });
}

function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}
