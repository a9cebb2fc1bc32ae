import { isUtf8 } from 'node:buffer';

// What a text says when its escapes of one kind are undone once, in place: everybody waits for it, and whoever wrote the text
// decides how often it is done.

/** Returns how long the text is after it: as long as before only where it had nothing to undo. */
export type Undo = (units: Uint16Array, length: number) => number;

const [percent, equals, backslash, blank, tab, lineFeed, carriageReturn] = [
  0x25, 0x3d, 0x5c, 0x20, 0x09, 0x0a, 0x0d,
];
const [letterN, letterR, letterU, plus] = [0x6e, 0x72, 0x75, 0x2b];

export const undoPercent: Undo = (units, length) => undoBytes(units, length, percent);

/** As in mail: bytes are written `=3D`, and a line that ends with `=` goes on. */
export const undoQuotedPrintable: Undo = (units, length) =>
  undoBytes(units, joinSoftBreaks(units, length), equals);

function undoBytes(units: Uint16Array, length: number, mark: number): number {
  let to = 0;
  for (let at = 0; at < length;) {
    if (byteAt(units, at, length, mark) === -1) {
      units[to++] = units[at++] ?? 0;
      continue;
    }
    const end = afterBytes(units, at, length, mark);
    to = writeBytes(units, at, end, to);
    at = end;
  }
  return to;
}

function joinSoftBreaks(units: Uint16Array, length: number): number {
  let to = 0;
  for (let at = 0; at < length;) {
    const breaks = units[at + 1] === carriageReturn ? 2 : 1;
    if (units[at] === equals && at + breaks < length && units[at + breaks] === lineFeed) at += breaks + 1;
    else units[to++] = units[at++] ?? 0;
  }
  return to;
}

export const undoBackslash: Undo = (units, length) => {
  let to = 0;
  for (let at = 0; at < length;) {
    const next = at + 1 < length ? (units[at + 1] ?? 0) : -1;
    if (units[at] !== backslash || next === -1) {
      units[to++] = units[at++] ?? 0;
      continue;
    }
    const hex = next === letterU ? hexAt(units, at + 2, at + 6, length) : -1;
    units[to++] = hex === -1 ? escaped(next) : hex;
    at += hex === -1 ? 2 : 6;
  }
  return to;
};

/** As in a form, where a blank is written `+`: what has none is undone already. */
export const undoForm: Undo = (units, length) => {
  const first = units.subarray(0, length).indexOf(plus);
  if (first === -1) return length;
  for (let at = first; at < length; at += 1) if (units[at] === plus) units[at] = blank;
  return undoPercent(units, length);
};

/** Takes out what breaks a text into lines, and the blanks after it. */
export const joinLines: Undo = (units, length) => {
  let to = 0;
  for (let at = 0; at < length;) {
    if (!isBreak(units[at] ?? -1)) {
      units[to++] = units[at++] ?? 0;
      continue;
    }
    while (at < length && isBreak(units[at] ?? -1)) at += 1;
    while (at < length && (units[at] === blank || units[at] === tab)) at += 1;
  }
  return to;
};

function isBreak(unit: number): boolean {
  return unit === lineFeed || unit === carriageReturn || unit === 0;
}

function escaped(unit: number): number {
  if (unit === letterN) return lineFeed;
  return unit === letterR ? carriageReturn : unit;
}

/** The byte that a `%41` says, or another mark before it; -1: there is none at this place. */
function byteAt(units: Uint16Array, at: number, length: number, mark: number): number {
  return units[at] === mark ? hexAt(units, at + 1, at + 3, length) : -1;
}

function hexAt(units: Uint16Array, from: number, until: number, length: number): number {
  if (until > length) return -1;
  let value = 0;
  for (let at = from; at < until; at += 1) {
    const digit = hexDigit(units[at] ?? 0);
    if (digit === -1) return -1;
    value = value * 16 + digit;
  }
  return value;
}

function hexDigit(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30;
  const small = unit | 0x20;
  return small >= 0x61 && small <= 0x66 ? small - 0x57 : -1;
}

function afterBytes(units: Uint16Array, start: number, length: number, mark: number): number {
  let at = start;
  while (byteAt(units, at, length, mark) !== -1) at += 3;
  return at;
}

/** Bytes that stand together are UTF-8 together; those that are not UTF-8 are Latin-1, each. */
function writeBytes(units: Uint16Array, from: number, end: number, start: number): number {
  let to = start;
  for (let at = from; at < end; at += 3) {
    const byte = hexAt(units, at + 1, at + 3, end);
    if (byte > 0x7f) return writeText(units, at, end, to);
    units[to++] = byte;
  }
  return to;
}

function writeText(units: Uint16Array, from: number, end: number, start: number): number {
  const bytes = Buffer.allocUnsafe((end - from) / 3);
  for (let at = 0; at < bytes.length; at += 1)
    bytes[at] = hexAt(units, from + at * 3 + 1, from + at * 3 + 3, end);
  const text = textOf(bytes);
  for (let at = 0; at < text.length; at += 1) units[start + at] = text.charCodeAt(at);
  return start + text.length;
}

/** What bytes say that somebody wrote as UTF-8 or as Latin-1: never more units than bytes. */
export function textOf(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < bytes.length;) {
    const size = sequenceAt(bytes, at);
    if (size === 0) {
      parts.push(bytes.toString('utf8', from, at), bytes.toString('latin1', at, at + 1));
      from = at + 1;
    }
    at += Math.max(size, 1);
  }
  return [...parts, bytes.toString('utf8', from)].join('');
}

/** How many bytes of UTF-8 stand for one character there; 0: it is none. */
function sequenceAt(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return isUtf8(bytes.subarray(at, at + size)) && at + size <= bytes.length ? size : 0;
}
