import type { Json } from '../../../model/json.js';
import { visible, visibleJson } from '../../../model/visible.js';

// Text as Slack shows it. What an agent wrote must be read, and never be markup: no mention, no link with another face,
// no character that is not seen.

/** The three characters that Slack reads as its own. */
function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** One line of prose; never empty, for Slack takes no empty text. */
export function line(text: string, longest: number): string {
  const seen = visible(text);
  return seen.trim() === '' ? '(empty)' : cut(escapeText(seen), longest);
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

/** JSON that is the same value, in which nothing can end a code block or hide. */
export function exactJson(value: Json): string {
  return escapeText(visibleJson(value, '`'));
}

export interface Pieces {
  readonly pieces: readonly string[];
  /** Characters that did not fit. */
  readonly left: number;
}

/** In pieces of at most `longest`, at most `most` of them; broken between lines where that is possible. */
export function cutIntoPieces(text: string, longest: number, most: number): Pieces {
  const pieces: string[] = [];
  let rest = text;
  while (rest !== '' && pieces.length < most) {
    const piece = rest.length <= longest ? rest : rest.slice(0, pieceEnd(rest, longest));
    pieces.push(piece);
    rest = rest.slice(piece.length);
  }
  return { pieces: pieces.map((piece) => piece.replace(/\n$/, '')), left: rest.length };
}

function pieceEnd(text: string, longest: number): number {
  const lineEnd = text.lastIndexOf('\n', longest - 1);
  return lineEnd > longest / 2 ? lineEnd + 1 : breakBefore(text, longest);
}
