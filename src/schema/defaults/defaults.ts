import { isObject, maxJsonDepth, type Json, type JsonObject } from '../../model/values/json.js';
import type { Pattern } from '../patterns/pattern.js';
import { spend } from '../work.js';

// Defaults are filled in before the value is validated. What is filled in depends on which names are present, and never on
// values, so that the result is the same whichever of the defaults were sent. A default under a keyword that not every value
// fits, such as `oneOf` or `if`, is not filled in, and `unfilled.ts` reports it.

/** What is needed to read a schema: where its references lead, and its compiled patterns. */
export interface Reading {
  readonly resolve: (reference: string) => Json | undefined;
  readonly patterns: ReadonlyMap<string, Pattern>;
}

/** What a schema fills in. */
export interface Filling {
  /** The parts that apply to the whole value; empty: the schema fills in nothing. */
  readonly parts: readonly Part[];
  /** Names that are filled in at the top. */
  readonly names: readonly string[];
}

/** A subschema that every value at its place must fit. Names and items are followed only where something is filled in below them. */
interface Part {
  /** The defaults of names, as JSON texts. */
  readonly defaults: readonly (readonly [name: string, text: string])[];
  /** Names whose values are followed, unless `followsEveryName`. */
  readonly names: readonly string[];
  readonly followsEveryName: boolean;
  /** Does the subschema declare or match the name? All other names are alike to it. */
  readonly speaksOf: (name: string) => boolean;
  /** The parts that apply to the value of a name. */
  readonly ofName: (name: string) => readonly Part[];
  /** Items below this index have parts of their own, the others share theirs; null: no item is followed. */
  readonly prefix: number | null;
  readonly ofItem: (index: number) => readonly Part[];
}

const noParts: readonly Part[] = [];

export type Filler = (schema: JsonObject) => Filling;

/** `left`: schemas of properties whose defaults are not filled in. */
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

/** The schema and all schemas that apply wherever it does, the nearest first: targets of its references, and its `allOf`. */
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

/** What a schema says of the values inside an object or a list. */
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

/** The schema behind references or `allOf` that gives this schema its default; null: it has its own, or none. */
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

/** Characters of JSON, names included, that defaults may fill into a value that is kept: a few definitions can double them at each level. */
const mostFilled = 262_144;

/** The filling in of one value. Places are worked out anew for each value, so that the work is the same each time. */
interface FillRun {
  readonly places: Places;
  readonly most: number;
  filled: number;
}

/** Places by their parts, in order: what is worked out for a set of parts holds wherever these apply together. */
interface Places {
  readonly next: Map<Part, Places>;
  place?: Place;
}

/** What applies to the values at one place of the value that is filled in. */
interface Place {
  readonly parts: readonly Part[];
  /** The first default of each name. */
  readonly defaults: ReadonlyMap<string, string>;
  readonly names: readonly string[];
  readonly followsEveryName: boolean;
  /** As of a part; null: no item is followed. */
  readonly prefix: number | null;
  /** The places inside that have been reached: by name, by index; under null, those of names that no part declares. */
  readonly inside: Map<string | number | null, Place>;
}

/**
 * The value with the defaults of all these schemas, each of which it is to fit; where several have a default for a name, the
 * first counts. Where they have none it is the value itself, else a copy. The copy is made by way of JSON text:
 * `structuredClone`, and every copy that is made name by name, takes ten times as long for objects with many names. Where
 * the value is not kept (`isKept`), only the work for it limits its size.
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
  // A deeper value could not be kept. Defaults that fill in one another without end stop here.
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

/** Sets a name of the object, also a name like `__proto__`. */
function defineName(run: FillRun, object: JsonObject, name: string, text: string): void {
  // The units are those of a list of empty lists, which takes longest for its length.
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
