import { hexDigit, windows, writeCode, type Undo } from './decode.js';
import { beginning, entityNames } from './entity-names.js';

// Characters as HTML and XML write them: `&#61;`, `&#x3D;`, `&equals;`.

const [ampersand, hash, semicolon, letterX] = [0x26, 0x23, 0x3b, 0x78];
/** The first number that is no character. */
const beyond = 0x110000;

/** A character is never longer than its entity. */
export const undoEntities: Undo = (units, length) => {
  let to = 0;
  for (let at = 0; at < length;) {
    const found = units[at] === ampersand ? entityAt(units, at + 1, length) : null;
    if (found === null) {
      units[to++] = units[at++] ?? 0;
      continue;
    }
    to = writeCode(units, found.code, to);
    at = found.end;
  }
  return to;
};

interface Entity {
  readonly code: number;
  readonly end: number;
}

function entityAt(units: Uint16Array, at: number, length: number): Entity | null {
  if (units[at] !== hash) return nameAt(units, at, length);
  const isHex = ((units[at + 1] ?? 0) | 0x20) === letterX;
  const base = isHex ? 16 : 10;
  const start = at + (isHex ? 2 : 1);
  let code = 0;
  let end = start;
  // Any number of zeros may come first. No digit is read twice, since no other entity begins within the digits.
  for (; end < length; end += 1) {
    const digit = hexDigit(units[end] ?? 0);
    if (digit === -1 || digit >= base) break;
    code = Math.min(beyond, code * base + digit);
  }
  if (end === start || code === beyond) return null;
  // Browsers do without the semicolon.
  return { code: asWindows(code), end: end < length && units[end] === semicolon ? end + 1 : end };
}

/** Pages mean characters of Windows-1252 by the numbers from 0x80 to 0x9f. */
function asWindows(code: number): number {
  return code >= 0x80 && code <= 0x9f ? windows.charCodeAt(code - 0x80) : code;
}

function nameAt(units: Uint16Array, start: number, length: number): Entity | null {
  for (const { name, code, isOpen } of entityNames.get(beginning(units[start] ?? 0, units[start + 1] ?? 0)) ??
    []) {
    const end = start + name.length;
    if (end > length || !isAt(name, units, start)) continue;
    if (end < length && units[end] === semicolon) return { code, end: end + 1 };
    if (isOpen) return { code, end };
  }
  return null;
}

function isAt(name: string, units: Uint16Array, start: number): boolean {
  for (let at = 0; at < name.length; at += 1) if (units[start + at] !== name.charCodeAt(at)) return false;
  return true;
}
