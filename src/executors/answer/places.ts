import { pointerTo } from '../../model/json.js';

// Where values stand in an answer. A place holds no more than its own step: thousands of values below a long name take no more
// room than thousands of others, and a pointer is written for those alone that somebody reads.

/** In an object or a list, under a name of it or a number. */
export interface Place {
  readonly within: Place | null;
  readonly step: string | number;
}

/** All of the answer. */
export const root: Place = { within: null, step: '' };

/** As a JSON pointer. */
export function pointerOf(place: Place): string {
  const steps: (string | number)[] = [];
  for (let one = place; one.within !== null; one = one.within) steps.push(one.step);
  return pointerTo(steps.reverse());
}

/** By place, the steps within it that lead to one of `places`, which are steps themselves. */
export type Steps = ReadonlyMap<Place, ReadonlyMap<string | number, Place>>;

export function stepsTo(places: readonly Place[]): Steps {
  const steps = new Map<Place, Map<string | number, Place>>();
  for (const place of places)
    for (let one = place; one.within !== null; one = one.within) {
      const beside = steps.get(one.within);
      if (beside?.has(one.step) === true) break;
      if (beside === undefined) steps.set(one.within, new Map([[one.step, one]]));
      else beside.set(one.step, one);
    }
  return steps;
}
