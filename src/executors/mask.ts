import { isObject, type Json } from '../model/json.js';
import { truncate, truncateStart } from '../model/text.js';
import { escapePointer } from './exact-json.js';
import { makeFinder, type Finder } from './find.js';
import { formsOf, partsOf } from './forms.js';
import type { Turn } from '../model/give-way.js';

// What was resolved for a call and comes back in its answer is not handed on: whoever reads the run's output may not
// read the secrets of its connections.

export interface Mask extends Told {
  text(value: string): string;
  /** The same value where nothing of it is masked. */
  json(value: Json, turn: Turn): Promise<Masked>;
  pointers(values: readonly string[], turn: Turn): Promise<readonly string[]>;
}

/**
 * A target's text as it may be told: masked first, then cut, since half of a secret is no longer known as one. Nothing
 * else in this folder cuts what a target wrote.
 */
export interface Told {
  /** Its first `longest` characters; `end` says that there were more. */
  start(text: string, longest: number, end?: string): string;
  /** Its last ones. `kept: 'tail'`: its beginning was dropped before, in the middle of a secret perhaps. */
  end(text: string, longest: number, mark?: string, kept?: 'whole' | 'tail'): string;
}

export interface Masked {
  readonly value: Json;
  /** JSON pointers to what was masked, a name of it included. */
  readonly at: readonly string[];
}

/** What stands where something was masked. */
export const maskedText = '[redacted]';
/** Shorter ones are settings, and would be found everywhere. */
const minLength = 6;

export function makeMask(secrets: readonly string[]): Mask {
  const parts = [...new Set(secrets.flatMap(partsOf))].filter((part) => part.length >= minLength);
  const forms = [...new Set(parts.flatMap(formsOf))].filter((form) => form.length >= minLength);
  const finder = makeFinder(forms);
  const text = (value: string): string => maskText(value, finder);
  return {
    text,
    json: (value, turn) => maskJson(value, finder, turn),
    pointers: async (values, turn) => {
      const masked: string[] = [];
      for (const value of values) {
        await turn();
        masked.push(maskPointer(value, text));
      }
      return masked;
    },
    start: (value, longest, end) => {
      const most = readFor(longest, finder);
      if (value.length <= most) return truncate(text(value), longest, end);
      return shown(text(withoutBrokenEnd(value.slice(0, most), forms)), longest, truncate, end);
    },
    end: (value, longest, mark, kept = 'whole') => {
      const most = readFor(longest, finder);
      const isCut = value.length > most;
      const own = isCut ? value.slice(-most) : value;
      const begun = isCut || kept === 'tail' ? withoutBrokenStart(own, forms) : own;
      const masked = text(withoutBrokenEnd(begun, forms));
      return isCut ? shown(masked, longest, truncateStart, mark) : truncateStart(masked, longest, mark);
    },
  };
}

/** So much of a long text is read to tell so much of it: a secret of it is whole, escaped as often as is undone. */
function readFor(longest: number, finder: Finder): number {
  return 8 * longest + 16 * finder.longest;
}

/** Of a text that was cut before it was masked. One that is nearly nothing but secrets would be told up to where it was cut. */
function shown(masked: string, longest: number, cut: typeof truncate, mark: string | undefined): string {
  return masked.length <= longest ? maskedText : cut(masked, longest, mark);
}

function maskText(value: string, finder: Finder): string {
  const masked = finder.replace(value, maskedText);
  // Another writing of the same characters: encoded or escaped more than it had to be, or broken into lines.
  return finder.isWritten(masked) ? maskedText : masked;
}

function maskPointer(pointer: string, text: (value: string) => string): string {
  return pointer
    .split('/')
    .map((step) => escapePointer(text(unescapePointer(step))))
    .join('/');
}

/** Fewer characters of a secret give nothing away. */
const minBroken = 4;

