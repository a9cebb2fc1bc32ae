import { asciiHeader } from '../values.js';
import { addressSecrets } from './addresses.js';
import { isJson, leavesOf, type Leaf } from './json-leaves.js';
import { itemsOf, quotedIn, unquotedOf } from './quoted.js';
import { isPlace, isPublicAddress, isSetting, isTold } from './setting-names.js';

// What of a secret is looked for in an answer: all of it, and what a target makes of it that takes it apart. Values with a
// name count, but for those whose name is known to be a setting's (setting-names.ts).

/** The secret as it is and as a header carries it, and what a target makes of it that takes a header or a setting apart. */
export function partsOf(secret: string): string[] {
  const carried = asciiHeader(secret);
  return carried === secret ? partsIn(secret) : [...partsIn(secret), ...partsIn(carried)];
}

function partsIn(secret: string): string[] {
  const trimmed = secret.trim();
  const parts = credentialsIn(trimmed) ?? [
    ...passwordsIn(trimmed),
    ...(settingsIn(trimmed) ?? wordsIn(withoutLabels(trimmed))),
  ];
  return [secret, trimmed, ...parts];
}

/** What says in PEM what the key is, which every key has. */
const labels =
  /-----(?:BEGIN|END)[A-Z0-9 ]*-----|^(?:Proc-Type: ?4,ENCRYPTED|DEK-Info: ?[A-Z0-9-]+,[A-F0-9]+)\r?$/gm;

function withoutLabels(text: string): string {
  const bare = text.replace(labels, '');
  // A variable holds its lines in one, with `\n` between them.
  return bare === text ? text : bare.replace(/\\[rn]/g, '\n');
}

/** The names behind `?` in an address are not meant: what they name is read there. */
const nameBefore = /^(?!\w[\w+.:-]*:\/\/[^=]*\?)[^=]*=/;

/** Split at separators, and what stands in quotes in one piece besides: a target reads it either way. */
function wordsIn(text: string): string[] {
  const words = text.split(/[\s,;]+/);
  // `Bearer` alone is no secret.
  const own = words.length > 1 && /^[A-Za-z-]+$/.test(words[0] ?? '') ? words.slice(1) : words;
  // A value between `;`, or in a line of its own, may have blanks in it.
  const items = [...itemsOf(text).flat(), ...text.split(/\r?\n/)].map((item) => item.trim());
  const values = [...own, ...items].flatMap((word) => [word, word.replace(nameBefore, '').trim()]);
  return [...new Set([...values, ...quotedIn(text)])].flatMap(valuesOf).concat(addressSecrets(text));
}

function valuesOf(written: string): string[] {
  return unquotedOf(written).flatMap((one) => [one, ...passwordsIn(one)]);
}

/** Whatever else a text is, what stands in it as a password is one. */
function passwordsIn(text: string): string[] {
  return [...decodedCredential(text), ...addressSecrets(text), ...passwordBehindUser(text)];
}

/** Of `user:password`, and of `user/password@host`. */
function passwordBehindUser(text: string): string[] {
  const found = [/^[A-Za-z][^\s:/@]*:(?!\/\/)(\S+)$/, /^(?:[^\s/@]*:)?[^\s/:@]+\/(\S+)@/].map(
    (written) => written.exec(text)?.[1],
  );
  return found.filter((one) => one !== undefined);
}

/**
 * Of `Server=erp;User ID=finance;Password=x`, whose names may have blanks in them. Null: it is something else, or all of its
 * names are settings', so that no value may be told.
 */
function settingsIn(text: string): string[] | null {
  const readings = itemsOf(text).map(settingsOf);
  const found = readings.filter((one) => one !== null);
  return found.length === 0 ? null : found.flat();
}

function settingsOf(items: readonly string[]): string[] | null {
  const settings = items.map((item) => settingOf(item)).filter((one) => one !== null);
  const isOfPlace = settings.some(({ name }) => isPlace(name));
  if (settings.length < items.length || !isOfPlace || settings.every(({ name }) => isSetting(name)))
    return null;
  // Of several words under a name that nobody knows, a target may tell one.
  return settings.flatMap((one) => [
    ...namedParts(one),
    ...(isSetting(one.name) ? [] : one.value.split(/[\s,]+/).flatMap(valuesOf)),
  ]);
}

/** Null: it is none, as base64 that ends with `=` is none. */
function settingOf(text: string): Leaf | null {
  const [, name, value] = /^\s*([A-Za-z][\w .-]*)=(.*[^=\s].*)$/s.exec(text) ?? [];
  return name === undefined || value === undefined ? null : { name, value: value.trim() };
}

/** Their values may be several words, of which a target names one. */
const secretNames = /key|secret|token|pass|pwd|credential|signature|session|sid$/i;

/** `inner`: what the value says that is a credential of its own. */
function namedParts({ name, value }: Leaf, inner: readonly string[] | null = null): string[] {
  if (isTold(name, value)) return addressSecrets(value, isPublicAddress(name));
  const bare = withoutLabels(value);
  const lines = bare.split(bare === value ? /\r?\n/ : /\s+/);
  const words = secretNames.test(name) ? bare.split(/[\s,]+/) : [];
  const isList = value.includes('=') || /auth/i.test(name);
  return [
    ...[...new Set([value, ...lines, ...words])].flatMap(valuesOf),
    ...(inner ?? (isList ? wordsIn(bare) : [])),
  ];
}

/** Null: it is no JSON object or array. */
function credentialsIn(text: string): string[] | null {
  if (!(text.startsWith('{') || text.startsWith('[')) || !isJson(text)) return null;
  return leavesOf(text).flatMap((leaf) =>
    namedParts(leaf, credentialsIn(leaf.value.trim()) ?? settingsIn(leaf.value)),
  );
}

/** `user:password` of a basic credential, and the password alone. */
function decodedCredential(word: string): string[] {
  if (!/^[A-Za-z0-9+/]{8,}={0,2}$/.test(word)) return [];
  const text = Buffer.from(word, 'base64').toString('utf8');
  // Neither controls nor what is no UTF-8.
  if (/[\x00-\x1f\x7f\ufffd]/.test(text) || !text.includes(':')) return [];
  return [text, text.slice(text.indexOf(':') + 1)];
}
