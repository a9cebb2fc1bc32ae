import { pointerTo, type Json, type JsonObject } from '../../model/values/json.js';
import { fillIn, defaultBehind, type Filler, type Reading } from './defaults.js';
import type { SchemaPath } from '../subschemas.js';
import type { Unfilled } from './unfilled.js';
import { spend } from '../work.js';

// A default behind a reference is written once for every place that refers to it, and may not fit all of them, or any:
// generators write `default: {}` beside `required`. Where it does not fit it is not filled in, and stays a mere annotation, as
// most readers of JSON Schema take defaults.

/** A property whose default is not in its own schema, but in what that refers to. */
export interface Behind {
  readonly own: JsonObject;
  readonly path: SchemaPath;
  readonly said: Json;
  /** The path of that default. */
  readonly saidAt: SchemaPath;
}

/** All such properties of a schema. `paths`: of each of its subschemas. */
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

/** The properties whose default, with what is filled into it, does not fit. Not those that fit once the defaults of others are left out. */
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
