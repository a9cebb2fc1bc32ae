import { isObject, pointerTo, type Json, type JsonObject } from '../model/json.js';
import { rememberBySchema, schemasTogether, type Reading } from './defaults.js';
import { mapSubschemas, type SchemaPath } from './subschemas.js';

// Which defaults are not filled in, so that whoever loads a schema is told.

export interface Unfilled {
  /** Of the default, within the schema. */
  readonly path: SchemaPath;
  readonly message: string;
}

/** Where a value stands that a schema is of. */
interface Standing {
  /** A keyword above it that not every value fits. */
  readonly under: string | null;
  /** It is the value of a name, which may be missing. */
  readonly isNamed: boolean;
  /** A name above it that may be left out, and with it all of this. */
  readonly above: string | null;
  /** Its own name, where that may be left out. */
  readonly own: string | null;
}

/** They say something of the same value, and `together` finds them. */
const here = new Set(['$ref', '$dynamicRef', 'allOf']);
/** They say something of values that are there. */
const inside = new Set(['patternProperties', 'additionalProperties', 'prefixItems', 'items']);
const notApplied = new Set(['$defs', 'definitions']);

/** `paths`: of each subschema. */
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
  const visit = (value: Json, standing: Standing): void => {
    if (!isObject(value)) return;
    const { under, isNamed, above, own } = standing;
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
          found.get(part) ?? { path: [...path, 'default'], message: messageOf(path, standing) },
        );
      for (const [key, held] of Object.entries(part)) {
        if (notApplied.has(key) || here.has(key)) continue;
        mapSubschemas(key, held, (each, [, name]) => {
          visit(each, standingBelow(key, String(name), given, standing));
          return each;
        });
      }
    }
  };
  visit(schema, { under: null, isNamed: false, above: null, own: null });
  return [...found.values()];
}

/** The names that are there in whatever fits all of these, with its defaults. */
function givenIn(all: readonly JsonObject[], hasDefault: (schema: JsonObject) => boolean): ReadonlySet<Json> {
  const names = all.flatMap(({ required, properties }) => {
    const withDefault = Object.entries(isObject(properties) ? properties : {}).flatMap(([name, property]) =>
      isObject(property) && hasDefault(property) ? [name] : [],
    );
    return [...withDefault, ...(Array.isArray(required) ? (required as readonly Json[]) : [])];
  });
  return new Set(names);
}

function standingBelow(
  key: string,
  name: string,
  given: ReadonlySet<Json>,
  { under, above, own }: Standing,
): Standing {
  if (key !== 'properties')
    return { under: inside.has(key) ? under : (under ?? key), isNamed: false, above: null, own: null };
  return { under, isNamed: true, above: above ?? own, own: given.has(name) ? null : name };
}

function messageOf(path: SchemaPath, { under, isNamed, above }: Standing): string {
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
