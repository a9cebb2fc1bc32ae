import { truncate } from '../../model/values/text.js';
import { numberTrouble, toMessage } from './yaml-text.js';

interface JsonTrouble {
  /** Offset into the text. */
  readonly offset: number;
  readonly message: string;
}

/** What `JSON.parse` refuses and YAML takes: trailing commas, comments, bare words. */
export function jsonTrouble(text: string): JsonTrouble | null {
  // A space in the place of a byte order mark keeps the offsets.
  const json = text.replace(/^\ufeff/, ' ');
  const message = complaintOf(json);
  if (message === null) return null;
  if (hasExcerpt.test(message)) return unexpected(json, placeOfExcerpt(json));
  const offset = Number(/position (\d+)/.exec(message)?.[1] ?? text.length);
  // Of a number that begins with 0, the parser names the digit after it.
  const zero = /-?0$/.exec(json.slice(0, offset))?.[0] ?? '';
  const digits = /^\d[\d.eE+-]*/.exec(json.slice(offset))?.[0];
  const number = zero === '' || digits === undefined ? null : zero + digits;
  const why = number === null ? null : numberTrouble(Number(number), number);
  return why === null
    ? { offset, message: `not JSON: ${toMessage(message)}` }
    : { offset: offset - zero.length, message: why };
}

function complaintOf(json: string): string | null {
  try {
    JSON.parse(json);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : 'this is not JSON';
  }
}

/** V8 gives no position of what cannot begin a value, but an excerpt of the text around it, which may be anywhere. */
const hasExcerpt = /is not valid JSON$/;

/** The place that V8 means: a text that is cut before it has only ended too early. */
function placeOfExcerpt(json: string): number {
  let [before, behind] = [0, json.length];
  while (behind - before > 1) {
    const middle = (before + behind) >> 1;
    if (hasExcerpt.test(complaintOf(json.slice(0, middle)) ?? '')) behind = middle;
    else before = middle;
  }
  return before;
}

/** Names the word there, from its beginning: of `nil`, the parser refuses the `i`. */
function unexpected(json: string, at: number): JsonTrouble {
  let offset = at;
  while (/\w/.test(json.charAt(offset - 1))) offset -= 1;
  const word = /^(?:\w+|.)/su.exec(json.slice(offset))?.[0] ?? '';
  return { offset, message: `not JSON: unexpected \`${truncate(word, 40)}\`` };
}
