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
  /** Names of which it says nothing are alike to it. */
  readonly speaksOf: (name: string) => boolean;
  /** Those of the value of a name. */
  readonly ofName: (name: string) => readonly Part[];
  /** Up to this index each item has its own; null: no item is followed. */
  readonly prefix: number | null;
  readonly ofItem: (index: number) => readonly Part[];
}

const noParts: readonly Part[] = [];

export type Filler = (schema: JsonObject) => Filling;

/** `left`: schemas of names whose defaults are not filled in. */
export function makeFiller(reading: Reading, left: ReadonlySet<JsonObject>): Filler {
  const defaultsOf = rememberBySchema((schema) => defaultsIn(schema, reading, left));
  const isFilling = rememberBySchema((schema) => fillsBelow(schema, reading, defaultsOf, new Set()));
  const partOf = rememberBySchema((schema): Part => {
    const { declared, patterns, others, prefix, items } = valuesInside(schema, reading);
    const follows = (inner: Json | undefined): boolean => isObject(inner) && isFilling(inner);
    const followsItems = [...prefix, items].some(follows);
    return {
      defaults: defaultsOf(schema),
      names: Object.keys(declared).filter((name) => follows(declared[name])),
      followsEveryName: [others, ...patterns.map(([, inner]) => inner)].some(follows),
      speaksOf: (name) => patterns.length > 0 || Object.hasOwn(declared, name),
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
  const partsOfObject = rememberBySchema((schema) =>
    [...schemasTogether(schema, reading)].filter(isFilling).map(partOf),
  );
  const partsOf = (schema: Json | undefined): readonly Part[] =>
    isObject(schema) ? partsOfObject(schema) : noParts;
  return (schema) => {
    const parts = partsOf(schema);
    return { parts, names: parts.flatMap((part) => part.defaults.map(([name]) => name)) };
  };
}

export function rememberBySchema<V>(make: (schema: JsonObject) => V): (schema: JsonObject) => V {
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
export function schemasTogether(
  schema: Json | undefined,
  reading: Reading,
  found = new Set<JsonObject>(),
): ReadonlySet<JsonObject> {
  if (!isObject(schema) || found.has(schema)) return found;
  found.add(schema);
  for (const other of schemasBeside(schema, reading)) schemasTogether(other, reading, found);
  return found;
}

function schemasBeside(schema: JsonObject, { resolve }: Reading): readonly (Json | undefined)[] {
  const references = [schema['$ref'], schema['$dynamicRef']];
  const targets = references.map((reference) =>
    typeof reference === 'string' ? resolve(reference) : undefined,
  );
  return [...targets, ...listOf(schema['allOf'])];
}

/** What it says of the values inside of one. */
function valuesInside(schema: JsonObject, { patterns: compiled }: Reading) {
  const { properties, patternProperties, additionalProperties, prefixItems, items } = schema;
  const patterns = Object.entries(objectOf(patternProperties)).flatMap(([text, inner]) => {
    const pattern = compiled.get(text);
    return pattern === undefined ? [] : [[pattern, inner] as const];
  });
  return {
    declared: objectOf(properties),
    patterns,
    others: additionalProperties,
    prefix: listOf(prefixItems),
    items,
  };
}

function defaultsIn(schema: JsonObject, reading: Reading, left: ReadonlySet<JsonObject>): Part['defaults'] {
  return Object.entries(objectOf(schema['properties'])).flatMap(([name, own]) => {
    if (isObject(own) && left.has(own)) return [];
    const saying = schemaWithDefault(own, reading);
    return saying === undefined ? [] : [[name, JSON.stringify(saying['default'])] as const];
  });
}

function schemaWithDefault(own: Json | undefined, reading: Reading): JsonObject | undefined {
  return [...schemasTogether(own, reading)].find((candidate) => Object.hasOwn(candidate, 'default'));
}

/** What says the default of this schema, where it does not say it itself. */
export function defaultBehind(own: JsonObject, reading: Reading): JsonObject | null {
  return Object.hasOwn(own, 'default') ? null : (schemaWithDefault(own, reading) ?? null);
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
  const { declared, patterns, others, prefix, items } = valuesInside(schema, reading);
  const inside = [
    ...Object.values(declared),
    ...patterns.map(([, inner]) => inner),
    others,
    ...prefix,
    items,
  ];
  return [...schemasBeside(schema, reading), ...inside].some((inner) =>
    fillsBelow(inner, reading, defaultsOf, seen),
  );
}

/** Characters of JSON that defaults fill into one value that is kept, names included: a few definitions can double it at each level. */
const mostFilled = 262_144;

/** What one value is filled in with. It is worked out anew each time, so that the work is the same each time. */
interface FillRun {
  readonly places: Places;
  readonly most: number;
  filled: number;
}

/** By their parts, in their order: what is worked out for a set of parts holds wherever they stand together. */
interface Places {
  readonly next: Map<Part, Places>;
  place?: Place;
}

interface Place {
  readonly parts: readonly Part[];
  /** The first of each name. */
  readonly defaults: ReadonlyMap<string, string>;
  readonly names: readonly string[];
  readonly followsEveryName: boolean;
  /** Up to this index each item has its own; null: no item is followed. */
  readonly prefix: number | null;
  /** Those that have been reached: of names, of items, and of the names that no part speaks of. */
  readonly inside: Map<string | number | null, Place>;
}

/**
 * The value with the defaults of all these schemas, each of which it is to fit; what the first says goes before what the
 * others say. It is the value itself where they have none, else a copy, made by way of a text: `structuredClone`, and every
 * copy that is made name by name, takes ten times as long for objects of many names. What is not kept is as large as the
 * work for it allows.
 */
export function fillIn(fillings: readonly Filling[], value: JsonObject, isKept = true): JsonObject {
  const parts = fillings.flatMap((filling) => filling.parts);
  if (parts.length === 0) return value;
  const copy = JSON.parse(JSON.stringify(value)) as JsonObject;
  const run: FillRun = { places: { next: new Map() }, most: isKept ? mostFilled : Infinity, filled: 0 };
  fill(run, placeOf(run, new Set(parts)), copy, 1);
  return copy;
}

function placeOf({ places }: FillRun, parts: ReadonlySet<Part>): Place {
  spend(10 * parts.size);
  let at = places;
  for (const part of parts) {
    const next = at.next.get(part) ?? { next: new Map<Part, Places>() };
    at.next.set(part, next);
    at = next;
  }
  return (at.place ??= makePlace([...parts]));
}

function makePlace(parts: readonly Part[]): Place {
  const defaults = new Map<string, string>();
  const names = new Set<string>();
  for (const part of parts) {
    spend(10 + 5 * (part.defaults.length + part.names.length));
    for (const [name, text] of part.defaults) if (!defaults.has(name)) defaults.set(name, text);
    for (const name of part.names) names.add(name);
  }
  const prefixes = parts.flatMap(({ prefix }) => prefix ?? []);
  return {
    ...{ parts, defaults, names: [...names], inside: new Map() },
    followsEveryName: parts.some((part) => part.followsEveryName),
    prefix: prefixes.length === 0 ? null : Math.max(...prefixes),
  };
}

function insideOf(
  run: FillRun,
  place: Place,
  key: string | number | null,
  partsOf: (part: Part) => readonly Part[],
): Place {
  const known = place.inside.get(key);
  if (known !== undefined) return known;
  const parts = new Set<Part>();
  for (const part of place.parts) {
    const inside = partsOf(part);
    spend(10 + 2 * inside.length);
    for (const part of inside) parts.add(part);
  }
  const made = placeOf(run, parts);
  place.inside.set(key, made);
  return made;
}

function fill(run: FillRun, place: Place, value: Json | undefined, depth: number): void {
  if (place.parts.length === 0 || typeof value !== 'object' || value === null) return;
  spend(5);
  // Such a value could not be kept, and what is filled in without an end stops here.
  if (depth > maxJsonDepth) spend(Infinity);
  if (Array.isArray(value)) fillItems(run, place, value as readonly Json[], depth);
  else fillNames(run, place, value as JsonObject, depth);
}

function fillItems(run: FillRun, place: Place, items: readonly Json[], depth: number): void {
  const { prefix } = place;
  if (prefix === null) return;
  spend(items.length);
  for (const [index, item] of items.entries()) {
    const inner = insideOf(run, place, Math.min(index, prefix), (part) => part.ofItem(index));
    fill(run, inner, item, depth + 1);
  }
}

function fillNames(run: FillRun, place: Place, value: JsonObject, depth: number): void {
  spend(place.defaults.size);
  for (const [name, text] of place.defaults)
    if (!Object.hasOwn(value, name)) defineName(run, value, name, text);
  const follow = (name: string, key: string | null): void => {
    const inner = insideOf(run, place, key, (part) => part.ofName(name));
    fill(run, inner, value[name], depth + 1);
  };
  if (place.followsEveryName) {
    for (const name of Object.keys(value)) {
      spend(20 + place.parts.length);
      follow(name, place.parts.some((part) => part.speaksOf(name)) ? name : null);
    }
    return;
  }
  spend(place.names.length);
  for (const name of place.names) if (Object.hasOwn(value, name)) follow(name, name);
}

/** A name like `__proto__` is a name. */
function defineName(run: FillRun, object: JsonObject, name: string, text: string): void {
  // A list of empty lists takes longest for its length.
  spend(15 + text.length);
  run.filled += name.length + text.length + '"":,'.length;
  if (run.filled > run.most) spend(Infinity);
  const [enumerable, configurable, writable] = [true, true, true];
  Object.defineProperty(object, name, { value: JSON.parse(text), enumerable, configurable, writable });
}

function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}
