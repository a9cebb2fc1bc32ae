import { isObject, type Json } from '../model/json.js';
import { escapePointer } from './exact-json.js';

// What was resolved for a call and comes back in its answer is not handed on: whoever reads the run's output may not
// read the secrets of its connections.

export interface Mask {
  text(value: string): string;
  json(value: Json): Masked;
  pointer(value: string): string;
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
  const forms = new Set(parts.flatMap(formsOf).filter((form) => form.length >= minLength));
  const longestFirst = [...forms].sort((a, b) => b.length - a.length);
  const any = longestFirst.length === 0 ? null : new RegExp(longestFirst.map(escapeRegExp).join('|'), 'g');
  const text = (value: string): string => {
    if (any === null) return value;
    const masked = value.replace(any, maskedText);
    // Another writing of the same characters: percent-encoded or escaped more than it had to be.
    return decodings(masked).some((one) => parts.some((part) => one.includes(part))) ? maskedText : masked;
  };
  return {
    text,
    json: (value) => (any === null ? { value, at: [] } : maskJson(value, text)),
    pointer: (value) =>
      value
        .split('/')
        .map((step) => escapePointer(text(unescapePointer(step))))
        .join('/'),
  };
}

/** The secret, and what a target makes of it that takes a header or a setting apart. */
function partsOf(secret: string): string[] {
  const trimmed = secret.trim();
  const words = trimmed.split(/[\s,;]+/);
  // `Bearer` alone is no secret.
  const own = words.length > 1 && /^[A-Za-z-]+$/.test(words[0] ?? '') ? words.slice(1) : words;
  const values = own.flatMap((word) => [word, unquoted(word), unquoted(word.replace(/^[^=]*=/, ''))]);
  const decoded = values.flatMap((one) => decodedCredential(one));
  return [secret, trimmed, ...values, ...decoded];
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
    percent.replace(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase()),
    new URLSearchParams({ '': wellFormed }).toString().slice(1),
    ...apostrophes.map((apostrophe) =>
      part.replace(/[&<>"']/g, (character) => entities[character] ?? apostrophe),
    ),
    Buffer.from(part).toString('hex'),
    Buffer.from(part).toString('hex').toUpperCase(),
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

function decodings(text: string): string[] {
  const found: string[] = [];
  if (text.includes('%')) found.push(percentDecoded(text), percentDecoded(text.replaceAll('+', ' ')));
  if (text.includes('\\'))
    found.push(
      text.replace(
        /\\u([0-9a-fA-F]{4})|\\(.)/gs,
        (_whole, hex: string | undefined, one: string | undefined) =>
          hex === undefined ? (one ?? '') : String.fromCharCode(parseInt(hex, 16)),
      ),
    );
  return found;
}

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
