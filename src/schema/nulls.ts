import { isObject, type Json, type JsonObject } from '../model/values/json.js';
import type { Reading } from './defaults/defaults.js';
import { pathText, type SchemaPath } from './subschemas.js';

// OpenAPI 3.0's `nullable: true` adds null to the `type` beside it, and without a `type` adds nothing. What other keywords ask of
// a value is asked of null too.

/** Which subschema says `nullable: true`, and yet takes no null; null: none. As `misreadingIn`, it is asked when a flow is written. */
export function misreadNullIn(
  paths: ReadonlyMap<JsonObject, SchemaPath>,
  { resolve }: Pick<Reading, 'resolve'>,
): string | null {
  const known = new Map<JsonObject, boolean>();
  const takes = (schema: Json | undefined): boolean => {
    if (!isObject(schema)) return schema !== false;
    const found = known.get(schema);
    if (found !== undefined) return found;
    // Where it refers to itself, nothing more is asked.
    known.set(schema, true);
    const all = refusing(schema) === undefined;
    known.set(schema, all);
    return all;
  };
  const refusing = (schema: JsonObject): string | undefined =>
    Object.keys(schema).find((key) => !keywordTakes(schema, key));
  const keywordTakes = (schema: JsonObject, key: string): boolean => {
    const value = schema[key];
    const list: readonly Json[] = Array.isArray(value) ? (value as readonly Json[]) : [];
    switch (key) {
      case 'type':
        return value === 'null' || list.includes('null') || schema['nullable'] === true;
      case 'const':
        return value === null;
      case 'enum':
        return list.includes(null);
      case '$ref':
      case '$dynamicRef':
        return takes(resolve(String(value)));
      case 'allOf':
        return list.every(takes);
      case 'anyOf':
        return list.some(takes);
      case 'oneOf':
        return list.filter(takes).length === 1;
      case 'not':
        return !takes(value);
      case 'if':
        return takes(schema[takes(value) ? 'then' : 'else']);
      default:
        return true;
    }
  };
  for (const [schema, path] of paths) {
    const key = schema['nullable'] === true ? refusing(schema) : undefined;
    if (key === undefined) continue;
    return `${pathText(path)} says \`nullable\`, and its \`${key}\` takes no null: ${adviceFor(schema, key)}, or leave \`nullable\` out`;
  }
  return null;
}

function adviceFor(schema: JsonObject, key: string): string {
  if (key === 'enum') return 'add null to it';
  const moved = key === 'if' ? 'if: …, then: …, else: …' : `${key}: …`;
  const instead = `anyOf: [{ ${moved} }, { type: "null" }]`;
  return key === 'anyOf' || schema['anyOf'] === undefined
    ? `write \`${instead}\` in its place`
    : `write \`{ ${instead} }\` under \`allOf\` in its place`;
}
