import { isUtf8 } from 'node:buffer';
import { asciiHeader } from '../values.js';
import { addressSecrets, formDecoded, querySecrets } from './addresses.js';
import { readableText } from './decode.js';
import type { Steps } from './find.js';
import { isJson, leavesOf, type Leaf } from './json-leaves.js';
import { itemsOf, quotedIn, unescapedOf, unquotedOf } from './quoted.js';
import {
  hasPassword,
  isPlace,
  isPublicAddress,
  isSecretName,
  isSetting,
  isToken,
  isUser,
  toldIn,
  userSecrets,
} from './setting-names.js';
import { settingLists } from './settings.js';
import { leavesOfXml } from './xml-leaves.js';

// What of a secret is looked for in an answer: all of it, and what a target makes of it that takes it apart. Values with a
// name count, but for those whose name is known to be a setting's (setting-names.ts).

/** A variable holds a credential in base64, and that has another in it. */
const maxUnpackings = 2;

/** The secret as it is and as a header carries it, what a target makes of it that takes it apart, and the same of what is base64 in it. */
export function* partsOf(secret: string): Steps<string[]> {
  const written = new Set([secret, asciiHeader(secret)]);
  return [...new Set(yield* ofEach([...written], (one) => unpackedParts(one, maxUnpackings)))];
}

/** Others have a turn before each. */
function* ofEach<T>(
  all: readonly T[],
  partsOfOne: (one: T) => readonly string[] | Steps<readonly string[]>,
): Steps<string[]> {
  const found: (readonly string[])[] = [];
  for (const one of all) {
    yield;
    const parts = partsOfOne(one);
    found.push('next' in parts ? yield* parts : parts);
  }
  return found.flat();
}

function* unpackedParts(text: string, left: number): Steps<string[]> {
  const own = yield* partsIn(text);
  const escaped = [...new Set(own)].filter((one) => escapedList.test(one));
  const parts = own.concat(
    yield* ofEach(escaped, (one) => listedIn(formDecoded(one))),
    yield* ofEach(outermostXml(own), (one) => ofEach(leavesOfXml(one), leavesParts)),
  );
  if (left === 0) return parts;
  const whole = unpacked(text);
  const texts = whole === null ? [...new Set(parts)].map(unpacked) : [whole];
  const within = [...new Set(texts)].filter((one) => one !== null);
  const more = yield* ofEach(within, (one) => unpackedParts(one, left - 1));
  return [...parts, ...within.flatMap(loginIn), ...more];
}

/** `all`: the text and its parts, which may be XML if it is none. */
function outermostXml(all: readonly string[]): string[] {
  const found = [...new Set(all.map((one) => one.trim()))].filter((one) => one.startsWith('<'));
  return found[0] !== undefined && found[0] === all[0]?.trim() ? [found[0]] : found;
}

/** With a `=`, `;` or `{` that is escaped, as SQLAlchemy has a connection string for ODBC in its address. */
const escapedList = /^[^\s/?]*%(?:3[bd]|7b)/i;

function* listedIn(text: string): Steps<string[]> {
  return (yield* credentialsIn(text)) ?? (yield* settingsIn(text)) ?? [];
}

function* partsIn(secret: string): Steps<string[]> {
  const trimmed = secret.trim();
  const parts = (yield* credentialsIn(trimmed)) ?? [
    ...passwordsIn(trimmed),
    ...((yield* settingsIn(trimmed)) ?? (yield* wordsIn(withoutLabels(trimmed)))),
  ];
  return [secret, trimmed, ...parts];
}

/** What base64 says: text, or a credential in Latin-1. Null: it is none of them. */
function unpacked(part: string): string | null {
  const word = part.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]{8,}={0,2}$/.test(word)) return null;
  const bytes = Buffer.from(word, 'base64');
  const text = readableText(bytes);
  if (/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/.test(text)) return null;
  return isUtf8(bytes) || text.includes(':') ? text : null;
}

