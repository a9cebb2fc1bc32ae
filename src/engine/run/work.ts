import { jsonTrouble, type Json, type JsonObject } from '../../model/values/json.js';
import { mostChainBytes, mostChainFacts, mostReadBytes } from '../../model/limits.js';
import { quotedBytes, roomOf, takeBytes, takeValue, type Room } from '../effects/room.js';
import type { Kit } from '../state.js';

// What is worked out of a value during one event is worked out once: a chain meets the same context at each of its steps, and
// values do not change meanwhile. What is new at each step has a bound.

/** Each condition that is asked counts as so many bytes. */
const conditionBytes = 2_048;
/** Each name of a context that is copied counts as so many bytes. */
const nameBytes = 64;
/** Each value that a mapping reads counts as so many bytes, however small it is, and also where it is missing. */
const operandBytes = 256;

export interface Measured {
  /** Of the value's canonical form. */
  readonly bytes: number;
  /** Why a context cannot hold it; null: it can. */
  readonly trouble: string | null;
}

/** The size of a value; `values`: how many it holds, itself, objects and lists included. */
interface Size extends Measured {
  readonly values: number;
}

export interface Work {
  readonly measure: (value: Json) => Size;
  /** The sizes of whole contexts. */
  readonly contexts: Map<JsonObject, Measured>;
  /** Values that were found to be text that can be kept: a result can hold each of them as it is. */
  readonly sound: Set<unknown>;
  /** What the chain may still do. */
  readonly chain: Room;
  /** How much of what guards read may still be put on record as it is. */
  readonly reads: Room;
  /** Values that the chain's conditions have looked through, and were charged for. */
  readonly seen: Set<unknown>;
}

/** The room of a chain: bytes; and as values the conditions and steps, each of which is put on record. */
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

/** The same work with a full room for a chain: for what is only tried. */
export function withFreshChain(work: Work): Work {
  return { ...work, chain: chainRoom(), seen: new Set() };
}

/** The same kit, which makes the digest of each large value only once. */
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

/** The size of a whole context. */
export function measureContext({ contexts }: Work, context: JsonObject): Measured {
  const known = contexts.get(context) ?? { bytes: sizeOf(context).bytes, trouble: jsonTrouble(context) };
  contexts.set(context, known);
  return known;
}

/** The chain asks so many conditions. */
export function countConditions({ chain }: Work, count: number): void {
  chain.values -= count;
  takeBytes(chain, count * conditionBytes);
}

/** The chain has taken a step, or has put another record of it. */
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
