import { undoBackslash } from './decode.js';
import { undoneText } from './decodings.js';
import type { Steps } from './find.js';
import { undoCodes } from './program-escapes.js';

// Values in quotes or braces, in which separators are characters like others.

// So many characters and so many quotes, so that one that does not end costs no more than that. What is behind them is split.
const to = (end: string): string => `[^${end}]{0,2048}`;
const braced = `\\{${to('}')}(?:\\}\\}${to('}')}){0,64}\\}`;
const doubled = (quote: string): string =>
  `${quote}${to(quote)}(?:${quote}${quote}${to(quote)}){0,64}${quote}`;
const escaped = (quote: string): string =>
  `${quote}${to(`${quote}\\\\`)}(?:\\\\.${to(`${quote}\\\\`)}){0,64}${quote}`;

/** How a quote is written in quotes: twice, as in connection strings, or behind a backslash, as in most other texts. */
const quotations = [doubled, escaped].map((within) => `(?:${within('"')}|${within("'")}|${braced})`);
/** `name=value` between blanks and commas. */
const pairs = quotations.map(
  (one) => new RegExp(`(?<=^|[\\s,])([A-Za-z][\\w.-]*)\\s*=(?!=)\\s*(${one}|[^\\s,;]*)(?=$|[\\s,])`, 'gs'),
);
const items = quotations.map((one) => new RegExp(`[^;=]*=\\s*${one}\\s*(?=;|$)|[^;]+`, 'gs'));
// Each by itself, since one may be in another.
const words = [...[doubled, escaped].flatMap((within) => [within('"'), within("'")]), braced].map(
  (one) => new RegExp(`(?<=^|[\\s=:,;([{])${one}`, 'gs'),
);

/** What stands between the `;` of a list, once for each way to write a quote. */
export function itemsOf(text: string): Steps<string[][]> {
  return inEach(items, (item) => (text.match(item) ?? []).filter((one) => one.trim() !== ''));
}

/** Of a long text, each takes a turn. */
function* inEach<T>(patterns: readonly RegExp[], find: (pattern: RegExp) => T): Steps<T[]> {
  const found: T[] = [];
  for (const pattern of patterns) {
    yield;
    found.push(find(pattern));
  }
  return found;
}

export interface Pairs {
  readonly pairs: readonly (readonly [string, string])[];
  /** The text without them. */
  readonly rest: string;
}

/** What is written `name=value` between blanks and commas, once for each way to write a quote. */
export function pairsOf(text: string): Steps<Pairs[]> {
  return inEach(pairs, (pair) => {
    const found: (readonly [string, string])[] = [];
    const rest = text.replace(pair, (_whole, name: string, value: string) => {
      found.push([name, value]);
      return ' ';
    });
    return { pairs: found, rest };
  });
}

/** Each quotation that begins where a word or a value does. */
export function* quotedIn(text: string): Steps<string[]> {
  return (yield* inEach(words, (word) => text.match(word) ?? [])).flat();
}

/**
 * The text itself, and what it is without its quotes or braces: a shell writes `$'x'` too, and TOML three of them. With
 * backslashes undone as well.
 */
export function unquotedOf(text: string): string[] {
  const unquoted = [/^["']|["']$/g, /^["']{1,2}|["']{1,2}$/g, /^\$?["'`]{1,3}|["'`]{1,3}$/g];
  const found = [text, ...unquoted.map((quotes) => text.replace(quotes, ''))];
  const within = /^["'{](.*)["'}]$/s.exec(text)?.[1];
  if (within !== undefined) found.push(within, within.replace(/(["'}])\1/g, '$1'));
  return [...new Set(found.flatMap(unescapedOf))];
}

/** The text itself, and as a file of properties, a shell, YAML or TOML reads it: `\t` is a tab or a `t`. */
export function unescapedOf(text: string): string[] {
  if (!text.includes('\\')) return [text];
  return [
    text,
    text.replace(/\\(.)/gs, '$1'),
    ...[undoBackslash, undoCodes].map((undo) => undoneText(text, undo)),
  ];
}
