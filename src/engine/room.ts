import { utf8Length, type Json } from '../model/json.js';

// What is made of values is measured before it is made: a template may name one value a thousand times.

/** How many bytes of canonical JSON may still be made. Shared by all that is made together. */
export interface Room {
  left: number;
}

export const roomOf = (bytes: number): Room => ({ left: bytes });

/** Takes the bytes out of the room; false: they are more than it has left, and nothing more fits from now on. */
export function takeBytes(room: Room, bytes: number): boolean {
  room.left -= bytes;
  return room.left >= 0;
}

/** The same for the canonical JSON of a value, which is not written. Stops where the room ends, and never recurses. */
export function takeValue(room: Room, value: Json): boolean {
  const open: Json[] = [value];
  for (let one = open.pop(); one !== undefined && room.left >= 0; one = open.pop()) {
    if (typeof one === 'string') room.left -= quotedBytes(one);
    else if (one === null || typeof one !== 'object') room.left -= String(one).length;
    else if (Array.isArray(one)) {
      const items = one as readonly Json[];
      room.left -= 2 + Math.max(0, items.length - 1);
      for (const item of items) open.push(item);
    } else {
      const entries = Object.entries(one);
      room.left -= 2 + Math.max(0, entries.length - 1);
      for (const [name, item] of entries) {
        room.left -= quotedBytes(name) + 1;
        open.push(item);
      }
    }
  }
  return room.left >= 0;
}

/** Bytes of a text as a JSON string, quotes included. */
export function quotedBytes(text: string): number {
  return utf8Length(JSON.stringify(text));
}
