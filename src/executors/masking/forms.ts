import { behindString, isExactNumber } from '../../model/json.js';
import { windows } from './entities.js';
import { asciiHeader } from '../values.js';

// What of a secret is looked for in an answer: what a target makes of it that takes it apart, and how that may be written.

/** The secret as it is and as a header carries it, and what a target makes of it that takes a header or a setting apart. */
export function partsOf(secret: string): string[] {
  const carried = asciiHeader(secret);
  return carried === secret ? partsIn(secret) : [...partsIn(secret), ...partsIn(carried)];
}

function partsIn(secret: string): string[] {
  const trimmed = secret.trim();
  const parts = credentialsIn(trimmed) ?? settingsIn(trimmed) ?? wordsIn(withoutLabels(trimmed));
  return [secret, trimmed, ...parts];
}

/** What says in PEM what the key is, which every key has. */
const labels =
  /-----(?:BEGIN|END)[A-Z0-9 ]*-----|^(?:Proc-Type: ?4,ENCRYPTED|DEK-Info: ?[A-Z0-9-]+,[A-F0-9]+)\r?$/gm;

function withoutLabels(text: string): string {
  return text.replace(labels, '');
}

function wordsIn(text: string): string[] {
  const words = text.split(/[\s,;]+/);
  // `Bearer` alone is no secret.
  const own = words.length > 1 && /^[A-Za-z-]+$/.test(words[0] ?? '') ? words.slice(1) : words;
  return own.flatMap((word) => valuesOf(word, unquoted(word.replace(/^[^=]*=/, ''))));
}

function valuesOf(...written: readonly string[]): string[] {
  return written.flatMap((one) => [one, unquoted(one), ...passwordsIn(one), ...passwordsIn(unquoted(one))]);
}

/** Whatever else a text is, what stands in it as a password is one. */
function passwordsIn(text: string): string[] {
  return [...decodedCredential(text), ...passwordOf(text)];
}

/** One of these names says that a list is how to reach a database or a queue, and no header: there each value may be a secret. */
const placeNames =
  /^\s*(server|host|hostname|data source|address|addr|endpoint|driver|provider|database|initial catalog|dsn|accountname)$/i;

/**
 * Of `Server=erp;User ID=finance;Password=x`, whose names may have blanks in them. Null: it is something else, or no name says
 * which value is the secret, so that each may be.
 */
function settingsIn(text: string): string[] | null {
  const items = text.split(';').filter((item) => item.trim() !== '');
  const settings = items.map((item) => settingOf(item)).filter((one) => one !== null);
  const isNamed = (names: RegExp): boolean => settings.some(({ name }) => names.test(name));
  if (settings.length < items.length || !isNamed(placeNames) || !isNamed(secretNames)) return null;
  return settings.flatMap((setting) => {
    const { name, value } = setting;
    if (!isSecret(setting)) return passwordsIn(value);
    return valuesOf(value, ...(secretNames.test(name) ? value.split(/[\s,]+/) : []));
  });
}

/** Null: it is none, as base64 that ends with `=` is none. */
function settingOf(text: string): Leaf | null {
  const [, name, value] = /^\s*([A-Za-z][\w .-]*)=(.*[^=\s].*)$/s.exec(text) ?? [];
  return name === undefined || value === undefined ? null : { name, value: unquoted(value.trim()) };
}

