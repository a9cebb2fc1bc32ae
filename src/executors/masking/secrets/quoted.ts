import { undoBackslash } from '../decoding/decode.js';
import { undoText } from '../decoding/decodings.js';
import type { Steps } from '../find.js';
import { undoCodes } from '../decoding/program-escapes.js';

// Values in quotes or braces, in which separators are plain characters.

// Bounds on characters and quotes, so that a quotation that does not end costs no more than that. A longer one is split.
const upTo = (end: string): string => `[^${end}]{0,2048}`;
const braced = `\\{${upTo('}')}(?:\\}\\}${upTo('}')}){0,64}\\}`;
const doubled = (quote: string): string =>
  `${quote}${upTo(quote)}(?:${quote}${quote}${upTo(quote)}){0,64}${quote}`;
const escaped = (quote: string): string =>
  `${quote}${upTo(`${quote}\\\\`)}(?:\\\\.${upTo(`${quote}\\\\`)}){0,64}${quote}`;

/** How a quote is written in quotes: twice, as in connection strings, or behind a backslash, as in most other texts. */
const quotations = [doubled, escaped].map((within) => `(?:${within('"')}|${within("'")}|${braced})`);
/** `name=value` between blanks and commas. */
const pairs = quotations.map(
  (quotation) =>
    new RegExp(`(?<=^|[\\s,])([A-Za-z][\\w.-]*)\\s*=(?!=)\\s*(${quotation}|[^\\s,;]*)(?=$|[\\s,])`, 'gs'),
);
const items = quotations.map((quotation) => new RegExp(`[^;=]*=\\s*${quotation}\\s*(?=;|$)|[^;]+`, 'gs'));
// Each kind of quotation by itself, since it may contain others.
const words = [...[doubled, escaped].flatMap((within) => [within('"'), within("'")]), braced].map(
  (quotation) => new RegExp(`(?<=^|[\\s=:,;([{])${quotation}`, 'gs'),
);

/** The items between the `;` of a list, once for each way to write a quote within quotes. */
export function itemsOf(text: string): Steps<string[][]> {
  return findByEach(items, (item) => (text.match(item) ?? []).filter((match) => match.trim() !== ''));
}

/** Applies each pattern, with a turn for others before each, since the text may be long. */
function* findByEach<T>(patterns: readonly RegExp[], find: (pattern: RegExp) => T): Steps<T[]> {
  const found: T[] = [];
  for (const pattern of patterns) {
    yield;
    found.push(find(pattern));
  }
  return found;
}

export interface Pairs {
  readonly pairs: readonly (readonly [string, string])[];
  /** The text without the pairs. */
  readonly rest: string;
}

/** The pairs `name=value` between blanks and commas, once for each way to write a quote within quotes. */
export function pairsOf(text: string): Steps<Pairs[]> {
  return findByEach(pairs, (pair) => {
    const found: (readonly [string, string])[] = [];
    const rest = text.replace(pair, (_whole, name: string, value: string) => {
      found.push([name, value]);
      return ' ';
    });
    return { pairs: found, rest };
  });
}

/** Each quotation that begins where a word or a value begins. */
export function* quotedIn(text: string): Steps<string[]> {
  return (yield* findByEach(words, (word) => text.match(word) ?? [])).flat();
}

/**
 * The text itself and the text without its quotes or braces, each also with backslashes undone. A shell writes `$'x'` too, and
 * TOML three quotes.
 */
export function unquotedOf(text: string): string[] {
  const unquoted = [/^["']|["']$/g, /^["']{1,2}|["']{1,2}$/g, /^\$?["'`]{1,3}|["'`]{1,3}$/g];
  const found = [text, ...unquoted.map((quotes) => text.replace(quotes, ''))];
  const within = /^["'{](.*)["'}]$/s.exec(text)?.[1];
  if (within !== undefined) found.push(within, within.replace(/(["'}])\1/g, '$1'));
  return [...new Set(found.flatMap(unescapedOf))];
}

/** The text itself, and with its backslashes undone as property files, shells, YAML and TOML do: `\t` is a tab or a `t`. */
export function unescapedOf(text: string): string[] {
  if (!text.includes('\\')) return [text];
  return [
    text,
    text.replace(/\\(.)/gs, '$1'),
    ...[undoBackslash, undoCodes].map((undo) => undoText(text, undo)),
  ];
}