/** Without the end of a secret, or of another writing of it, or all of it, with which the text begins. */
function withoutBrokenStart(text: string, forms: readonly string[]): string {
  if (text.length < minBroken) return text;
  const first = text.slice(0, minBroken).toLowerCase();
  let longest = 0;
  for (const form of forms.map((one) => one.toLowerCase()))
    for (let at = form.indexOf(first); at !== -1; at = form.indexOf(first, at + 1)) {
      const end = form.slice(at);
      if (end.length > longest && text.slice(0, end.length).toLowerCase() === end) longest = end.length;
    }
  return longest < minBroken ? text : maskedText + text.slice(longest);
}

/** The same for its end: a program that ends may lose what it has written last. */
function withoutBrokenEnd(text: string, forms: readonly string[]): string {
  const reversed = (one: string): string => [...one].reverse().join('');
  const longest = Math.max(0, ...forms.map((form) => form.length));
  const at = Math.max(0, text.length - longest);
  const end = withoutBrokenStart(reversed(text.slice(at)), forms.map(reversed));
  return end.startsWith(maskedText)
    ? text.slice(0, at) + reversed(end.slice(maskedText.length)) + maskedText
    : text;
}

/** No secret has it, and no decoding of a text reaches beyond it. */
const separator = '\u0001';

/** Nearly no answer has a secret in it: all of its texts are looked through at once, before each is by itself. */
async function maskJson(value: Json, finder: Finder, turn: Turn): Promise<Masked> {
  const texts = await longTexts(value, finder.shortest, turn);
  if (!(await finder.stands(texts.join(separator), turn))) return { value, at: [] };
  const each = async (text: string): Promise<string> => {
    if (text.length > shortText) await turn();
    if (text.length <= longText) return maskText(text, finder);
    const masked = await finder.replaceIn(turn, text, maskedText);
    return (await finder.stands(masked, turn)) ? maskedText : masked;
  };
  return maskEach(value, each, turn);
}

/** A text of more characters is looked through in turns. */
const longText = 2_048;

/** One of more takes long enough by itself. */
const shortText = 1_000;

/** How many values are looked at between two looks at the clock. */
const atOnce = 64;

async function longTexts(value: Json, shortest: number, turn: Turn): Promise<string[]> {
  const texts: string[] = [];
  const see = (text: string): void => {
    if (text.length >= shortest) texts.push(text);
  };
  const open: Json[] = [value];
  let seen = 0;
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    seen += 1;
    if (seen % atOnce === 0) await turn();
    if (typeof one === 'string' || typeof one === 'number') see(String(one));
    else if (Array.isArray(one)) for (const item of one as readonly Json[]) open.push(item);
    else if (isObject(one))
      for (const name of Object.keys(one)) {
        see(name);
        open.push(one[name] ?? null);
      }
  }
  return texts;
}

async function maskEach(value: Json, text: (value: string) => Promise<string>, turn: Turn): Promise<Masked> {
  const at: string[] = [];
  let seen = 0;
  const walk = async (one: Json, pointer: string): Promise<Json> => {
    seen += 1;
    if (seen % atOnce === 0) await turn();
    if (Array.isArray(one)) {
      const items: Json[] = [];
      for (const item of one as readonly Json[]) items.push(await walk(item, `${pointer}/${items.length}`));
      return items;
    }
    if (isObject(one)) {
      const named: [string, Json][] = [];
      const free = makeUnique();
      for (const [name, item] of Object.entries(one)) {
        const masked = free(await text(name));
        const below = `${pointer}/${escapePointer(masked)}`;
        if (masked !== name) at.push(below);
        named.push([masked, await walk(item, below)]);
      }
      return Object.fromEntries(named);
    }
    if (typeof one !== 'string' && typeof one !== 'number') return one;
    const written = String(one);
    const masked = await text(written);
    if (masked === written) return one;
    at.push(pointer);
    return masked;
  };
  return { value: await walk(value, ''), at: [...new Set(at)] };
}

/** Two names that are masked stay two. */
function makeUnique(): (name: string) => string {
  const taken = new Set<string>();
  const counts = new Map<string, number>();
  return (name) => {
    let free = name;
    let count = counts.get(name) ?? 1;
    while (taken.has(free)) free = `${name} ${(count += 1)}`;
    counts.set(name, count);
    taken.add(free);
    return free;
  };
}

function unescapePointer(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}
