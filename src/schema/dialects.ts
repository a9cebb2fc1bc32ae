import { isObject, type Json, type JsonObject } from '../model/values/json.js';
import { mapSubschemas, pathText, type SchemaPath } from './subschemas.js';

// The dialects in which a schema may be written. Of draft-07 only what means the same in 2020-12 is accepted.

const draft07 = /^https?:\/\/json-schema\.org\/draft-07\/schema#?$/;
const draft2020 = /^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/;

function isDraft07(dialect: Json | undefined): boolean {
  return isOf(draft07, dialect);
}

/** Why the dialect that `$schema` names is not accepted; null: it is. */
export function dialectProblem(dialect: Json): string | null {
  if (isDraft07(dialect) || isOf(draft2020, dialect)) return null;
  const said = JSON.stringify(dialect).slice(0, 80).toWellFormed();
  return `\`$schema\` is ${said}: leave it out, or write \`https://json-schema.org/draft/2020-12/schema\` (\`http://json-schema.org/draft-07/schema#\` is taken too, for what means the same in both)`;
}

function isOf(dialects: RegExp, value: Json | undefined): boolean {
  return typeof value === 'string' && value.length < 100 && dialects.test(value);
}

/** Keywords that draft-07 does not know, and ignores. */
const later = new Set([
  ...['$anchor', '$dynamicAnchor', '$dynamicRef'],
  'dependentRequired',
  'dependentSchemas',
  'maxContains',
  'minContains',
  'prefixItems',
  'unevaluatedItems',
  'unevaluatedProperties',
]);

/** The same schema with the lists of names in draft-07's `dependencies` under `dependentRequired`. Subschemas stay where they are. */
export function renameLists(schema: JsonObject): JsonObject {
  const { dependencies, dependentRequired: known = {} } = schema;
  if (!isObject(dependencies) || !isObject(known)) return schema;
  const isList = ([, value]: readonly [string, Json]): boolean => Array.isArray(value);
  const entries = Object.entries(dependencies);
  const lists = entries
    .filter(isList)
    .map(([name, list]) => [name, [list, Object.hasOwn(known, name) ? known[name] : []].flat()] as const);
  return {
    ...schema,
    dependencies: Object.fromEntries(entries.filter((entry) => !isList(entry))),
    dependentRequired: { ...known, ...Object.fromEntries(lists) } as JsonObject,
  };
}

/** Keywords that ask nothing of a value, and may stand beside a reference in any dialect. */
const asksNothing = new Set([
  ...['$ref', '$comment', '$defs', '$id', '$schema', 'default', 'definitions', 'deprecated', 'description'],
  ...['examples', 'readOnly', 'title', 'writeOnly'],
]);

/**
 * What in a schema that says draft-07, and compiles, would mean something else here; null: nothing. This is asked when a flow
 * is written, and not of the flow of a run that goes on.
 */
export function misreadingIn(schema: JsonObject): string | null {
  return isDraft07(schema['$schema']) ? misreadingAt(schema, []) : null;
}

function misreadingAt(schema: JsonObject, path: SchemaPath): string | null {
  const misread = misreadingOf(schema);
  if (misread !== null) return `${pathText(path)} ${misread}`;
  let found: string | null = null;
  for (const [keyword, value] of Object.entries(schema))
    mapSubschemas(keyword, value, (inner, steps) => {
      if (isObject(inner)) found ??= misreadingAt(inner, [...path, ...steps]);
      return inner;
    });
  return found;
}

function misreadingOf(schema: JsonObject): string | null {
  const names = Object.keys(schema);
  const unknown = names.find((name) => later.has(name));
  if (unknown !== undefined)
    return `has \`${unknown}\`, which draft-07 passes over: write \`$schema\` as 2020-12, or leave it out`;
  const beside = names.includes('$ref') ? names.find((name) => !asksNothing.has(name)) : undefined;
  return beside === undefined
    ? null
    : `has \`${beside}\` beside a \`$ref\`, which draft-07 passes over: put the \`$ref\` under \`allOf\`, write \`$schema\` as 2020-12, or leave it out`;
}
