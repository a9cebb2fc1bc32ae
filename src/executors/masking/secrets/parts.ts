import { isUtf8 } from 'node:buffer';
import { toAsciiHeader } from '../../values.js';
import { addressSecrets, decodeForm, querySecrets } from './addresses.js';
import { readableText } from '../decoding/decode.js';
import type { Steps } from '../find.js';
import { isJson, leavesOf, type Leaf } from './json-leaves.js';
import { itemsOf, quotedIn, unescapedOf, unquotedOf } from './quoted.js';
import {
  hasPassword,
  isServerName,
  isPublicAddress,
  isSecretName,
  isSetting,
  isToken,
  isUser,
  makeIsPlain,
  userSecrets,
} from './setting-names.js';
import { settingLists } from './settings.js';
import { leavesOfXml } from './xml-leaves.js';

// The parts of a secret that are looked for in an answer: the whole secret, and what a target gets that takes it apart. Values
// with a name count, unless the name is known as that of a plain setting (setting-names.ts).

/** How often base64 is unpacked: a variable may hold a credential in base64 that contains another. */
const maxUnpackings = 2;

/** The secret as it is and as a header carries it, the parts that a target takes from it, and the same of base64 in it. */
export function* partsOf(secret: string): Steps<string[]> {
  const written = new Set([secret, toAsciiHeader(secret)]);
  return [...new Set(yield* collectFromEach([...written], (text) => collectUnpacked(text, maxUnpackings)))];
}

/** Collects the parts of each item, with a turn for others before each. */
function* collectFromEach<T>(
  all: readonly T[],
  partsOfItem: (item: T) => readonly string[] | Steps<readonly string[]>,
): Steps<string[]> {
  const found: (readonly string[])[] = [];
  for (const item of all) {
    yield;
    const parts = partsOfItem(item);
    found.push('next' in parts ? yield* parts : parts);
  }
  return found.flat();
}

function* collectUnpacked(text: string, left: number): Steps<string[]> {
  const own = yield* ownPartsOf(text);
  const escaped = [...new Set(own)].filter((part) => escapedList.test(part));
  const parts = own.concat(
    yield* collectFromEach(escaped, (part) => secretsInList(decodeForm(part))),
    yield* collectFromEach(outermostXml(own), (xml) => collectFromEach(leavesOfXml(xml), leavesParts)),
  );
  if (left === 0) return parts;
  const whole = unpack(text);
  const texts = whole === null ? [...new Set(parts)].map(unpack) : [whole];
  const within = [...new Set(texts)].filter((found) => found !== null);
  const more = yield* collectFromEach(within, (inner) => collectUnpacked(inner, left - 1));
  return [...parts, ...within.flatMap(loginIn), ...more];
}

/** The XML among `all`, which are a text and its parts: the text itself where it is XML, else those of its parts that are. */
function outermostXml(all: readonly string[]): string[] {
  const found = [...new Set(all.map((text) => text.trim()))].filter((text) => text.startsWith('<'));
  return found[0] !== undefined && found[0] === all[0]?.trim() ? [found[0]] : found;
}

/** A list with an escaped `=`, `;` or `{`, as an ODBC connection string in the address of SQLAlchemy. */
const escapedList = /^[^\s/?]*%(?:3[bd]|7b)/i;

function* secretsInList(text: string): Steps<string[]> {
  return (yield* credentialsIn(text)) ?? (yield* settingsIn(text)) ?? [];
}

function* ownPartsOf(secret: string): Steps<string[]> {
  const trimmed = secret.trim();
  const parts = (yield* credentialsIn(trimmed)) ?? [
    ...passwordsIn(trimmed),
    ...((yield* settingsIn(trimmed)) ?? (yield* wordsIn(withoutLabels(trimmed)))),
  ];
  return [secret, trimmed, ...parts];
}

/** The text that a part holds in base64, or a credential in Latin-1; null: neither. */
function unpack(part: string): string | null {
  const word = part.replace(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]{8,}={0,2}$/.test(word)) return null;
  const bytes = Buffer.from(word, 'base64');
  const text = readableText(bytes);
  if (/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/.test(text)) return null;
  return isUtf8(bytes) || text.includes(':') ? text : null;
}

/** The secrets of a basic credential, `user:password`. */
function loginIn(text: string): string[] {
  const [, user, password] = /^([^:\n]*):([^\n]*)$/.exec(text) ?? [];
  return user === undefined || password === undefined ? [] : [password, ...userSecrets(user, password)];
}

