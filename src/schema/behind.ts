import { pointerTo, type Json, type JsonObject } from '../model/json.js';
import { fillIn, defaultBehind, type Filler, type Reading } from './defaults.js';
import type { SchemaPath } from './subschemas.js';
import type { Unfilled } from './unfilled.js';
import { spend } from './work.js';

// A default that stands behind a reference is written for every place that refers to it, and does not fit all of them, or none:
// generators write `default: {}` beside `required`. Where it does not fit it stays the annotation that it was to most readers.

/** The value of a name, whose default is said by what its schema refers to. */
export interface Behind {
  readonly own: JsonObject;
  readonly path: SchemaPath;
  readonly said: Json;
  /** Where that stands. */
  readonly saidAt: SchemaPath;
}

/** `paths`: of each subschema. */
export function behindReferences(
  reading: Reading,
  paths: ReadonlyMap<JsonObject, SchemaPath>,
): readonly Behind[] {
  return [...paths].flatMap(([own, path]) => {
    const saying = path.at(-2) === 'properties' ? defaultBehind(own, reading) : null;
    const at = saying === null ? undefined : paths.get(saying);
    if (saying === null || at === undefined) return [];
    return [{ own, path, said: saying['default'] ?? null, saidAt: [...at, 'default'] }];
  });
}

/** Those whose default does not fit with what is filled in within it. One that does without the others' is not among them. */
export function findUnfitting(
  all: readonly Behind[],
  fillerWithout: (left: ReadonlySet<JsonObject>) => Filler,
  fits: (behind: Behind, value: Json) => boolean,
): readonly Behind[] {
  const unfitWithout = (left: readonly Behind[], asked: readonly Behind[]): readonly Behind[] => {
    const filler = fillerWithout(new Set(left.map(({ own }) => own)));
    spend(100 * all.length);
    return asked.filter((behind) => {
      const { value } = fillIn([filler({ properties: { value: behind.own } })], { value: behind.said });
      return value !== undefined && !fits(behind, value);
    });
  };
  let left: readonly Behind[] = [];
  for (;;) {
    const others = all.filter((behind) => !left.includes(behind));
    const found = unfitWithout(left, others);
    if (found.length === 0) return left;
    const bare = unfitWithout([...left, ...found], found);
    left = [...left, ...(bare.length === 0 ? found : bare)];
  }
}

export function unfilledMessageOf({ path, saidAt }: Behind): Unfilled {
  const message = `the \`default\` of \`${pointerTo(saidAt.slice(0, -1))}\` is not filled in at \`${pointerTo(path)}\`: it does not fit there; take it out, or declare one that fits beside the reference`;
  return { path: saidAt, message };
}
