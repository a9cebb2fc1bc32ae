import type { Json } from './json.js';
import { unseenCharacters } from './text.js';

// What agents write is read by people who decide on it: no character in it is drawn as nothing, turns the line around or
// begins another one.

/** One line of prose, in which such characters stand as `\u{…}`. */
export function visible(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(unseenCharacters, (char) => `\\u{${char.codePointAt(0)?.toString(16) ?? ''}}`);
}

/**
 * JSON that is the same value: such characters, which only strings can hold, stand as `\uXXXX`; and those of `more`, each
 * one character.
 */
export function visibleJson(value: Json, more = ''): string {
  const text = JSON.stringify(value, null, 2).replaceAll(unseenCharacters, (char) =>
    char === '\n' ? char : codeUnits(char),
  );
  return more === ''
    ? text
    : [...more].reduce((shown, char) => shown.replaceAll(char, codeUnits(char)), text);
}

function codeUnits(char: string): string {
  const unit = (at: number): string => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`;
  return char.length === 1 ? unit(0) : unit(0) + unit(1);
}
