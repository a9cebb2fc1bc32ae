import { escapePointer, isObject, type Json, type JsonObject } from '../../model/values/json.js';
import type { Reading } from '../defaults/defaults.js';
import { hasOwnCode, mapSubschemas, type SchemaPath } from '../subschemas.js';

// ajv makes code for a subschema wherever it meets it: in its own place, again within everything that a reference leads to,
// and in place of a reference to it. How often that is, is counted before ajv compiles.

const notCompiled = new Set(['$defs', 'definitions']);

/** For how many subschemas ajv makes code. `inlines`: ajv replaces a reference by its target, unless the target has references itself. */
export function countCompiled(schema: JsonObject, { resolve }: Reading, inlines: boolean): number {
  const functions = new Set([schema]);
  const sizes = new Map<JsonObject, number>();
  const sizeOf = (part: JsonObject | boolean): number => {
    if (typeof part === 'boolean') return 1;
    const known = sizes.get(part);
    if (known !== undefined) return known;
    let size = 1;
    for (const [key, value] of Object.entries(part)) {
      const target = isReference(key) ? resolve(String(value)) : undefined;
      if (isObject(target) && inlines && !refersOn(target)) size += sizeOf(target);
      else if (isObject(target)) functions.add(target);
      if (!notCompiled.has(key)) for (const inner of subschemasOf(key, value)) size += sizeOf(inner);
    }
    sizes.set(part, size);
    return size;
  };
  let count = 0;
  for (const root of functions) count += sizeOf(root);
  return count;
}

function isReference(key: string): boolean {
  return key === '$ref' || key === '$dynamicRef';
}

function refersOn(schema: JsonObject | boolean): boolean {
  return Object.entries(schema).some(
    ([key, value]) => isReference(key) || subschemasOf(key, value).some(refersOn),
  );
}

function subschemasOf(key: string, value: Json): readonly (JsonObject | boolean)[] {
  const found: (JsonObject | boolean)[] = [];
  mapSubschemas(key, value, (inner, path) => {
    if (hasOwnCode(inner, path)) found.push(inner);
    return inner;
  });
  return found;
}

/** The name of the whole schema in that of `makeAskingSchema`; it is no `$id` that an author would write. */
export const wholeName = 'countersign-whole-schema';

interface Asked {
  /** As ajv compiles it. */
  readonly schema: JsonObject;
  readonly reading: Reading;
  readonly paths: ReadonlyMap<JsonObject, SchemaPath>;
}

export interface Asking {
  /** An object `{name: value}` fits it where the value fits the subschema at the path of that name. */
  readonly schema: JsonObject;
  /** A name for each path, in their order. */
  readonly names: readonly string[];
}

/**
 * A schema with a property for each subschema at these paths. Where a subschema holds another of them it refers to its
 * property, and equal subschemas share a property: so code is made once for each, however deep they are nested.
 */
export function makeAskingSchema({ schema, reading, paths }: Asked, all: readonly SchemaPath[]): Asking {
  const owns = all.map((path) => valueAt(schema, path));
  const [asked, names, alike] = [new Set(owns), new Map<Json, string>(), new Map<string, string>()];
  const properties: Record<string, Json> = {};
  const referenceTo = (reference: string): string => {
    const target = reading.resolve(reference);
    const path = isObject(target) ? paths.get(target) : undefined;
    return `${wholeName}${path === undefined ? reference : `#${fragmentOf(path)}`}`;
  };
  const openUp = (part: Json): Json => {
    if (!isObject(part)) return part;
    const entries = Object.entries(part).map(
      ([key, value]) =>
        [key, isReference(key) ? referenceTo(String(value)) : mapSubschemas(key, value, inner)] as const,
    );
    return Object.fromEntries(entries);
  };
  const inner = (part: Json): Json =>
    asked.has(part) ? { $ref: `#/properties/${nameOf(part)}` } : openUp(part);
  const nameOf = (part: Json): string => {
    const known = names.get(part);
    if (known !== undefined) return known;
    const form = openUp(part);
    const text = JSON.stringify(form);
    const name = alike.get(text) ?? String(alike.size);
    properties[name] = form;
    alike.set(text, name);
    names.set(part, name);
    return name;
  };
  const found = owns.map(nameOf);
  return { schema: { type: 'object', properties }, names: found };
}

function valueAt(schema: Json, path: SchemaPath): Json {
  return path.reduce<Json>(
    (value, step) => (value as Readonly<Record<string | number, Json>>)[step] ?? null,
    schema,
  );
}

function fragmentOf(path: SchemaPath): string {
  return path.map((step) => `/${encodeURIComponent(escapePointer(String(step)))}`).join('');
}
