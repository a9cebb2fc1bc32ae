import { isObject, pointerTo, type Json, type JsonObject } from '../model/values/json.js';

// Which keywords of a schema hold schemas, and where.

const singles = ['not', 'if', 'then', 'else', 'items', 'contains', 'propertyNames'];
const moreSingles = ['additionalProperties', 'unevaluatedItems', 'unevaluatedProperties', 'contentSchema'];
const single = new Set([...singles, ...moreSingles]);
const lists = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems']);
const named = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
  'dependencies',
]);

export type SchemaPath = readonly (string | number)[];

/** How a message names the subschema at this path. */
export function pathText(path: SchemaPath): string {
  return path.length === 0 ? 'the schema' : `\`${pointerTo(path).slice(0, 100).toWellFormed()}\``;
}

/**
 * The value of a keyword with each schema that it holds, which is an object or a boolean, replaced by what `make` gives. `path`:
 * from the schema that has the keyword.
 */
export function mapSubschemas(
  keyword: string,
  value: Json,
  makeSubschema: (schema: JsonObject | boolean, path: SchemaPath) => Json,
): Json {
  const make = (each: Json, path: SchemaPath): Json =>
    isObject(each) || typeof each === 'boolean' ? makeSubschema(each, path) : each;
  if (single.has(keyword)) return make(value, [keyword]);
  if (lists.has(keyword) && Array.isArray(value))
    return (value as readonly Json[]).map((each, index) => make(each, [keyword, index]));
  if (!named.has(keyword) || !isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, make(each, [keyword, name])] as const),
  );
}

/** Does ajv make code for it alone? A boolean that a keyword holds by itself, such as `additionalProperties: false`, is part of the keyword's. */
export function hasOwnCode(schema: JsonObject | boolean, path: SchemaPath): boolean {
  return isObject(schema) || path.length > 1;
}
