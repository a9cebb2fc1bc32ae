import type { Undo } from './decode.js';

// Characters as HTML and XML write them: `&#61;`, `&#x3D;`, `&equals;`.

const ascii =
  'Tab 9 NewLine 10 excl 33 quot 34 QUOT 34 num 35 dollar 36 percnt 37 amp 38 AMP 38 apos 39 lpar 40 rpar 41 ast 42 midast 42 ' +
  'plus 43 comma 44 period 46 sol 47 colon 58 semi 59 lt 60 LT 60 equals 61 gt 62 GT 62 quest 63 commat 64 lsqb 91 lbrack 91 ' +
  'bsol 92 rsqb 93 rbrack 93 Hat 94 lowbar 95 UnderBar 95 grave 96 lcub 123 lbrace 123 verbar 124 vert 124 VerticalLine 124 ' +
  'rcub 125 rbrace 125 euro 8364';
/** From 160 on. */
const latin =
  'nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para ' +
  'middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute ' +
  'Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml ' +
  'Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml ' +
  'eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml';

const named: ReadonlyMap<string, number> = new Map([
  ...ascii
    .split(' ')
    .flatMap((name, at, all) => (at % 2 === 0 ? [[name, Number(all[at + 1])] as const] : [])),
  ...latin.split(' ').map((name, at) => [name, 160 + at] as const),
]);

const [ampersand, hash, semicolon, letterX] = [0x26, 0x23, 0x3b, 0x78];
/** No name is longer, and no number needs more digits. */
const entityWidth = 16;

export const undoEntities: Undo = (units, length) => {
  let to = 0;
  for (let at = 0; at < length;) {
    const found = units[at] === ampersand ? entityAt(units, at + 1, length) : null;
    if (found === null) {
      units[to++] = units[at++] ?? 0;
      continue;
    }
    for (const unit of found.units) units[to++] = unit;
    at = found.end;
  }
  return to;
};

interface Entity {
  readonly units: readonly number[];
  readonly end: number;
}

function entityAt(units: Uint16Array, at: number, length: number): Entity | null {
  if (units[at] !== hash) return nameAt(units, at, length);
  const isHex = ((units[at + 1] ?? 0) | 0x20) === letterX;
  const base = isHex ? 16 : 10;
  const start = at + (isHex ? 2 : 1);
  const most = Math.min(length, start + entityWidth);
  let code = 0;
  let end = start;
  for (; end < most; end += 1) {
    const digit = digitOf(units[end] ?? 0, base);
    if (digit === -1) break;
    code = code * base + digit;
  }
  if (end === start || code > 0x10ffff) return null;
  // Browsers do without the semicolon.
  return { units: unitsOf(code), end: end < length && units[end] === semicolon ? end + 1 : end };
}

function nameAt(units: Uint16Array, start: number, length: number): Entity | null {
  const most = Math.min(length, start + entityWidth);
  let end = start;
  while (end < most && digitOf(units[end] ?? 0, 36) !== -1) end += 1;
  if (end === start || end >= length || units[end] !== semicolon) return null;
  const code = named.get(String.fromCharCode(...units.subarray(start, end)));
  return code === undefined ? null : { units: [code], end: end + 1 };
}

function unitsOf(code: number): readonly number[] {
  if (code < 0x10000) return [code];
  return [0xd800 + ((code - 0x10000) >> 10), 0xdc00 + ((code - 0x10000) & 0x3ff)];
}

/** -1: it is no digit of that base. */
function digitOf(unit: number, base: number): number {
  const small = unit | 0x20;
  const digit =
    unit >= 0x30 && unit <= 0x39 ? unit - 0x30 : small >= 0x61 && small <= 0x7a ? small - 0x57 : base;
  return digit < base ? digit : -1;
}
