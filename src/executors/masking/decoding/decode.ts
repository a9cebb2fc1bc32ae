import { isUtf8 } from 'node:buffer';

// Undoes the escapes of one kind in a text, once, in place. Everybody waits while it is done, and the author of the text decides
// how often: so each function here reads a unit (of UTF-16) a fixed number of times, whatever is beside it.

/** Gives the length of the text afterwards: as long as before only where there was nothing to undo. */
export type Undo = (units: Uint16Array, length: number) => number;

const [percent, equals, backslash, blank, tab, lineFeed, carriageReturn] = [
  0x25, 0x3d, 0x5c, 0x20, 0x09, 0x0a, 0x0d,
];
const [letterN, letterR, letterU, plus] = [0x6e, 0x72, 0x75, 0x2b];

/** `%41`, and `%u0041` as old scripts write it. */
export const undoPercent: Undo = (units, length) => {
  let to = 0;
  for (let at = 0; at < length;) {
    const unit =
      units[at + 1] === letterU && units[at] === percent ? hexAt(units, at + 2, at + 6, length) : -1;
    if (unit !== -1) {
      units[to++] = unit;
      at += 6;
      continue;
    }
    const end = afterBytes(units, at, length, percent);
    if (end === at) units[to++] = units[at++] ?? 0;
    else to = writeBytes(units, at, end, to);
    at = Math.max(at, end);
  }
  return to;
};

/** Quoted-printable, as in mail: bytes are written `=3D`, and a line that ends with `=` goes on in the next. */
export const undoQuotedPrintable: Undo = (units, given) => {
  const length = joinSoftBreaks(units, given);
  let to = 0;
  for (let at = 0; at < length;) {
    const end = afterBytes(units, at, length, equals);
    if (end === at) units[to++] = units[at++] ?? 0;
    else to = writeBytes(units, at, end, to);
    at = Math.max(at, end);
  }
  return to;
};

/** Removes soft line breaks. Mail servers may leave blanks at the end of a line, and a stream of events writes `data:` before each line. */
function joinSoftBreaks(units: Uint16Array, length: number): number {
  let to = 0;
  for (let at = 0; at < length;) {
    const end = units[at] === equals ? afterSoftBreak(units, at, length) : at;
    if (end === at) units[to++] = units[at++] ?? 0;
    else at = end;
  }
  return to;
}

function afterSoftBreak(units: Uint16Array, start: number, length: number): number {
  let at = start + 1;
  while (at < length && (units[at] === blank || units[at] === tab)) at += 1;
  if (at + 1 < length && units[at] === carriageReturn) at += 1;
  return at < length && units[at] === lineFeed ? afterData(units, at + 1, length) : start;
}

/** Behind `data:` and one blank, which belong to the stream of events; further blanks belong to the mail. */
function afterData(units: Uint16Array, start: number, length: number): number {
  const at = afterDataWord(units, start, length);
  return at > start && at < length && units[at] === blank ? at + 1 : at;
}

/** As in JSON and in a shell: `\u0041`, `\n` and `\r`; any other character behind a backslash is itself. */
export const undoBackslash: Undo = (units, length) => {
  let to = 0;
  for (let at = 0; at < length;) {
    const next = at + 1 < length ? (units[at + 1] ?? 0) : -1;
    if (units[at] !== backslash || next === -1) {
      units[to++] = units[at++] ?? 0;
      continue;
    }
    const hex = next === letterU ? hexAt(units, at + 2, at + 6, length) : -1;
    units[to++] = hex === -1 ? readEscape(next) : hex;
    at += hex === -1 ? 2 : 6;
  }
  return to;
};

/** As in a form, where a blank is written `+`. A text without a `+` is left to `undoPercent`. */
export const undoForm: Undo = (units, length) => {
  const first = units.subarray(0, length).indexOf(plus);
  if (first === -1) return length;
  for (let at = first; at < length; at += 1) if (units[at] === plus) units[at] = blank;
  return undoPercent(units, length);
};

/**
 * Joins the lines of a text: removes line breaks, the `data:` that a stream of events writes before each line, and all blanks. A
 * text that is broken at a blank loses that blank, so blanks cannot be compared.
 */
export const joinLines: Undo = (units, length) => {
  let to = 0;
  for (let at = 0; at < length;) {
    const unit = units[at] ?? -1;
    if (isBreak(unit)) at = afterBreak(units, at, length);
    else if (unit === blank || unit === tab) at += 1;
    else {
      units[to++] = unit;
      at += 1;
    }
  }
  return to;
};

