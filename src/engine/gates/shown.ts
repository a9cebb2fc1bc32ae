import type { Json } from '../../model/values/json.js';
import { truncate } from '../../model/values/text.js';

/** 60000 becomes 60,000; four digits, as of a year, and numbers with an exponent stay as they are. */
export function groupDigits(value: number): string {
  return String(value).replace(/^-?\d{5,}(?=\.\d+$|$)/, (whole) => whole.replaceAll(/\B(?=(\d{3})+$)/g, ','));
}

/** Of objects and lists, by their longest length. A value never changes, and thousands of conditions may name the same one. */
const beginnings = new WeakMap<object, Map<number, string>>();

/** The JSON of a value, cut by `truncate`; what would be cut off is not written in the first place. */
export function jsonBeginning(value: Json, longest: number): string {
  if (typeof value !== 'object' || value === null) return writeBeginning(value, longest);
  const known = beginnings.get(value) ?? new Map<number, string>();
  const text = known.get(longest) ?? writeBeginning(value, longest);
  beginnings.set(value, known.set(longest, text));
  return text;
}

function writeBeginning(value: Json, longest: number): string {
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
