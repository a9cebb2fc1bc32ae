import { randomBytes } from 'node:crypto';
import {
  behindString,
  countParts,
  isExactNumber,
  isObject,
  jsonTrouble,
  type Json,
} from '../../model/values/json.js';
import { root, type Place } from './places.js';

// JSON whose numbers are what the target wrote. A number that no double holds, such as an id of 19 digits, would come out of
// `JSON.parse` as its neighbour; here it becomes the text of its digits. `JSON.parse` still reads the text: before, such numbers
// are put in quotes with a mark, which distinguishes them from texts.

export type ExactJson =
  | {
      readonly status: 'parsed';
      readonly value: Json;
      /** Where in `value` a number is kept as text. */
      readonly exact: readonly Place[];
    }
  | { readonly status: 'malformed'; readonly why: string }
  /** An object in it has a name twice: it is JSON that says two things, and must not be taken for text. */
  | { readonly status: 'repeats'; readonly why: string }
  | TooLarge;

/** JSON that is not read: its author would decide how long the reading takes, and everybody waits for it. */
export interface TooLarge {
  readonly status: 'too_large';
  readonly why: string;
}

/** Most values of an answer, or of the message that brings it, objects and lists included. */
const maxValues = 50_000;
/** Most numbers in it that no double holds. */
const maxInexact = 10_000;

const makeTooLarge = (count: number, what: string): TooLarge => ({
  status: 'too_large',
  why: `it holds over ${count} ${what}: ask for less`,
});
const tooManyValues = makeTooLarge(maxValues, 'values');
const tooManyInexact = makeTooLarge(
  maxInexact,
  'numbers that no double holds, such as 12345678901234567890 or 1e999',
);

/** Begins a number that was made a text. Random, so that no text of a target begins with it; short, since an answer may be nothing but numbers. */
const mark = `exact:${randomBytes(12).toString('base64url')}:`;

/** Parses JSON without losing digits. `at`: the place that the value will have in the answer. */
export function parseExactly(text: string, at = root): ExactJson {
  const marked = markJson(text);
  if (marked.status === 'marked') {
    if (marked.repeats) return { status: 'repeats', why: `in it, ${repeated}` };
    return marked.isPlain ? toPlainJson(marked.value) : unmark(marked.value, at);
  }
  // The count of values says nothing of a text that is no JSON.
  return marked.status === 'too_large' && isJson(text)
    ? marked
    : { status: 'malformed', why: 'it is not JSON' };
}

/** Two readers would understand such an object differently: some take the first value, others the last. */
export const repeated = 'an object has a name twice';

function isJson(text: string): boolean {
  try {
    JSON.parse(toPlainText(text));
    return true;
  } catch {
    return false;
  }
}

/** The text without a byte order mark, and with U+FFFD for half a character, so that a text that was cut within a character can be read. */
function toPlainText(text: string): string {
  const plain = text.startsWith('\ufeff') ? text.slice(1) : text;
  return /\\u[dD]/.test(plain) ? plain.replace(escapes, replaceHalf) : plain;
}

/** An escaped surrogate pair, half of a pair, or any other escape. All escapes are matched, so that what follows an escaped backslash is not taken for one. */
const escapes =
  /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[dD][89a-fA-F][\da-fA-F]{2}|.)/gs;

function replaceHalf(escape: string): string {
  return escape.length === 6 ? '\\ufffd' : escape;
}

export type MarkedJson =
  | {
      readonly status: 'marked';
      readonly text: string;
      readonly value: Json;
      /** The text has no number that no double holds. */
      readonly isPlain: boolean;
      /** An object in it has a name twice. */
      readonly repeats: boolean;
    }
  | { readonly status: 'malformed' }
  | TooLarge;

/**
 * The text with its inexact numbers (which no double holds) marked, and its value. A text with too many values is not parsed, so
 * `too_large` may be said of a text that is no JSON. Numbers are looked for only in what parses.
 */
