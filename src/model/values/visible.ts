import { hasApiKey } from '../names/api-key.js';
import type { Json } from './json.js';
import { unseenCharacters } from './text.js';

// People decide on what agents write. So in what they are shown no character may be drawn as nothing, reverse a line, or begin a
// new line.

// Matches whole runs of such characters, because a callback for each character is slow. Runs are bounded, so that a match is short.
const unseenRuns = new RegExp(`(?:${unseenCharacters.source}){1,1024}`, 'gu');
const runsWithinLine = new RegExp(`(?:(?!\\n)${unseenCharacters.source}){1,1024}`, 'gu');

/** The text as a single line, with such characters as `\u{…}`. */
export function escapeUnseen(text: string): string {
  return escapeRuns(
    text.toWellFormed(),
    unseenRuns,
    (char) => `\\u{${char.codePointAt(0)?.toString(16) ?? ''}}`,
  );
}

/**
 * The value as JSON, with such characters, which only strings can hold, as `\uXXXX`; so that it is still the same value. The
 * characters of `more` are escaped too.
 */
export function toVisibleJson(value: Json, more = ''): string {
  const text = escapeRuns(JSON.stringify(value, null, 2), runsWithinLine, escapeUnits);
  return more === ''
    ? text
    : [...more].reduce((shown, char) => shown.replaceAll(char, escapeUnits(char)), text);
}

/** Replaces each character of the matching runs by `escape` of it, which is called once for each different character. */
function escapeRuns(text: string, matching: RegExp, escape: (char: string) => string): string {
  const known = new Map<string, string>();
  const escapeKnown = (char: string): string => {
    const escaped = known.get(char) ?? escape(char);
    known.set(char, escaped);
    return escaped;
  };
  return text.replaceAll(matching, (run) => Array.from(run, escapeKnown).join(''));
}

function escapeUnits(char: string): string {
  const unit = (at: number): string => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`;
  return char.length === 1 ? unit(0) : unit(0) + unit(1);
}

/**
 * Of an argument that is not understood, what may be told: behind `=`, `:` or a blank there may be a secret. `…` stands for what was
 * behind a blank. Without unseen characters.
 */
export function tellArgument(text: string): string {
  if (hasApiKey(text)) return 'an API key';
  const [told = ''] = /^[^=:\s]*/.exec(text) ?? [];
  return escapeUnseen(told) + (/\s/.test(text.charAt(told.length)) ? ' …' : '');
}