/** Of `scheme://user:password@host`, as it is written there and as a target reads it. */
function passwordOf(word: string): string[] {
  const written = /^[a-z][a-z0-9+.-]*:\/\/[^/?#:@]*:([^/?#]+)@/i.exec(word)?.[1];
  return written === undefined ? [] : [written, percentDecoded(written)];
}

/** A value by itself says that it is one, or its name does: what else stands in a credential are settings. */
const secretLength = 16;
const secretNames = /key|secret|token|pass|pwd|credential|signature|session|sid$/i;

function isSecret({ name, value }: Leaf): boolean {
  return secretNames.test(name) || value.length >= secretLength;
}

/** Null: it is no JSON object or array. */
function credentialsIn(text: string): string[] | null {
  if (!(text.startsWith('{') || text.startsWith('[')) || !isJson(text)) return null;
  return leavesOf(text).flatMap((leaf) => {
    const { value } = leaf;
    if (/^https?:\/\//i.test(value) || !isSecret(leaf)) return passwordOf(value);
    return [value, ...withoutLabels(value).split(/\r?\n/), ...passwordOf(value)];
  });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A value and its name; of a list's values, the name of the list. */
interface Leaf {
  readonly name: string;
  readonly value: string;
}

/**
 * Each text in it and each number that no double holds, however deep. A name may come again: which of its values a target
 * takes is the target's business, so all of them count.
 */
function leavesOf(json: string): Leaf[] {
  const leaves: Leaf[] = [];
  const outer: string[] = [];
  let name = '';
  for (let at = 0; at < json.length;) {
    const unit = json.charAt(at);
    const end = unit === '"' ? behindString(json, at) : behindNumber(json, at);
    const written = json.slice(at, end);
    if (unit === '"') {
      const value = JSON.parse(written) as string;
      if (isName(json, end)) name = value;
      else leaves.push({ name, value });
    } else if (unit === '{' || unit === '[') outer.push(name);
    else if (unit === '}' || unit === ']') name = outer.pop() ?? '';
    else if (end > at && !isExactNumber(written)) leaves.push({ name, value: written });
    at = Math.max(at + 1, end);
  }
  return leaves;
}

const number = /-?\d[\d.eE+-]*/y;
const colon = /\s*:/y;

/** Where there is none, no further than where it would begin. */
function behindNumber(json: string, start: number): number {
  number.lastIndex = start;
  return number.test(json) ? number.lastIndex : start;
}

function isName(json: string, end: number): boolean {
  colon.lastIndex = end;
  return colon.test(json);
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

/** Nothing in it is written otherwise by JSON, addresses, forms or pages. */
const isPlain = /^[A-Za-z0-9_.-]*$/;

export function formsOf(part: string): string[] {
  if (isPlain.test(part)) return [part, ...packedForms(part)];
  const written = [part, ...otherForms(part)];
  // Where lines are joined again, no breaks and no blanks are left.
  const joined = written.map((form) => form.replace(/[\r\n\0 \t]+/g, ''));
  return [...written, ...joined, ...packedForms(part)];
}

function otherForms(part: string): string[] {
  const wellFormed = part.toWellFormed();
  const escaped = JSON.stringify(part).slice(1, -1);
  return [
    escaped,
    JSON.stringify(escaped).slice(1, -1),
    encodeURIComponent(wellFormed),
    new URLSearchParams({ '': wellFormed }).toString().slice(1),
    ...apostrophes.map((apostrophe) =>
      part.replace(/[&<>"']/g, (character) => entities[character] ?? apostrophe),
    ),
    ...misread(part),
    // Where capitals count for nothing, as they do in headers.
    part.toUpperCase(),
    part.toLowerCase(),
    // As others compose the same characters.
    part.normalize('NFC'),
    part.normalize('NFD'),
  ];
}

function packedForms(part: string): string[] {
  return bytesOf(part).flatMap((bytes) => [bytes.toString('hex'), ...base64Forms(bytes)]);
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};
/** HTML has no one way to write it. */
const apostrophes = ['&#39;', '&#x27;', '&apos;'];

const isAscii = /^[\x00-\x7f]*$/;
const isLatin = /^[\x00-\xff]*$/;

/**
 * As UTF-8; as Latin-1 where that has all of its characters and others bytes for them, else as UTF-16 in either order. The
 * UTF-16 of what is Latin-1 has a null beside each character, as which it is found.
 */
function bytesOf(part: string): Buffer[] {
  const own = Buffer.from(part);
  if (isAscii.test(part)) return [own];
  if (isLatin.test(part)) return [own, Buffer.from(part, 'latin1')];
  return [own, Buffer.from(part, 'utf16le'), Buffer.from(part, 'utf16le').swap16()];
}

/** Its UTF-8 read as Latin-1: `Ã¼` for `ü`. */
function misread(part: string): string[] {
  if (isAscii.test(part)) return [];
  const latin = Buffer.from(part).toString('latin1');
  return [latin, latin.replace(/[\x80-\x9f]/g, (one) => windows.charAt(one.charCodeAt(0) - 0x80))];
}

/** Wherever the secret stands in a longer encoded text: the characters that it alone decides, at each of three offsets. */
function base64Forms(bytes: Buffer): string[] {
  return [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const own = encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
    return /[+/]/.test(own) ? [own, own.replaceAll('+', '-').replaceAll('/', '_')] : [own];
  });
}

function percentDecoded(text: string): string {
  return text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) =>
    Buffer.from(run.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}
