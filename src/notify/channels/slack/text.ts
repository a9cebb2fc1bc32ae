import type { Json } from '../../../model/values/json.js';
import { escapeUnseen, toVisibleJson } from '../../../model/values/visible.js';

// Text for Slack. What an agent wrote must be readable and must never act as markup: no mention, no disguised link, no invisible
// character.

/** Escapes the three characters that Slack reads as control characters. */
function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** A line of prose; never empty, because Slack takes no empty text. */
export function toLine(text: string, longest: number): string {
  const seen = escapeUnseen(text);
  return seen.trim() === '' ? '(empty)' : cutText(escapeText(seen), longest);
}

/** Shortens a text to what fits, never in the middle of an entity or a character. */
export function cutText(text: string, longest: number): string {
  if (text.length <= longest) return text;
  return `${text.slice(0, breakBefore(text, longest - 3))}...`;
}

/** The index at or before `at` that splits neither an entity nor a character. */
function breakBefore(text: string, at: number): number {
  const entity = /&[a-z]{0,4}$/.exec(text.slice(0, at));
  if (entity !== null) return entity.index;
  const last = text.charCodeAt(at - 1);
  return last >= 0xd800 && last <= 0xdbff ? at - 1 : at;
}

/** The value as JSON, in which nothing can end a code block or be invisible. */
export function toExactJson(value: Json): string {
  return escapeText(toVisibleJson(value, '`'));
}

export interface Pieces {
  readonly pieces: readonly string[];
  /** Characters that did not fit. */
  readonly left: number;
}

/** Cuts a text into at most `most` pieces of at most `longest` characters, between lines if possible. */
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
