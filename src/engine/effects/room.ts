import { utf8Length, type Json } from '../../model/values/json.js';

// The size of what is made of values is measured before it is made: a template may name one value a thousand times.

/** How much may still be made: `left` in bytes of canonical JSON. Shared by everything that is made together. */
export interface Room {
  left: number;
  /** How many values may still be made, objects and lists included: many small values take longer than their bytes say. */
  values: number;
  /** The size of each object and list that was measured whole, so that it is measured once. */
  readonly known: Map<Json, Taken>;
}

interface Taken {
  readonly bytes: number;
  readonly values: number;
}

export const roomOf = (bytes: number, values = Number.MAX_SAFE_INTEGER): Room => ({
  left: bytes,
  values,
  known: new Map(),
});

/** Nothing more was taken than there was. */
export const isLeft = ({ left, values }: Room): boolean => left >= 0 && values >= 0;

/** Takes the bytes out of the room; false: they are more than it has left, and nothing more fits from now on. */
export function takeBytes(room: Room, bytes: number): boolean {
  room.left -= bytes;
  return isLeft(room);
}

/** The same for the canonical JSON of a value, without writing it. Stops where the room ends, and does not recurse. */
export function takeValue(room: Room, value: Json): boolean {
  const known = room.known.get(value);
  if (known !== undefined) {
    room.values -= known.values;
    return takeBytes(room, known.bytes);
  }
  const { left, values } = room;
  measure(room, value);
  if (!isLeft(room)) return false;
  if (typeof value === 'object')
    room.known.set(value, { bytes: left - room.left, values: values - room.values });
  return true;
}

function measure(room: Room, value: Json): void {
  const open: Json[] = [value];
  for (let value = open.pop(); value !== undefined && isLeft(room); value = open.pop()) {
    room.values -= 1;
    if (typeof value === 'string') room.left -= quotedBytes(value);
    else if (value === null || typeof value !== 'object') room.left -= String(value).length;
    else if (Array.isArray(value)) {
      const items = value as readonly Json[];
      room.left -= 2 + Math.max(0, items.length - 1);
      for (const item of items) open.push(item);
    } else {
      const names = Object.keys(value);
      room.left -= 2 + Math.max(0, names.length - 1);
      for (const name of names) room.left -= quotedBytes(name) + 1;
      for (const item of Object.values(value)) open.push(item);
    }
  }
}

/** Bytes of a text as a JSON string, quotes included. */
export function quotedBytes(text: string): number {
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 || unit > 0x7e || unit === quote || unit === backslash)
      return utf8Length(JSON.stringify(text));
  }
  return text.length + 2;
}

const [quote, backslash] = [0x22, 0x5c];
