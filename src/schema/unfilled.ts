import { isObject, pointerTo, type Json, type JsonObject } from '../model/json.js';
import type { Reading } from './defaults.js';
import { mapSubschemas, type SchemaPath } from './subschemas.js';

// Which defaults are not filled in, so that whoever loads a schema is told.

export interface Unfilled {
  /** Of the default, within the schema. */
  readonly path: SchemaPath;
  readonly message: string;
}

/** Where a schema stands: below `under`, which not every value fits; as the value of a name, which may be missing. */
interface Standing {
  readonly under: string | null;
  readonly isNamed: boolean;
}

const here = new Set(['$ref', '$dynamicRef', 'allOf']);
const inside = new Set(['patternProperties', 'additionalProperties', 'prefixItems', 'items']);
const notApplied = new Set(['$defs', 'definitions']);

/** `paths`: of each subschema. */
export function unfilledIn(
  schema: JsonObject,
  reading: Reading,
  paths: ReadonlyMap<JsonObject, SchemaPath>,
): readonly Unfilled[] {
  const seen = new Map<string, Set<JsonObject>>();
  const found = new Map<JsonObject, Unfilled>();
  const visit = (one: Json | undefined, standing: Standing): void => {
    if (!isObject(one)) return;
    const { under, isNamed } = standing;
    const alike = `${String(under !== null)} ${String(isNamed)}`;
    const before = seen.get(alike) ?? new Set();
    if (before.has(one)) return;
    seen.set(alike, before.add(one));
    const path = paths.get(one);
    if (Object.hasOwn(one, 'default') && path !== undefined && !(isNamed && under === null))
      found.set(one, found.get(one) ?? { path: [...path, 'default'], message: messageOf(path, under) });
    for (const [key, value] of Object.entries(one)) {
      if (notApplied.has(key)) continue;
      if (key === '$ref' || key === '$dynamicRef') visit(reading.resolve(String(value)), standing);
      mapSubschemas(key, value, (each) => {
        visit(each, standingOf(key, standing));
        return each;
      });
    }
  };
  visit(schema, { under: null, isNamed: false });
  return [...found.values()];
}

function standingOf(key: string, { under, isNamed }: Standing): Standing {
  if (here.has(key)) return { under, isNamed };
  if (key === 'properties') return { under, isNamed: true };
  return { under: inside.has(key) ? under : (under ?? key), isNamed: false };
}

function messageOf(path: SchemaPath, under: string | null): string {
  const why =
    under === null
      ? 'only the value of a name under `properties` can be: take it out'
      : `it stands under \`${under}\`, which not every value fits: declare it outside of \`${under}\`, or take it out and have it sent`;
  const of = path.length === 0 ? 'the schema' : `\`${pointerTo(path)}\``;
  return `the \`default\` of ${of} is not filled in: ${why}`;
}