const data = Uint16Array.from('data:', (character) => character.charCodeAt(0));

export function afterBreak(units: Uint16Array, start: number, length: number): number {
  let at = start;
  while (at < length && isBreak(units[at] ?? -1)) at += 1;
  at = afterDataWord(units, at, length);
  while (at < length && (units[at] === blank || units[at] === tab)) at += 1;
  return at;
}

/** The index behind the `data:` at `at`; `at` itself where there is none. */
function afterDataWord(units: Uint16Array, at: number, length: number): number {
  const isThere = at + data.length <= length && data.every((unit, index) => units[at + index] === unit);
  return isThere ? at + data.length : at;
}

export function isBreak(unit: number): boolean {
  return unit === lineFeed || unit === carriageReturn || unit === 0;
}

function readEscape(unit: number): number {
  if (unit === letterN) return lineFeed;
  return unit === letterR ? carriageReturn : unit;
}

/** The number that the hex digits from `from` to `until` write; -1: not all of them are hex digits. */
export function hexAt(units: Uint16Array, from: number, until: number, length: number): number {
  if (until > length) return -1;
  let value = 0;
  for (let at = from; at < until; at += 1) {
    const digit = hexDigit(units[at] ?? 0);
    if (digit === -1) return -1;
    value = value * 16 + digit;
  }
  return value;
}

export function hexDigit(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30;
  const small = unit | 0x20;
  return small >= 0x61 && small <= 0x66 ? small - 0x57 : -1;
}

/** The index behind all consecutive bytes that are written like `%41`, with `mark` for the `%`. */
function afterBytes(units: Uint16Array, start: number, length: number, mark: number): number {
  let at = start;
  while (at < length && units[at] === mark && hexAt(units, at + 1, at + 3, length) !== -1) at += 3;
  return at;
}

function writeBytes(units: Uint16Array, from: number, end: number, start: number): number {
  let to = start;
  for (let at = from; at < end; at += 3) units[to++] = hexAt(units, at + 1, at + 3, end);
  return readBytes(units, start, to);
}

/**
 * Decodes bytes, one in each unit, in place: sequences of UTF-8 as UTF-8, and every other byte as Latin-1. Gives the index behind
 * the decoded text.
 */
export function readBytes(units: Uint16Array, from: number, end: number): number {
  let to = from;
  for (let at = from; at < end;) {
    const size = sizeAt(units, at, end);
    to = writeCode(units, codeOf(units, at, size), to);
    at += size;
  }
  return to;
}

/**
 * Bytes of an unknown charset as text for people: sequences of UTF-8 as UTF-8, every other byte as Latin-1, so that a secret in
 * them is still found.
 */
export function readableText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  const units = Uint16Array.from(bytes);
  const length = readBytes(units, 0, units.length);
  return Buffer.from(units.buffer, 0, 2 * length).toString('utf16le');
}

/** The characters of Windows-1252 from 0x80 to 0x9f, where Latin-1 has control characters, which no text contains. */
export const windows = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

/** A text that was decoded as Latin-1, as if it had been decoded as Windows-1252. */
export function asWindows1252(latin: string): string {
  return latin.replace(/[\x80-\x9f]/g, (character) => windows.charAt(character.charCodeAt(0) - 0x80));
}

/** How many bytes make up the character at `at`. */
function sizeAt(units: Uint16Array, at: number, end: number): number {
  const first = units[at] ?? 0;
  const size = first < 0xc2 || first > 0xf4 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (size === 1 || at + size > end) return 1;
  for (let next = at + 1; next < at + size; next += 1) if (((units[next] ?? 0) & 0xc0) !== 0x80) return 1;
  const code = codeOf(units, at, size);
  const isTooLong = code < (size === 2 ? 0x80 : size === 3 ? 0x800 : 0x10000);
  return isTooLong || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 1 : size;
}

function codeOf(units: Uint16Array, at: number, size: number): number {
  const first = units[at] ?? 0;
  if (size === 1) return first;
  let code = first & (0xff >> (size + 1));
  for (let next = at + 1; next < at + size; next += 1) code = (code << 6) | ((units[next] ?? 0) & 0x3f);
  return code;
}

/** Writes a character at `to` and gives the index behind it. It never takes more units than its bytes, or its entity, did. */
export function writeCode(units: Uint16Array, code: number, to: number): number {
  if (code < 0x10000) {
    units[to] = code;
    return to + 1;
  }
  units[to] = 0xd800 + ((code - 0x10000) >> 10);
  units[to + 1] = 0xdc00 + ((code - 0x10000) & 0x3ff);
  return to + 2;
}