/** The labels of PEM, which are alike in all keys. */
const labels =
  /-----(?:BEGIN|END)[A-Z0-9 ]*-----|^(?:Proc-Type: ?4,ENCRYPTED|DEK-Info: ?[A-Z0-9-]+,[A-F0-9]+)\r?$/gm;

function withoutLabels(text: string): string {
  const bare = text.replace(labels, '');
  // Variables often hold the lines of a PEM in one line, with `\n` between them.
  return bare === text ? text : bare.replace(/\\[rn]/g, '\n');
}

/** A name and its `=`, but not a name in the query of an address, whose values are read as the address's. */
const nameBefore = /^(?!\w[\w+.:-]*:\/\/[^=]*\?)[^=]*=/;

/** The words of a text, split at separators, and besides each quotation in one piece: targets read it either way. */
function* wordsIn(text: string): Steps<string[]> {
  const words = text.split(/[\s,;]+/);
  // The first word may name the scheme, as `Bearer`, which is no secret.
  const own = words.length > 1 && /^[A-Za-z-]+$/.test(words[0] ?? '') ? words.slice(1) : words;
  // A value between `;`, in a line of its own, or with backslashes may contain blanks.
  const escaped = text.split(/(?<!\\)[\s,;]+/).filter((word) => word.includes('\\'));
  const items = [...(yield* itemsOf(text)).flat(), ...text.split(/\r?\n/), ...escaped].map((item) =>
    item.trim(),
  );
  const values = [...own, ...items].flatMap((word) => [
    ...[word, word.replace(nameBefore, '').trim()],
    bracketless(word),
  ]);
  const found = yield* collectFromEach([...new Set([...values, ...(yield* quotedIn(text))])], readingsOf);
  return found.concat(addressSecrets(text));
}

/** The word without brackets around it; looks at each character once. */
function bracketless(word: string): string {
  let [start, end] = [0, word.length];
  while (start < end && '[{('.includes(word.charAt(start))) start += 1;
  while (start < end && ')}]'.includes(word.charAt(end - 1))) end -= 1;
  return word.slice(start, end);
}

function readingsOf(written: string): string[] {
  return unquotedOf(written).flatMap((value) => [value, ...passwordsIn(value)]);
}

/** What is written as a password in a text, whatever else the text is. */
function passwordsIn(text: string): string[] {
  return [...addressSecrets(text), ...querySecrets(text), ...passwordBehindUser(text)];
}

/** How a password is written behind a user, and behind what may come before the user: a host, a port, a database. */
const behindUser = [
  /^[^:]*:(.+)$/s,
  /:([^:]+)$/s,
  /^[^|]*\|(.+)$/s,
  /\|([^|]+)$/s,
  /^(?:[^/@]*:)?[^/:@]+\/(.+)@/s,
];

/** The last field of `host:port:user:password` and of the same with `|`. A separator behind a backslash is a plain character. */
function lastFields(word: string): string[] {
  const unescaped = word.replace(/\\./gs, '__');
  const starts = [':', '|'].map((mark) => unescaped.lastIndexOf(mark) + 1);
  return starts.filter((start) => start > 0).map((start) => word.slice(start));
}

