import { jsonTrouble, type Json, type JsonObject } from '../../model/json.js';
import { mostChainBytes, mostChainFacts, mostReadBytes } from '../../model/limits.js';
import { quotedBytes, roomOf, takeBytes, takeValue, type Room } from '../effects/room.js';
import type { Kit } from '../state.js';

// What one decision works out of a value is worked out once: a chain meets the same context at each of its steps, and
// nothing of it changes while the decision lasts. What is new at each step has a bound.

/** What a condition counts as that is asked, and a name of a context that is copied. */
const conditionBytes = 4_096;
const nameBytes = 64;
/** What a value counts as that a mapping reads, however small it is and whether it is there. */
const operandBytes = 256;

export interface Measured {
  /** Of its canonical form. */
  readonly bytes: number;
  /** Why a context cannot hold it; null: it can. */
  readonly trouble: string | null;
}

/** Of a value: how many it holds too, objects and lists included. */
interface Size extends Measured {
  readonly values: number;
}

export interface Work {
  readonly measure: (value: Json) => Size;
  /** Of whole contexts. */
  readonly contexts: Map<JsonObject, Measured>;
  /** Values that were looked through: a record can hold each of them as it is. */
  readonly sound: Set<unknown>;
  /** What the chain may still do. */
  readonly chain: Room;
  /** What guards read that may still be on record as it is. */
  readonly reads: Room;
  /** What its conditions have looked through. */
  readonly seen: Set<unknown>;
}

/** In bytes; and in what goes on record for each that is asked or taken. */
export const chainRoom = (): Room => roomOf(mostChainBytes, mostChainFacts);

export function makeWork(): Work {
  const known = new Map<Json, Size>();
  const measure = (value: Json): Size =>
    workOnce(known, value, (item) => {
      const { bytes, values } = sizeOf(item);
      return { bytes, values, trouble: jsonTrouble([item]) };
    });
  return {
    ...{ measure, contexts: new Map(), sound: new Set() },
    ...{ chain: chainRoom(), reads: roomOf(mostReadBytes), seen: new Set() },
  };
}

/** The same, for what is only asked and not done. */
export function withFreshChain(work: Work): Work {
  return { ...work, chain: chainRoom(), seen: new Set() };
}

/** The same kit, asked once for the digest of each large value. */
export function rememberDigests<T extends Pick<Kit, 'digest'>>(kit: T): T {
  const known = new Map<Json, string>();
  return { ...kit, digest: (value) => workOnce(known, value, (item) => kit.digest(item)) };
}

const longText = 1_000;

function workOnce<T>(known: Map<Json, T>, value: Json, work: (value: Json) => T): T {
  const isLarge = typeof value === 'string' ? value.length > longText : typeof value === 'object';
  const before = isLarge ? known.get(value) : undefined;
  if (before !== undefined) return before;
  const made = work(value);
  if (isLarge) known.set(value, made);
  return made;
}

function sizeOf(value: Json): Omit<Size, 'trouble'> {
  if (typeof value === 'string') return { bytes: quotedBytes(value), values: 1 };
  const room = roomOf(Number.MAX_SAFE_INTEGER);
  takeValue(room, value);
  return { bytes: Number.MAX_SAFE_INTEGER - room.left, values: Number.MAX_SAFE_INTEGER - room.values };
}

/** What a context takes that its run has. */
export function measureContext({ contexts }: Work, context: JsonObject): Measured {
  const known = contexts.get(context) ?? { bytes: sizeOf(context).bytes, trouble: jsonTrouble(context) };
  contexts.set(context, known);
  return known;
}

/** So many conditions are asked of the chain. */
export function countConditions({ chain }: Work, count: number): void {
  chain.values -= count;
  takeBytes(chain, count * conditionBytes);
}

/** A step of the chain was taken, or is on record once more. */
export function countStep({ chain }: Work): void {
  chain.values -= 1;
}

/** A mapping reads one value more. */
export function countOperand({ chain }: Work): void {
  takeBytes(chain, operandBytes);
}

/** A text of so many bytes was made, or a context of so many names. */
export function countMade({ chain }: Work, bytes: number, names = 0): void {
  takeBytes(chain, bytes + names * nameBytes);
}
