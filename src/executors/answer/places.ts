import { pointerTo } from '../../model/values/json.js';

// Where values are in an answer. A place holds its own step only, so that thousands of values below a long name take no more
// memory than others. A JSON pointer is written only for the places that somebody reads.

/** A step into an object, by a name, or into a list, by an index. */
export interface Place {
  readonly within: Place | null;
  readonly step: string | number;
}

/** The whole answer. */
export const root: Place = { within: null, step: '' };

/** The place as a JSON pointer. */
export function pointerOf(place: Place): string {
  const steps: (string | number)[] = [];
  for (let at = place; at.within !== null; at = at.within) steps.push(at.step);
  return pointerTo(steps.reverse());
}

/** For each place above one of `places`: the steps from it that lead there, and the places that they lead to. */
export type Steps = ReadonlyMap<Place, ReadonlyMap<string | number, Place>>;

export function stepsTo(places: readonly Place[]): Steps {
  const steps = new Map<Place, Map<string | number, Place>>();
  for (const place of places)
    for (let at = place; at.within !== null; at = at.within) {
      const beside = steps.get(at.within);
      if (beside?.has(at.step) === true) break;
      if (beside === undefined) steps.set(at.within, new Map([[at.step, at]]));
      else beside.set(at.step, at);
    }
  return steps;
}