export function markJson(text: string): MarkedJson {
  const plain = toPlainText(text);
  const parts = countParts(plain);
  if (parts > maxValues) return beginsAsJson.test(plain) ? tooManyValues : { status: 'malformed' };
  try {
    const value = JSON.parse(plain) as Json;
    const marked = markInexact(plain);
    if (marked === null) return tooManyInexact;
    const isPlain = marked === plain;
    return {
      status: 'marked',
      text: marked,
      isPlain,
      repeats: partsOf(value) < parts,
      value: isPlain ? value : (JSON.parse(marked) as Json),
    };
  } catch {
    return { status: 'malformed' };
  }
}

/** What `countParts` counts, counted in the parsed value: less where a name came twice in an object. */
function partsOf(value: Json): number {
  let count = 0;
  const open: Json[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== 'object' || next === null) continue;
    const items = Array.isArray(next) ? (next as readonly Json[]) : Object.values(next);
    count += Math.max(1, items.length);
    for (const item of items) if (typeof item === 'object' && item !== null) open.push(item);
  }
  return count;
}

/** An object or a list begins like this. */
const beginsAsJson = /^\s*[[{]/;

const [quote, minus, zero, nine] = [0x22, 0x2d, 0x30, 0x39];

/** The text with its inexact numbers in quotes, marked; null: they are too many. */
function markInexact(json: string): string | null {
  const parts: string[] = [];
  let kept = 0;
  let at = 0;
  while (at < json.length) {
    const unit = json.charCodeAt(at);
    if (unit === quote) {
      at = behindString(json, at);
    } else if (unit === minus || (unit >= zero && unit <= nine)) {
      const end = afterNumber(json, at);
      // A number of one character is always exact.
      if (end > at + 1 && !isExactNumber(json.slice(at, end))) {
        parts.push(json.slice(kept, at), `"${mark}${json.slice(at, end)}"`);
        kept = end;
        if (parts.length > 2 * maxInexact) return null;
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

/** Is it one of `0-9`, `.`, `e`, `E`, `+` and `-`? */
function isNumberPart(unit: number): boolean {
  if (unit >= zero && unit <= nine) return true;
  return unit === 0x2e || unit === minus || unit === 0x65 || unit === 0x45 || unit === 0x2b;
}

/** Is the text a number that `markJson` has made a text? */
export function isMarked(text: string): boolean {
  return text.startsWith(mark);
}

/** The value with its marks removed, and where they were. Its text must have gone through `markJson`. */
export function unmark(value: Json, at = root): ExactJson {
  const plain = toPlainJson(value);
  if (plain.status !== 'parsed' || !hasMarked(value)) return plain;
  const exact: Place[] = [];
  const walk = (part: Json, place: Place): Json => {
    if (typeof part === 'string' && isMarked(part)) {
      exact.push(place);
      return part.slice(mark.length);
    }
    if (Array.isArray(part)) return part.map((item: Json, step) => below(item, place, step));
    if (!isObject(part)) return part;
    return Object.fromEntries(Object.entries(part).map(([name, item]) => [name, below(item, place, name)]));
  };
  // No place is made for a number: an answer may hold ten thousand of them.
  const below = (item: Json, within: Place, step: string | number): Json =>
    typeof item === 'string' || typeof item === 'object' ? walk(item, { within, step }) : item;
  return { status: 'parsed', value: walk(value, at), exact };
}

function toPlainJson(value: Json): ExactJson {
  const trouble = jsonTrouble(value);
  return trouble === null ? { status: 'parsed', value, exact: [] } : { status: 'malformed', why: trouble };
}

function hasMarked(value: Json): boolean {
  const open: Json[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next === 'string') {
      if (isMarked(next)) return true;
    } else if (typeof next === 'object' && next !== null) {
      for (const item of Array.isArray(next) ? (next as readonly Json[]) : Object.values(next))
        if (typeof item === 'string' || typeof item === 'object') open.push(item);
    }
  }
  return false;
}
