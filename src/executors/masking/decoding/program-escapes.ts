import { hexAt, hexDigit, readBytes, writeCode, type Undo } from './decode.js';

// The escapes of programming languages, which are seldom inside other escapes.

const [backslash, zero, three, seven, openBrace, closeBrace] = [0x5c, 0x30, 0x33, 0x37, 0x7b, 0x7d];
const [letterU, capitalU, letterX] = [0x75, 0x55, 0x78];

/** The characters that letters behind a backslash stand for. */
const letters: ReadonlyMap<number, number> = new Map(
  Object.entries({ n: '\n', r: '\r', t: '\t', b: '\b', f: '\f', v: '\v', a: '\x07', e: '\x1b' }).map(
    ([name, character]) => [name.charCodeAt(0), character.charCodeAt(0)],
  ),
);

/** As in C, Python, JavaScript and printed bytes: `\x41`, `\101`, `\u{41}`, `\U00000041`. Consecutive bytes are decoded together. */
export const undoCodes: Undo = (units, length) => {
  let to = 0;
  for (let at = 0; at < length;) {
    if (units[at] !== backslash || at + 1 >= length) {
      units[to++] = units[at++] ?? 0;
      continue;
    }
    const start = to;
    for (let end = afterByte(units, at, length); end !== at; end = afterByte(units, at, length)) {
      units[to++] = byteOf(units, at, end);
      at = end;
    }
    if (to > start) {
      to = readBytes(units, start, to);
      continue;
    }
    const end = afterPoint(units, at, length);
    if (end === at) {
      const next = units[at + 1] ?? 0;
      units[to++] = letters.get(next) ?? next;
      at += 2;
    } else {
      to = writeCode(units, pointOf(units, at, end), to);
      at = end;
    }
  }
  return to;
};

/** The index behind a `\x41` or `\101` at `at`; `at` itself where there is none. */
function afterByte(units: Uint16Array, at: number, length: number): number {
  if (units[at] !== backslash) return at;
  if (units[at + 1] === letterX) return hexAt(units, at + 2, at + 4, length) === -1 ? at : at + 4;
  const most = at + ((units[at + 1] ?? 0) <= three ? 4 : 3);
  let end = at + 1;
  while (end < most && end < length && isOctal(units[end] ?? 0)) end += 1;
  return end === at + 1 ? at : end;
}

function isOctal(unit: number): boolean {
  return unit >= zero && unit <= seven;
}

function byteOf(units: Uint16Array, at: number, end: number): number {
  if (units[at + 1] === letterX) return hexAt(units, at + 2, end, end);
  let value = 0;
  for (let digit = at + 1; digit < end; digit += 1) value = value * 8 + (units[digit] ?? 0) - zero;
  return value;
}

/** The index behind a `\u0041`, `\u{41}` or `\U00000041` at `at`; `at` itself where there is none. */
function afterPoint(units: Uint16Array, at: number, length: number): number {
  const kind = units[at + 1];
  if (kind === capitalU) return isPoint(hexAt(units, at + 2, at + 10, length)) ? at + 10 : at;
  if (kind !== letterU) return at;
  if (units[at + 2] !== openBrace) return hexAt(units, at + 2, at + 6, length) === -1 ? at : at + 6;
  let end = at + 3;
  while (end < length && hexDigit(units[end] ?? 0) !== -1) end += 1;
  if (end === at + 3 || end >= length || units[end] !== closeBrace) return at;
  return isPoint(hexAt(units, at + 3, end, length)) ? end + 1 : at;
}

function isPoint(code: number): boolean {
  return code >= 0 && code <= 0x10ffff;
}

function pointOf(units: Uint16Array, at: number, end: number): number {
  if (units[at + 1] === capitalU || units[at + 2] !== openBrace) return hexAt(units, at + 2, end, end);
  return hexAt(units, at + 3, end - 1, end);
}
