import type { Json } from '../model/json.js';
import { unseenCharacters } from '../model/text.js';

// What agents write is read by people who decide on it: no character in it is drawn as nothing, turns the line around or
// begins another one.

export function isUnseen(char: string): boolean {
  return char.search(unseenCharacters) === 0;
}

/** One line of prose, in which such characters stand as `\u{…}`. */
export function visible(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(unseenCharacters, (char) => `\\u{${char.codePointAt(0)?.toString(16) ?? ''}}`);
}

/** JSON that is the same value: such characters, which only strings can hold, stand as `\uXXXX`. */
export function visibleJson(value: Json, hidden: (char: string) => boolean = isUnseen): string {
  return JSON.stringify(value, null, 2).replaceAll(/[^\n]/gu, (char) =>
    hidden(char) ? codeUnits(char) : char,
  );
}

function codeUnits(char: string): string {
  return Array.from({ length: char.length }, (_, at) => {
    const unit = char.charCodeAt(at).toString(16).padStart(4, '0');
    return `\\u${unit}`;
  }).join('');
}
