import type { Json } from '../../model/json.js';
import { truncate } from '../../model/text.js';

/** 60000 reads as 60,000; a year, and what has an exponent, stays as it is. */
export function grouped(value: number): string {
  return String(value).replace(/^-?\d{5,}(?=\.\d+$|$)/, (whole) => whole.replaceAll(/\B(?=(\d{3})+$)/g, ','));
}

/** `truncate` of the JSON of a value, of which no more is written than is shown. */
export function jsonBeginning(value: Json, longest: number): string {
  return truncate(JSON.stringify(shorten(value, { left: longest })), longest);
}

/** A value whose JSON begins as the whole one's does, up to so many units; what is cut is longer than that all the same. */
function shorten(value: Json, room: { left: number }): Json {
  if (typeof value === 'string') {
    const part = value.slice(0, Math.max(0, room.left + 1));
    room.left -= part.length;
    return part;
  }
  room.left -= 1;
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const items: Json[] = [];
    for (const item of value as readonly Json[]) {
      if (room.left < 0) break;
      items.push(shorten(item, room));
    }
    return items;
  }
  const entries: (readonly [string, Json])[] = [];
  for (const [name, item] of Object.entries(value)) {
    if (room.left < 0) break;
    room.left -= name.length;
    entries.push([name, shorten(item, room)]);
  }
  return Object.fromEntries(entries);
}
