import { isObject, type Json } from '../model/values/json.js';

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

/** The value of a keyword with each schema that it holds replaced by what `make` gives. `path`: from the schema that has the keyword. */
export function mapSubschemas(
  keyword: string,
  value: Json,
  make: (schema: Json, path: SchemaPath) => Json,
): Json {
  if (single.has(keyword)) return make(value, [keyword]);
  if (lists.has(keyword) && Array.isArray(value))
    return (value as readonly Json[]).map((each, index) => make(each, [keyword, index]));
  if (!named.has(keyword) || !isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, make(each, [keyword, name])] as const),
  );
}
