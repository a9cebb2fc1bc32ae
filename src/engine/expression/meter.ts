import type { Json } from '../../model/values/json.js';
import { isLeft, takeBytes, type Room } from '../effects/room.js';
import { chainRoom, type Work } from '../run/work.js';

// The conditions of one piece of work are charged for what they do while they do it, so that the work can also end amid a guard.

/** A unit is about the work of comparing one byte: `mostChainBytes` units take about 120 ms (measured). */
export interface Meter {
  readonly isLeft: () => boolean;
  readonly take: (units: number) => void;
  /** The same for a thing that is looked through as a whole: charged once for each thing. */
  readonly takeOnce: (what: object, units: number) => void;
  /** Charges, once for each value, for looking through the value as a whole. */
  readonly look: (value: Json) => void;
  readonly bytesOf: (value: Json) => number;
}

/** For a single condition, or where nobody else waits. */
export const unmetered: Meter = {
  isLeft: () => true,
  take: () => undefined,
  takeOnce: () => undefined,
  look: () => undefined,
  bytesOf: () => 0,
};

/**
 * Units of a meter for each value that is looked at, beside its bytes: going from value to value takes time too, and a list of
 * a million short values has few bytes.
 */
const unitsPerValue = 32;

/**
 * A meter that charges all rooms; only the first says whether anything is left. A step of a chain has a room of its own, so
 * that its answer is the same whatever the chain has done before. Whether the chain has room left is asked between its steps
 * (`chain.ts`).
 */
function meterIn(rooms: readonly [Room, ...Room[]], seen: Set<unknown>, { measure }: Work): Meter {
  const take = (units: number): void => {
    for (const room of rooms) takeBytes(room, units);
  };
  const isFirst = (what: unknown): boolean => {
    const isNew = !seen.has(what);
    seen.add(what);
    return isNew;
  };
  return {
    isLeft: () => isLeft(rooms[0]),
    take,
    takeOnce: (what, units) => {
      if (isFirst(what)) take(units);
    },
    look: (value) => {
      if (!isFirst(value)) return;
      const { bytes, values } = measure(value);
      take(bytes + values * unitsPerValue);
    },
    bytesOf: (value) => measure(value).bytes,
  };
}

/** The meter for the guards that a chain asks to find its next step. */
export function chainMeter(work: Work): Meter {
  return meterIn([work.chain], work.seen, work);
}

/** The meter for what one step asks, with a room of its own. `isOfChain`: the chain's room is charged as well. */
export function stepMeter(work: Work, isOfChain = false): Meter {
  const own = chainRoom();
  return meterIn(isOfChain ? [own, work.chain] : [own], new Set(), work);
}