/** Of a basic credential. */
function loginIn(text: string): string[] {
  const [, user, password] = /^([^:\n]*):([^\n]*)$/.exec(text) ?? [];
  return user === undefined || password === undefined ? [] : [password, ...userSecrets(user, password)];
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
function* wordsIn(text: string): Steps<string[]> {
  const words = text.split(/[\s,;]+/);
  // `Bearer` alone is no secret.
  const own = words.length > 1 && /^[A-Za-z-]+$/.test(words[0] ?? '') ? words.slice(1) : words;
  // A value between `;`, in a line of its own, or behind backslashes, may have blanks in it.
  const escaped = text.split(/(?<!\\)[\s,;]+/).filter((word) => word.includes('\\'));
  const items = [...(yield* itemsOf(text)).flat(), ...text.split(/\r?\n/), ...escaped].map((item) =>
    item.trim(),
  );
  const values = [...own, ...items].flatMap((word) => [
    ...[word, word.replace(nameBefore, '').trim()],
    bracketless(word),
  ]);
  const found = yield* ofEach([...new Set([...values, ...(yield* quotedIn(text))])], valuesOf);
  return found.concat(addressSecrets(text));
}

/** In one look at each character. */
function bracketless(word: string): string {
  let [start, end] = [0, word.length];
  while (start < end && '[{('.includes(word.charAt(start))) start += 1;
  while (start < end && ')}]'.includes(word.charAt(end - 1))) end -= 1;
  return word.slice(start, end);
}

function valuesOf(written: string): string[] {
  return unquotedOf(written).flatMap((one) => [one, ...passwordsIn(one)]);
}

/** Whatever else a text is, what stands in it as a password is one. */
function passwordsIn(text: string): string[] {
  return [...addressSecrets(text), ...querySecrets(text), ...passwordBehindUser(text)];
}

/** How a password stands behind a user, and behind what may be before that: a host, a port, a database. */
const behindUser = [
  /^[^:]*:(.+)$/s,
  /:([^:]+)$/s,
  /^[^|]*\|(.+)$/s,
  /\|([^|]+)$/s,
  /^(?:[^/@]*:)?[^/:@]+\/(.+)@/s,
];

/** Of `host:port:user:password`, in which a mark behind a backslash is a character like others. */
function lastFields(word: string): string[] {
  const unescaped = word.replace(/\\./gs, '__');
  const starts = [':', '|'].map((mark) => unescaped.lastIndexOf(mark) + 1);
  return starts.filter((start) => start > 0).map((start) => word.slice(start));
}

/** Of `user:password`, `user|password`, `user/password@host` and the like, and the user where it alone may be the secret. */
function passwordBehindUser(word: string): string[] {
  if (/\s|:\/\//.test(word)) return [];
  const written = behindUser.map((one) => one.exec(word)?.[1]).filter((one) => one !== undefined);
  const found = [...written, ...lastFields(word)].flatMap(unescapedOf);
  const beforeHost = found.flatMap((one) => [/^(.+)@/s.exec(one)?.[1], /^([^@]+)@/s.exec(one)?.[1]]);
  const [, user = '', password = ''] = /^([^:]+):(?!\d+$)(.{0,5})$/s.exec(word) ?? [];
  const users = isToken(user) ? userSecrets(user, password) : [];
  return [...found, ...beforeHost.filter((one) => one !== undefined), ...users];
}

/**
 * Of `Server=erp;User ID=finance;Password=x`, and of other lists of settings: where it is no header, a name says so, or a name
 * of a secret does in one of several lines. Null: it is something else, or all of its names are settings', so that no value may be
 * told.
 */
function* settingsIn(text: string): Steps<string[] | null> {
  const isFile = text.trim().includes('\n');
  const found = (yield* settingLists(text)).filter(
    (list) =>
      list.some(({ name }) => isPlace(name) || (isFile && isSecretName(name))) &&
      !list.every(({ name, value }) => value === '' || name === '#' || isSetting(name)),
  );
  if (found.length === 0) return null;
  // Most ways to read it find the same.
  const all = [...new Map(found.flat().map((one) => [JSON.stringify(one), one])).values()];
  const isTold = toldIn(all);
  const isBeside = hasPassword(all);
  // What has no name is one word.
  const hidden = all.filter((one) => one.name !== '' && !isTold(one));
  return [
    ...(yield* ofEach(all, (one) => (isTold(one) ? toldParts(one) : namedParts(one, isBeside)))),
    ...(yield* ofEach(hidden, (one) => innerParts(one, isBeside))),
  ];
}

/** Of a value that is JSON, a list or several words: under a name that nobody knows, a target may tell one of them. */
function* innerParts({ name, value }: Leaf, isBeside: boolean): Steps<string[]> {
  for (const one of unquotedOf(value)) {
    const leaves = yield* credentialsIn(one.trim());
    if (leaves !== null) return leaves;
  }
  const bare = withoutLabels(value);
  const words = [...bare.split(/[\s,]+/), ...bare.split(/[\s,;|()[\]{}]+/), ...(yield* quotedIn(bare))];
  const isTold = isBeside && isFullName(name, value);
  const looked = isTold ? words.filter(isToken) : [...new Set([...words, ...words.flatMap(tokensIn)])];
  return yield* ofEach(looked, valuesOf);
}

/** Of a user: words of letters, short numbers and mail addresses. */
function isFullName(name: string, value: string): boolean {
  const words = value.replace(/^["'{]|["'}]$/g, '').split(/[\s,&()\\]+/);
  return isUser(name) && words.every((word) => word === '' || wordOfName.test(word));
}

/** Also as a header carries it (`K%C3%B6ln`). */
const wordOfName =
  /^((?:\p{L}|%[89A-F][\dA-F])(?:[\p{L}.'’-]|%[89A-F][\dA-F])*|\p{N}{1,4}|<?[\p{L}\p{N}._+-]+@[\p{L}\p{N}-]+(\.[\p{L}\p{N}-]+)+>?)$/u;

/** Of `X:Y:Z`, `X/Y`, `a=X&b=Y` and `${NAME:-X}`. What is no token may be a part of a path or of a name. */
function tokensIn(word: string): string[] {
  return word.includes('://') ? [] : word.split(/(?::-|[:/&=])+/).filter(isToken);
}

function toldParts({ name, value }: Leaf): string[] {
  return addressSecrets(value, isPublicAddress(name));
}

/** `isBeside`: a password stands in the same list; `inner`: what the value says that is a credential of its own. */
function* namedParts(
  { name, value }: Leaf,
  isBeside: boolean,
  inner: readonly string[] | null = null,
): Steps<string[]> {
  const bare = withoutLabels(value);
  const lines = bare.split(bare === value ? /\r?\n/ : /\s+/);
  // Their values may be several words, of which a target names one.
  const split = isSecretName(name) || isUser(name) ? bare.split(/[\s,]+/) : [];
  const words = isBeside && isFullName(name, value) ? split.filter(isToken) : split;
  const isList = value.includes('=') || /auth/i.test(name);
  return [
    ...(yield* ofEach([...new Set([value, ...lines, ...words])], valuesOf)),
    ...(inner ?? (isList ? yield* wordsIn(bare) : [])),
  ];
}

/** Null: it is no JSON object or array. */
function* credentialsIn(text: string): Steps<string[] | null> {
  if (!(text.startsWith('{') || text.startsWith('[')) || !isJson(text)) return null;
  return yield* leavesParts(leavesOf(text));
}

function* leavesParts(leaves: readonly Leaf[]): Steps<string[]> {
  const isTold = toldIn(leaves);
  const isBeside = hasPassword(leaves);
  return yield* ofEach(leaves, function* (leaf) {
    const inner = (yield* credentialsIn(leaf.value.trim())) ?? (yield* settingsIn(leaf.value));
    return isTold(leaf) ? toldParts(leaf) : yield* namedParts(leaf, isBeside, inner);
  });
}
