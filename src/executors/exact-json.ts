import { randomUUID } from 'node:crypto';
import { isExactNumber, isObject, jsonTrouble, type Json } from '../model/json.js';

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

/** Nobody outside knows it, so no text of a target begins with it. */
const mark = `exact:${randomUUID()}:`;

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

const isNumberStart = /[-0-9]/;
const numberPart = /[0-9.eE+-]/;

function markInexact(json: string): string {
  const parts: string[] = [];
  let kept = 0;
  let at = 0;
  while (at < json.length) {
    const character = json.charAt(at);
    const from = at;
    if (character === '"') at = afterString(json, at);
    else at += 1;
    if (!isNumberStart.test(character)) continue;
    while (numberPart.test(json.charAt(at))) at += 1;
    const token = json.slice(from, at);
    if (isExactNumber(token)) continue;
    parts.push(json.slice(kept, from), `"${mark}${token}"`);
    kept = at;
  }
  return [...parts, json.slice(kept)].join('');
}

function afterString(json: string, start: number): number {
  let at = start + 1;
  while (json.charAt(at) !== '"') at += json.charAt(at) === '\\' ? 2 : 1;
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
  const exact: string[] = [];
  const walk = (one: Json, at: string): Json => {
    if (typeof one === 'string') {
      if (!isMarked(one)) return one;
      exact.push(at);
      return one.slice(mark.length);
    }
    if (Array.isArray(one)) return one.map((item: Json, index) => walk(item, `${at}/${index}`));
    if (!isObject(one)) return one;
    return Object.fromEntries(
      Object.entries(one).map(([name, item]) => [name, walk(item, `${at}/${escapePointer(name)}`)]),
    );
  };
  return { status: 'parsed', value: walk(value, ''), exact };
}

export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
