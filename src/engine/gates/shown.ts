import type { Json } from '../../model/values/json.js';
import { truncate } from '../../model/values/text.js';

/** 60000 becomes 60,000; four digits, as of a year, and numbers with an exponent stay as they are. */
export function groupDigits(value: number): string {
  return String(value).replace(/^-?\d{5,}(?=\.\d+$|$)/, (whole) => whole.replaceAll(/\B(?=(\d{3})+$)/g, ','));
}

/** The JSON of a value, cut by `truncate`; what would be cut off is not written in the first place. */
export function jsonBeginning(value: Json, longest: number): string {
  return truncate(JSON.stringify(shorten(value, { left: longest })), longest);
}

/** The value cut so that its JSON begins with the same `room.left` characters; where something is cut it is still longer than that. */
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
