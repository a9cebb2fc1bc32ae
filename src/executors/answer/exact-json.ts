import { randomBytes } from 'node:crypto';
import {
  behindString,
  countParts,
  isExactNumber,
  isObject,
  jsonTrouble,
  type Json,
} from '../../model/json.js';
import { root, type Place } from './places.js';

// JSON whose numbers are what the target wrote. A number that no double holds, an id of 19 digits for one, would come
// out of `JSON.parse` as its neighbour; here it becomes the text of its digits. `JSON.parse` still does the reading:
// only such numbers are put in quotes before, marked, so that they can be told from text.

export type ExactJson =
  | {
      readonly status: 'parsed';
      readonly value: Json;
      /** Where the numbers stand that are kept as text. */
      readonly exact: readonly Place[];
    }
  | { readonly status: 'malformed'; readonly why: string }
  /** An object in it has a name twice: it is JSON, and says two things. Nobody may take it as if it said none. */
  | { readonly status: 'repeats'; readonly why: string }
  | TooLarge;

/** JSON that nobody reads: whoever writes it decides how long that would take, and everybody waits. */
export interface TooLarge {
  readonly status: 'too_large';
  readonly why: string;
}

/** Values of one answer, or of one message that brings it, objects and lists included. */
const maxValues = 50_000;
/** Numbers in it that no double holds. */
const maxInexact = 10_000;

const tooMany = (count: number, what: string): TooLarge => ({
  status: 'too_large',
  why: `it holds over ${count} ${what}: ask for less`,
});
const tooManyValues = tooMany(maxValues, 'values');
const tooManyInexact = tooMany(
  maxInexact,
  'numbers that no double holds, such as 12345678901234567890 or 1e999',
);

/** Nobody outside knows it, so no text of a target begins with it. Short, since an answer may be nothing but numbers. */
const mark = `exact:${randomBytes(12).toString('base64url')}:`;

/** `at`: where it will stand. */
export function parseExactly(text: string, at = root): ExactJson {
  const marked = markedJson(text);
  if (marked.status === 'marked') {
    if (marked.repeats) return { status: 'repeats', why: `in it, ${repeated}` };
    return marked.isPlain ? plainJson(marked.value) : unmark(marked.value, at);
  }
  // What is no JSON has commas as it likes.
  return marked.status === 'too_large' && isJson(text)
    ? marked
    : { status: 'malformed', why: 'it is not JSON' };
}

/** Two readers would understand it differently: one takes the first, another the last. */
export const repeated = 'an object has a name twice';

function isJson(text: string): boolean {
  try {
    JSON.parse(plainText(text));
    return true;
  } catch {
    return false;
  }
}

/** Without a byte order mark, and with U+FFFD for half a character: a text that was cut in the middle of one is an answer all the same. */
function plainText(text: string): string {
  const plain = text.startsWith('\ufeff') ? text.slice(1) : text;
  return /\\u[dD]/.test(plain) ? plain.replace(escapes, wholeCharacter) : plain;
}

/** A pair, half of one, or any other escape, so that what is behind an escaped backslash is none. */
const escapes =
  /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[dD][89a-fA-F][\da-fA-F]{2}|.)/gs;

function wholeCharacter(escape: string): string {
  return escape.length === 6 ? '\\ufffd' : escape;
}

export type MarkedJson =
  | {
      readonly status: 'marked';
      readonly text: string;
      readonly value: Json;
      /** It has no inexact number. */
      readonly isPlain: boolean;
      /** An object in it has a name twice. */
      readonly repeats: boolean;
    }
  | { readonly status: 'malformed' }
  | TooLarge;

/**
 * The text with its inexact numbers marked, and what that says. What has too many values is not parsed, and only what
 * parsed is looked through, once from its beginning to its end. It may be no JSON where it is too large.
 */
export function markedJson(text: string): MarkedJson {
  const plain = plainText(text);
  const parts = countParts(plain);
  if (parts > maxValues) return begins.test(plain) ? tooManyValues : { status: 'malformed' };
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

/** What `countParts` counts, of the parsed value: it has lost what stood under a name that came again. */
function partsOf(value: Json): number {
  let count = 0;
  const open: Json[] = [value];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (typeof one !== 'object' || one === null) continue;
    const items = Array.isArray(one) ? (one as readonly Json[]) : Object.values(one);
    count += Math.max(1, items.length);
    for (const item of items) if (typeof item === 'object' && item !== null) open.push(item);
  }
  return count;
}

/** As an object or a list does. */
const begins = /^\s*[[{]/;

const [quote, minus, zero, nine] = [0x22, 0x2d, 0x30, 0x39];

/** Null: they are too many. */
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
      // One character is a digit.
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

/** `0-9`, `.`, `e`, `E`, `+` and `-`. */
function isNumberPart(unit: number): boolean {
  if (unit >= zero && unit <= nine) return true;
  return unit === 0x2e || unit === minus || unit === 0x65 || unit === 0x45 || unit === 0x2b;
}

/** A text that was a number. */
export function isMarked(text: string): boolean {
  return text.startsWith(mark);
}

/** A value of which `markedJson` has seen the text. */
export function unmark(value: Json, at = root): ExactJson {
  const plain = plainJson(value);
  if (plain.status !== 'parsed' || !holdsMarked(value)) return plain;
  const exact: Place[] = [];
  const walk = (one: Json, place: Place): Json => {
    if (typeof one === 'string' && isMarked(one)) {
      exact.push(place);
      return one.slice(mark.length);
    }
    if (Array.isArray(one)) return one.map((item: Json, step) => below(item, place, step));
    if (!isObject(one)) return one;
    return Object.fromEntries(Object.entries(one).map(([name, item]) => [name, below(item, place, name)]));
  };
  // An answer may be plain numbers by the ten thousand, which have no place of their own.
  const below = (item: Json, within: Place, step: string | number): Json =>
    typeof item === 'string' || typeof item === 'object' ? walk(item, { within, step }) : item;
  return { status: 'parsed', value: walk(value, at), exact };
}

function plainJson(value: Json): ExactJson {
  const trouble = jsonTrouble(value);
  return trouble === null ? { status: 'parsed', value, exact: [] } : { status: 'malformed', why: trouble };
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
