import { randomBytes } from 'node:crypto';
import { isExactNumber, jsonTrouble, type Json } from '../model/json.js';

// JSON whose numbers are what the target wrote. A number that no double holds, an id of 19 digits for one, would come
// out of `JSON.parse` as its neighbour; here it becomes the text of its digits. `JSON.parse` still does the reading:
// only such numbers are put in quotes before, marked, so that they can be told from text.

export type ExactJson =
  | {
      readonly status: 'parsed';
      readonly value: Json;
      /** JSON pointers to the numbers that are kept as text. */
      readonly exact: readonly string[];
    }
  | { readonly status: 'malformed'; readonly why: string };

/** Nobody outside knows it, so no text of a target begins with it. Short, since an answer may be nothing but numbers. */
const mark = `exact:${randomBytes(12).toString('base64url')}:`;

export function parseExactly(text: string): ExactJson {
  const marked = markedJson(text);
  return marked === null ? { status: 'malformed', why: 'it is not JSON' } : unmark(marked.value);
}

/**
 * The text with its inexact numbers marked, and what that says; null: it is not JSON. Only what parsed is looked through,
 * once from its beginning to its end: whoever writes the text decides how long that takes, and everybody waits.
 */
export function markedJson(text: string): { readonly text: string; readonly value: Json } | null {
  const plain = text.startsWith('\ufeff') ? text.slice(1) : text;
  try {
    const value = JSON.parse(plain) as Json;
    const marked = markInexact(plain);
    return { text: marked, value: marked === plain ? value : (JSON.parse(marked) as Json) };
  } catch {
    return null;
  }
}

const [quote, backslash, minus, zero, nine] = [0x22, 0x5c, 0x2d, 0x30, 0x39];

function markInexact(json: string): string {
  const parts: string[] = [];
  let kept = 0;
  let at = 0;
  while (at < json.length) {
    const unit = json.charCodeAt(at);
    if (unit === quote) {
      at = afterString(json, at);
    } else if (unit === minus || (unit >= zero && unit <= nine)) {
      const end = afterNumber(json, at);
      // One character is a digit.
      if (end > at + 1 && !isExactNumber(json.slice(at, end))) {
        parts.push(json.slice(kept, at), `"${mark}${json.slice(at, end)}"`);
        kept = end;
      }
      at = end;
    } else {
      at += 1;
    }
  }
  return kept === 0 ? json : [...parts, json.slice(kept)].join('');
}

function afterNumber(json: string, start: number): number {
  let at = start + 1;
  while (isNumberPart(json.charCodeAt(at))) at += 1;
  return at;
}

/** `0-9`, `.`, `e`, `E`, `+` and `-`. */
function isNumberPart(unit: number): boolean {
  if (unit >= zero && unit <= nine) return true;
  return unit === 0x2e || unit === minus || unit === 0x65 || unit === 0x45 || unit === 0x2b;
}

function afterString(json: string, start: number): number {
  let at = start + 1;
  for (let unit = json.charCodeAt(at); unit !== quote; unit = json.charCodeAt(at))
    at += unit === backslash ? 2 : 1;
  return at + 1;
}

/** A text that was a number. */
export function isMarked(text: string): boolean {
  return text.startsWith(mark);
}

/** A value of which `markedJson` has seen the text. */
export function unmark(value: Json): ExactJson {
  const trouble = jsonTrouble(value);
  if (trouble !== null) return { status: 'malformed', why: trouble };
  if (!holdsMarked(value)) return { status: 'parsed', value, exact: [] };
  const exact: string[] = [];
  // Only what may be marked has its place written: an answer may be half a million plain numbers.
  const walk = (one: Json, at: () => string): Json => {
    if (typeof one === 'string' && isMarked(one)) {
      exact.push(at());
      return one.slice(mark.length);
    }
    if (typeof one !== 'object' || one === null) return one;
    const own = at();
    if (Array.isArray(one)) return one.map((item: Json, index) => walk(item, () => `${own}/${index}`));
    return Object.fromEntries(
      Object.entries(one).map(([name, item]) => [name, walk(item, () => `${own}/${escapePointer(name)}`)]),
    );
  };
  return { status: 'parsed', value: walk(value, () => ''), exact };
}

function holdsMarked(value: Json): boolean {
  const open: Json[] = [value];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (typeof one === 'string') {
      if (isMarked(one)) return true;
    } else if (typeof one === 'object' && one !== null) {
      for (const item of Array.isArray(one) ? (one as readonly Json[]) : Object.values(one))
        if (typeof item === 'string' || typeof item === 'object') open.push(item);
    }
  }
  return false;
}

export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