/** The password of `user:password`, `user|password`, `user/password@host` and the like, and the user where the user may be the secret. */
function passwordBehindUser(word: string): string[] {
  if (/\s|:\/\//.test(word)) return [];
  const written = behindUser
    .map((pattern) => pattern.exec(word)?.[1])
    .filter((password) => password !== undefined);
  const found = [...written, ...lastFields(word)].flatMap(unescapedOf);
  const beforeHost = found.flatMap((field) => [/^(.+)@/s.exec(field)?.[1], /^([^@]+)@/s.exec(field)?.[1]]);
  const [, user = '', password = ''] = /^([^:]+):(?!\d+$)(.{0,5})$/s.exec(word) ?? [];
  const users = isToken(user) ? userSecrets(user, password) : [];
  return [...found, ...beforeHost.filter((password) => password !== undefined), ...users];
}

/**
 * The parts of a list of settings such as `Server=erp;User ID=finance;Password=x`. A list is told from a header by the name of a
 * server in it, or, in a text of several lines, by the name of a secret. Null: the text is something else, or all names in it are
 * those of settings, so that no value is known to be plain.
 */
function* settingsIn(text: string): Steps<string[] | null> {
  const isFile = text.trim().includes('\n');
  const found = (yield* settingLists(text)).filter(
    (list) =>
      list.some(({ name }) => isServerName(name) || (isFile && isSecretName(name))) &&
      !list.every(({ name, value }) => value === '' || name === '#' || isSetting(name)),
  );
  if (found.length === 0) return null;
  // Most ways to read the text find the same values.
  const all = [...new Map(found.flat().map((leaf) => [JSON.stringify(leaf), leaf])).values()];
  const isPlain = makeIsPlain(all);
  const isBeside = hasPassword(all);
  // A value without a name is a single word, and has no parts inside.
  const hidden = all.filter((leaf) => leaf.name !== '' && !isPlain(leaf));
  return [
    ...(yield* collectFromEach(all, (leaf) =>
      isPlain(leaf) ? plainParts(leaf) : namedParts(leaf, isBeside),
    )),
    ...(yield* collectFromEach(hidden, (leaf) => innerParts(leaf, isBeside))),
  ];
}

/** The parts inside a value that is JSON, a list or several words: under an unknown name, a target may repeat any of them. */
function* innerParts({ name, value }: Leaf, isBeside: boolean): Steps<string[]> {
  for (const text of unquotedOf(value)) {
    const leaves = yield* credentialsIn(text.trim());
    if (leaves !== null) return leaves;
  }
  const bare = withoutLabels(value);
  const words = [...bare.split(/[\s,]+/), ...bare.split(/[\s,;|()[\]{}]+/), ...(yield* quotedIn(bare))];
  const isName = isBeside && isFullName(name, value);
  const looked = isName ? words.filter(isToken) : [...new Set([...words, ...words.flatMap(tokensIn)])];
  return yield* collectFromEach(looked, readingsOf);
}

/** Is it a person's name under the name of a user: words of letters, short numbers and mail addresses? */
function isFullName(name: string, value: string): boolean {
  const words = value.replace(/^["'{]|["'}]$/g, '').split(/[\s,&()\\]+/);
  return isUser(name) && words.every((word) => word === '' || wordOfName.test(word));
}

/** A word of a person's name, also as a header carries it (`K%C3%B6ln`). */
const wordOfName =
  /^((?:\p{L}|%[89A-F][\dA-F])(?:[\p{L}.'’-]|%[89A-F][\dA-F])*|\p{N}{1,4}|<?[\p{L}\p{N}._+-]+@[\p{L}\p{N}-]+(\.[\p{L}\p{N}-]+)+>?)$/u;

/** The tokens in `X:Y:Z`, `X/Y`, `a=X&b=Y` and `${NAME:-X}`. Other pieces may be parts of a path or of a name. */
function tokensIn(word: string): string[] {
  return word.includes('://') ? [] : word.split(/(?::-|[:/&=])+/).filter(isToken);
}

function plainParts({ name, value }: Leaf): string[] {
  return addressSecrets(value, isPublicAddress(name));
}

/** The parts of a value with a name. `isBeside`: the same list has a password. `inner`: the parts where the value is a credential of its own. */
function* namedParts(
  { name, value }: Leaf,
  isBeside: boolean,
  inner: readonly string[] | null = null,
): Steps<string[]> {
  const bare = withoutLabels(value);
  const lines = bare.split(bare === value ? /\r?\n/ : /\s+/);
  // The value of a secret or a user may be several words, of which a target may repeat any.
  const split = isSecretName(name) || isUser(name) ? bare.split(/[\s,]+/) : [];
  const words = isBeside && isFullName(name, value) ? split.filter(isToken) : split;
  const isList = value.includes('=') || /auth/i.test(name);
  return [
    ...(yield* collectFromEach([...new Set([value, ...lines, ...words])], readingsOf)),
    ...(inner ?? (isList ? yield* wordsIn(bare) : [])),
  ];
}

/** The parts of a text that is a JSON object or array; null: it is none. */
function* credentialsIn(text: string): Steps<string[] | null> {
  if (!(text.startsWith('{') || text.startsWith('[')) || !isJson(text)) return null;
  return yield* leavesParts(leavesOf(text));
}

function* leavesParts(leaves: readonly Leaf[]): Steps<string[]> {
  const isPlain = makeIsPlain(leaves);
  const isBeside = hasPassword(leaves);
  return yield* collectFromEach(leaves, function* (leaf) {
    const inner = (yield* credentialsIn(leaf.value.trim())) ?? (yield* settingsIn(leaf.value));
    return isPlain(leaf) ? plainParts(leaf) : yield* namedParts(leaf, isBeside, inner);
  });
}
