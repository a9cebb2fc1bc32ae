import type { Json } from '../model/json.js';

// Text as Slack shows it. What an agent wrote must be read, and never be markup: no mention, no link with another face,
// no character that is not seen.

/** The three characters that Slack reads as its own. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

// Controls, format characters and whatever else is drawn as nothing.
const unseen = /[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\u2028\u2029]/gu;

/** One line of prose; never empty, for Slack takes no empty text. */
export function line(text: string, longest: number): string {
  const seen = text
    .toWellFormed()
    .replaceAll(unseen, (char) => `\\u{${char.codePointAt(0)?.toString(16) ?? ''}}`);
  return seen.trim() === '' ? '(empty)' : cut(escaped(seen), longest);
}

/** Shortened to what fits, never in the middle of an entity or of a character. */
export function cut(text: string, longest: number): string {
  if (text.length <= longest) return text;
  return `${text.slice(0, breakBefore(text, longest - 3))}...`;
}

/** Where to break so that neither an entity nor a character falls apart. */
function breakBefore(text: string, at: number): number {
  const entity = /&[a-z]{0,4}$/.exec(text.slice(0, at));
  if (entity !== null) return entity.index;
  const last = text.charCodeAt(at - 1);
  return last >= 0xd800 && last <= 0xdbff ? at - 1 : at;
}

/**
 * JSON that is the same value, in which nothing can end a code block or hide: such characters stand as `\uXXXX`, which
 * only strings can hold.
 */
export function exactJson(value: Json): string {
  const text = JSON.stringify(value, null, 2);
  const written = text.replaceAll(/[^\n]/gu, (char) => (hidden(char) ? codeUnits(char) : char));
  return escaped(written);
}

function hidden(char: string): boolean {
  return char === '`' || char.search(unseen) === 0;
}

function codeUnits(char: string): string {
  return Array.from({ length: char.length }, (_, at) => {
    const unit = char.charCodeAt(at).toString(16).padStart(4, '0');
    return `\\u${unit}`;
  }).join('');
}

export interface Pieces {
  readonly pieces: readonly string[];
  /** Characters that did not fit. */
  readonly left: number;
}

/** In pieces of at most `longest`, at most `most` of them; broken between lines where that is possible. */
export function inPieces(text: string, longest: number, most: number): Pieces {
  const pieces: string[] = [];
  let rest = text;
  while (rest !== '' && pieces.length < most) {
    const piece = rest.length <= longest ? rest : rest.slice(0, pieceEnd(rest, longest));
    pieces.push(piece);
    rest = rest.slice(piece.length);
  }
  return { pieces: pieces.map((one) => one.replace(/\n$/, '')), left: rest.length };
}

function pieceEnd(text: string, longest: number): number {
  const lineEnd = text.lastIndexOf('\n', longest - 1);
  return lineEnd > longest / 2 ? lineEnd + 1 : breakBefore(text, longest);
}
