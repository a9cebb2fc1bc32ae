import { isObject, type Json } from '../model/json.js';
import { truncate, truncateStart } from '../model/text.js';
import { escapePointer, parseExactly } from './exact-json.js';

// What was resolved for a call and comes back in its answer is not handed on: whoever reads the run's output may not
// read the secrets of its connections.

export interface Mask extends Told {
  text(value: string): string;
  json(value: Json): Masked;
  pointer(value: string): string;
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
  const text = parts.length === 0 ? (value: string): string => value : maskText(forms);
  return {
    text,
    json: (value) => (parts.length === 0 ? { value, at: [] } : maskJson(value, text)),
    pointer: (value) =>
      value
        .split('/')
        .map((step) => escapePointer(text(unescapePointer(step))))
        .join('/'),
    start: (value, longest, end) => truncate(text(value), longest, end),
    end: (value, longest, mark, kept = 'whole') =>
      truncateStart(
        text(withoutBrokenEnd(kept === 'tail' ? withoutBrokenStart(value, forms) : value, forms)),
        longest,
        mark,
      ),
  };
}

/** Capitals count for nothing: a header's name comes back in small letters, and hex is written either way. */
function maskText(forms: readonly string[]): (value: string) => string {
  const longestFirst = [...forms].sort((a, b) => b.length - a.length).map(escapeRegExp);
  const any = new RegExp(longestFirst.join('|'), 'gi');
  return (value) => {
    const masked = value.replace(any, maskedText);
    // Another writing of the same characters: encoded or escaped more than it had to be, or broken into lines.
    const isWritten = decodings(masked).some((one) => one.search(any) !== -1);
    return isWritten ? maskedText : masked;
  };
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

/** The secret, and what a target makes of it that takes a header or a setting apart. */
function partsOf(secret: string): string[] {
  const trimmed = secret.trim();
  const credentials = credentialsIn(trimmed);
  if (credentials !== null) return [secret, trimmed, ...credentials];
  const words = trimmed.split(/[\s,;]+/);
  // `Bearer` alone is no secret.
  const own = words.length > 1 && /^[A-Za-z-]+$/.test(words[0] ?? '') ? words.slice(1) : words;
  const values = own.flatMap((word) => [word, unquoted(word), unquoted(word.replace(/^[^=]*=/, ''))]);
  const decoded = values.flatMap((one) => [...decodedCredential(one), ...passwordOf(one)]);
  return [secret, trimmed, ...values, ...decoded];
}

/** Of `scheme://user:password@host`, as it is written there and as a target reads it. */
function passwordOf(word: string): string[] {
  const written = /^[a-z][a-z0-9+.-]*:\/\/[^/?#:@]*:([^/?#]+)@/i.exec(word)?.[1];
  return written === undefined ? [] : [written, percentDecoded(written)];
}

/** A value by itself says that it is one, or its name does: other parts of a JSON credential are settings. */
const secretLength = 16;
const secretNames = /key|secret|token|pass|pwd|credential/i;

/** Null: it is no JSON object or array. */
function credentialsIn(text: string): string[] | null {
  if (!text.startsWith('{') && !text.startsWith('[')) return null;
  const parsed = parseExactly(text);
  if (parsed.status === 'malformed') return null;
  const leaves = (value: Json, name: string): string[] => {
    if (typeof value === 'string') {
      const isSecret = secretNames.test(name) || value.length >= secretLength;
      if (/^https?:\/\//i.test(value)) return passwordOf(value);
      return isSecret ? [value, ...value.split(/\r?\n/), ...passwordOf(value)] : passwordOf(value);
    }
    if (Array.isArray(value)) return value.flatMap((item: Json) => leaves(item, name));
    return isObject(value) ? Object.entries(value).flatMap(([below, item]) => leaves(item, below)) : [];
  };
  return leaves(parsed.value, '');
}

function unquoted(text: string): string {
  return text.replace(/^["']|["']$/g, '');
}

/** `user:password` of a basic credential, and the password alone. */
function decodedCredential(word: string): string[] {
  if (!/^[A-Za-z0-9+/]{8,}={0,2}$/.test(word)) return [];
  const text = Buffer.from(word, 'base64').toString('utf8');
  if (!/^[\x20-\x7e]+$/.test(text) || !text.includes(':')) return [];
  return [text, text.slice(text.indexOf(':') + 1)];
}

function formsOf(part: string): string[] {
  const wellFormed = part.toWellFormed();
  const escaped = JSON.stringify(part).slice(1, -1);
  const percent = encodeURIComponent(wellFormed);
  return [
    part,
    escaped,
    JSON.stringify(escaped).slice(1, -1),
    percent,
    new URLSearchParams({ '': wellFormed }).toString().slice(1),
    ...apostrophes.map((apostrophe) =>
      part.replace(/[&<>"']/g, (character) => entities[character] ?? apostrophe),
    ),
    Buffer.from(part).toString('hex'),
    ...base64Forms(Buffer.from(part)),
  ];
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};
/** HTML has no one way to write it. */
const apostrophes = ['&#39;', '&#x27;', '&apos;'];

/** Wherever the secret stands in a longer encoded text: the characters that it alone decides, at each of three offsets. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const own = encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** How often a text is decoded again: `%2541` is `%41`, and that is `A`. */
const maxDecodings = 3;

function decodings(text: string): string[] {
  const found = new Set([text]);
  let fresh = [text];
  for (let round = 0; round < maxDecodings && fresh.length > 0; round += 1) {
    fresh = [...new Set(fresh.flatMap(decodedOnce))].filter((one) => !found.has(one));
    for (const one of fresh) found.add(one);
  }
  found.delete(text);
  return [...found];
}

function decodedOnce(text: string): string[] {
  const found: string[] = [];
  if (text.includes('%')) found.push(percentDecoded(text));
  if (text.includes('%') && text.includes('+')) found.push(percentDecoded(text.replaceAll('+', ' ')));
  if (text.includes('\\')) found.push(text.replace(escapes, unescaped));
  if (/[\r\n\0]/.test(text)) found.push(text.replace(/[\r\n\0]+[ \t]*/g, ''));
  return found;
}

const escapes = /\\u([0-9a-fA-F]{4})|\\(.)/gs;

function unescaped(_whole: string, hex: string | undefined, one: string | undefined): string {
  if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
  return lineEnds[one ?? ''] ?? one ?? '';
}

const lineEnds: Readonly<Record<string, string>> = { n: '\n', r: '\r' };

function percentDecoded(text: string): string {
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}

function maskJson(value: Json, text: (value: string) => string): Masked {
  const at: string[] = [];
  const changed = (before: string, after: string, pointer: string): string => {
    if (before !== after) at.push(pointer);
    return after;
  };
  const walk = (one: Json, pointer: string): Json => {
    if (typeof one === 'string') return changed(one, text(one), pointer);
    if (typeof one === 'number') {
      const written = String(one);
      const masked = text(written);
      return masked === written ? one : changed(written, masked, pointer);
    }
    if (Array.isArray(one)) return one.map((item: Json, index) => walk(item, `${pointer}/${index}`));
    if (!isObject(one)) return one;
    const entries = new Map<string, Json>();
    for (const [name, item] of Object.entries(one)) {
      const masked = unique(text(name), entries);
      const below = `${pointer}/${escapePointer(masked)}`;
      if (masked !== name) at.push(below);
      entries.set(masked, walk(item, below));
    }
    return Object.fromEntries(entries);
  };
  return { value: walk(value, ''), at: [...new Set(at)] };
}

/** Two names that are masked stay two. */
function unique(name: string, taken: ReadonlyMap<string, Json>): string {
  let free = name;
  for (let count = 2; taken.has(free); count += 1) free = `${name} ${count}`;
  return free;
}

function unescapePointer(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}
