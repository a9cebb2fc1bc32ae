import type { Json } from '../../model/json.js';
import { isLeft, takeBytes, type Room } from '../effects/room.js';
import { chainRoom, type Work } from '../run/work.js';

// What the conditions of one piece of work really do is charged as they do it, so that it ends within one guard too.

/** In units of about a byte that is compared: a room of `mostChainBytes` of them is done in a part of 250 ms (measured). */
export interface Meter {
  readonly isLeft: () => boolean;
  readonly take: (units: number) => void;
  /** The same for what is looked through as a whole, which is done once. */
  readonly takeOnce: (what: object, units: number) => void;
  /** A value is, whatever it is. */
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
 * In units of a meter, for each value that is looked at beside its bytes: going from one to the next takes time too, and a list
 * of a million short values has few bytes.
 */
const unitsPerValue = 32;

/**
 * All rooms pay; only the first says whether anything is left. A step of a chain is answered by a room of its own, the same
 * whatever the chain has done before it: what is left of the chain's, the chain asks between its steps (`chain.ts`).
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

/** Of what the chain asks to take a step. */
export function chainMeter(work: Work): Meter {
  return meterIn([work.chain], work.seen, work);
}

/** Of what one step asks, which has a room of its own; a step of the chain takes from what the chain may do besides. */
export function stepMeter(work: Work, isOfChain = false): Meter {
  const own = chainRoom();
  return meterIn(isOfChain ? [own, work.chain] : [own], new Set(), work);
}
