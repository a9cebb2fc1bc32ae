import { isObject, pointerTo, type Json, type JsonObject } from '../../model/values/json.js';
import { rememberBySchema, schemasTogether, type Reading } from './defaults.js';
import { mapSubschemas, type SchemaPath } from '../subschemas.js';

// Which defaults are not filled in, so that whoever loads a schema is warned.

export interface Unfilled {
  /** The path of the default within the schema. */
  readonly path: SchemaPath;
  readonly message: string;
}

/** Where the values of a subschema stand. */
interface Surroundings {
  /** A keyword above the subschema that not every value fits; null: none. */
  readonly under: string | null;
  /** The subschema is that of a property, which may be missing. */
  readonly isNamed: boolean;
  /** A property around it that may be left out, and the value with it; null: none. */
  readonly above: string | null;
  /** The property itself, where it may be left out; else null. */
  readonly own: string | null;
}

/** Keywords that apply to the same value, and are found by `schemasTogether`. */
const here = new Set(['$ref', '$dynamicRef', 'allOf']);
/** Keywords that apply to values inside, where these are present. */
const inside = new Set(['patternProperties', 'additionalProperties', 'prefixItems', 'items']);
const notApplied = new Set(['$defs', 'definitions']);

/** The defaults of a schema that are not filled in, or not always. `paths`: of each of its subschemas. */
export function unfilledIn(
  schema: JsonObject,
  reading: Reading,
  paths: ReadonlyMap<JsonObject, SchemaPath>,
): readonly Unfilled[] {
  const hasDefault = rememberBySchema((schema) =>
    [...schemasTogether(schema, reading)].some((each) => Object.hasOwn(each, 'default')),
  );
  const seen = new Map<string, Set<JsonObject>>();
  const found = new Map<JsonObject, Unfilled>();
  const visit = (value: Json, surroundings: Surroundings): void => {
    if (!isObject(value)) return;
    const { under, isNamed, above, own } = surroundings;
    const alike = [under !== null, isNamed, above !== null, own !== null].join();
    const before = seen.get(alike) ?? new Set();
    if (before.has(value)) return;
    seen.set(alike, before.add(value));
    const all = [...schemasTogether(value, reading)];
    const given = givenIn(all, hasDefault);
    for (const part of all) {
      const path = paths.get(part);
      const isFilled = isNamed && under === null && above === null;
      if (Object.hasOwn(part, 'default') && path !== undefined && !isFilled)
        found.set(
          part,
          found.get(part) ?? { path: [...path, 'default'], message: messageOf(path, surroundings) },
        );
      for (const [key, held] of Object.entries(part)) {
        if (notApplied.has(key) || here.has(key)) continue;
        mapSubschemas(key, held, (each, [, name]) => {
          visit(each, surroundingsBelow(key, String(name), given, surroundings));
          return each;
        });
      }
    }
  };
  visit(schema, { under: null, isNamed: false, above: null, own: null });
  return [...found.values()];
}

/** The names that are present in every value that fits all of these schemas, once its defaults are filled in. */
function givenIn(all: readonly JsonObject[], hasDefault: (schema: JsonObject) => boolean): ReadonlySet<Json> {
  const names = all.flatMap(({ required, properties }) => {
    const withDefault = Object.entries(isObject(properties) ? properties : {}).flatMap(([name, property]) =>
      isObject(property) && hasDefault(property) ? [name] : [],
    );
    return [...withDefault, ...(Array.isArray(required) ? (required as readonly Json[]) : [])];
  });
  return new Set(names);
}

function surroundingsBelow(
  key: string,
  name: string,
  given: ReadonlySet<Json>,
  { under, above, own }: Surroundings,
): Surroundings {
  if (key !== 'properties')
    return { under: inside.has(key) ? under : (under ?? key), isNamed: false, above: null, own: null };
  return { under, isNamed: true, above: above ?? own, own: given.has(name) ? null : name };
}

function messageOf(path: SchemaPath, { under, isNamed, above }: Surroundings): string {
  const of = path.length === 0 ? 'the schema' : `\`${pointerTo(path)}\``;
  return `the \`default\` of ${of} is not filled in${reasonOf(under, isNamed ? above : null)}`;
}

function reasonOf(under: string | null, above: string | null): string {
  if (under !== null)
    return `: it stands under \`${under}\`, which not every value fits: declare it outside of \`${under}\`, or take it out and have it sent`;
  if (above !== null)
    return ` where \`${above}\` is left out, in which it stands: require \`${above}\`, or give it a default too (\`default: {}\`)`;
  return ': only the value of a name under `properties` can be: take it out';
}
