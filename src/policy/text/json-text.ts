import { nameTrouble, truncate } from '../../model/values/text.js';
import { conflictTrouble, numberTrouble, toMessage, type Trouble } from './yaml-text.js';

/** What `JSON.parse` refuses, much of which YAML takes: trailing commas, comments, bare words. */
export function jsonTrouble(text: string): Trouble | null {
  // A space in the place of a byte order mark keeps the offsets.
  const json = text.replace(/^\ufeff/, ' ');
  const complaint = complaintOf(json);
  if (complaint === null) return null;
  const offset = hasExcerpt.test(complaint)
    ? wordStart(json, placeOfExcerpt(json))
    : Number(/position (\d+)/.exec(complaint)?.[1] ?? text.length);
  const message = `not JSON: ${explain(complaint, json.slice(offset))}`;
  return conflictTrouble(json) ?? zeroTrouble(json, offset) ?? { code: 'MALFORMED', offset, message };
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

/** Of `nil`, the parser refuses the `i`. */
function wordStart(json: string, at: number): number {
  let offset = at;
  while (/\w/.test(json.charAt(offset - 1))) offset -= 1;
  return offset;
}

/** Of a number that begins with 0, the parser names the digit after it. */
function zeroTrouble(json: string, offset: number): Trouble | null {
  const zero = /-?0$/.exec(json.slice(Math.max(0, offset - 2), offset))?.[0];
  const digits = /^\d[\d.eE+-]*/.exec(json.slice(offset))?.[0];
  if (zero === undefined || digits === undefined) return null;
  const message = numberTrouble(Number(zero + digits), zero + digits);
  return message === null ? null : { code: 'MALFORMED', offset: offset - zero.length, message };
}

/** `rest`: the text from where the parser stopped. */
function explain(complaint: string, rest: string): string {
  if (/^(?:#|\/[/*])/.test(rest)) return 'a comment stands here, and JSON has none: take it out';
  const odd = /^[\p{Zs}\p{Cf}]/u.exec(rest)?.[0];
  if (odd !== undefined) return `this line ${nameTrouble(odd)}`;
  if (complaint.startsWith('Unexpected non-whitespace'))
    return 'the value has ended before this: take out what follows it, or the bracket that ends it too early';
  if (hasExcerpt.test(complaint))
    return `unexpected \`${truncate(/^(?:\w+|.)/su.exec(rest)?.[0] ?? '', 40)}\``;
  return toMessage(complaint.replace(/(?: in JSON)? at position .*$/s, ''));
}
