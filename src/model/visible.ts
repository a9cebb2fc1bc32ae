import type { Json } from './json.js';
import { unseenCharacters } from './text.js';

// What agents write is read by people who decide on it: no character in it is drawn as nothing, turns the line around or
// begins another one.

// Whole runs, for a callback per character is slow where there are many. A run is bounded, so that its match takes little.
const runs = new RegExp(`(?:${unseenCharacters.source}){1,1024}`, 'gu');
const runsWithinLine = new RegExp(`(?:(?!\\n)${unseenCharacters.source}){1,1024}`, 'gu');

/** One line of prose, in which such characters stand as `\u{…}`. */
export function visible(text: string): string {
  return written(text.toWellFormed(), runs, (char) => `\\u{${char.codePointAt(0)?.toString(16) ?? ''}}`);
}

/**
 * JSON that is the same value: such characters, which only strings can hold, stand as `\uXXXX`; and those of `more`, each
 * one character.
 */
export function visibleJson(value: Json, more = ''): string {
  const text = written(JSON.stringify(value, null, 2), runsWithinLine, codeUnits);
  return more === ''
    ? text
    : [...more].reduce((shown, char) => shown.replaceAll(char, codeUnits(char)), text);
}

/** Each character of these runs as `escape` writes it, which is asked once for each that there is. */
function written(text: string, those: RegExp, escape: (char: string) => string): string {
  const known = new Map<string, string>();
  const one = (char: string): string => {
    const escaped = known.get(char) ?? escape(char);
    known.set(char, escaped);
    return escaped;
  };
  return text.replaceAll(those, (run) => Array.from(run, one).join(''));
}

function codeUnits(char: string): string {
  const unit = (at: number): string => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`;
  return char.length === 1 ? unit(0) : unit(0) + unit(1);
}
