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
  const plain = text.startsWith('\ufeff') ? text.slice(1) : text;
  try {
    const parsed = JSON.parse(plain) as Json;
    const marked = markInexact(plain);
    return unmark(marked === plain ? parsed : (JSON.parse(marked) as Json));
  } catch {
    return { status: 'malformed', why: 'it is not JSON' };
  }
}

const stringOrNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*(?=\s*(?:[,}\]]|$))/g;

/** Any part of a JSON text that begins and ends between two tokens. */
export function markInexact(text: string): string {
  return text.replace(stringOrNumber, (token) =>
    token.startsWith('"') || isExact(token) ? token : `"${mark}${token}"`,
  );
}

/** A value of which `markInexact` has seen the text. */
export function unmark(value: Json): ExactJson {
  const trouble = jsonTrouble(value);
  if (trouble !== null) return { status: 'malformed', why: trouble };
  const exact: string[] = [];
  const walk = (one: Json, at: string): Json => {
    if (typeof one === 'string') {
      if (!one.startsWith(mark)) return one;
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

const jsonNumber = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$/;

/** True of what is no number of JSON's too: that stays as it is. */
function isExact(token: string): boolean {
  return !jsonNumber.test(token) || isExactNumber(token);
}
