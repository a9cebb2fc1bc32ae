// Translates patterns from ECMA-262's syntax (flag `u`, already found valid) to RE2's, so that both accept the same texts. What
// RE2 cannot express is refused.

export type Translated =
  | { readonly status: 'translated'; readonly text: string }
  | { readonly status: 'refused'; readonly message: string };

/** Thrown while translating, with what to write instead. */
class Untranslatable extends Error {
  override readonly name = 'Untranslatable';
}

interface Reader {
  readonly points: readonly string[];
  at: number;
}

export function translate(pattern: string): Translated {
  const reader: Reader = { points: [...pattern], at: 0 };
  let text = '';
  try {
    while (reader.at < reader.points.length) text += translateTerm(reader);
  } catch (error) {
    if (error instanceof Untranslatable) return { status: 'refused', message: error.message };
    throw error;
  }
  return { status: 'translated', text };
}

function next(reader: Reader): string {
  const point = reader.points[reader.at] ?? '';
  reader.at += 1;
  return point;
}

/** Reads the text if it comes next; true: it did. */
function takeIf(reader: Reader, text: string): boolean {
  const points = [...text];
  if (!points.every((point, index) => reader.points[reader.at + index] === point)) return false;
  reader.at += points.length;
  return true;
}

function translateTerm(reader: Reader): string {
  const point = next(reader);
  switch (point) {
    case '.':
      return String.raw`[^\n\r\x{2028}\x{2029}]`;
    case '$':
      return String.raw`\z`;
    case '^':
      return String.raw`\A`;
    case '(':
      return translateGroup(reader);
    case '[':
      return translateBracket(reader);
    case '\\':
      return translateEscape(reader);
    default:
      return '|)*+?{}'.includes(point) || /^[\d,]$/.test(point) ? point : literalText(codePointOf(point));
  }
}

function translateGroup(reader: Reader): string {
  for (const look of ['?=', '?!', '?<=', '?<!'])
    if (takeIf(reader, look))
      throw new Untranslatable(
        `looks ahead or behind with \`(${look}\`, which is not taken: write two schemas under \`allOf\`, or under \`not\`, each with a \`pattern\` of its own`,
      );
  if (takeIf(reader, '?<')) while (next(reader) !== '>');
  else if (reader.points[reader.at] === '?' && !takeIf(reader, '?:'))
    throw new Untranslatable(
      'switches flags inside, which is not taken: write both cases in brackets, `[aA]`',
    );
  return '(?:';
}

const spaces = String.raw`\x{9}-\x{d}\x{20}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}\x{feff}`;
const notSpaces = String.raw`\x{0}-\x{8}\x{e}-\x{1f}\x{21}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027}\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{fefe}\x{ff00}-\x{10ffff}`;

function translateEscape(reader: Reader): string {
  const following = reader.points[reader.at] ?? '';
  if (following === 'b' || following === 'B') return `\\${next(reader)}`;
  if (following === 'k' || /^[1-9]$/.test(following))
    throw new Untranslatable(
      'refers back to a group, which is not taken: write out what may stand there, or compare in a guard',
    );
  return translateSet(reader) ?? literalText(readCharacter(reader));
}

/** `\d`, `\s`, `\p{L}` and the like, as RE2 has them outside of brackets; null where no such set stands. */
function translateSet(reader: Reader): string | null {
  const members = setMembers(reader);
  return members === null ? null : `[${members}]`;
}

/** The same as members of a bracket. The backslash has been read; what is no set is left unread. */
function setMembers(reader: Reader): string | null {
  const kind = reader.points[reader.at] ?? '';
  if (!/^[dDwWsSpP]$/.test(kind)) return null;
  reader.at += 1;
  if (kind === 's') return spaces;
  if (kind === 'S') return notSpaces;
  return kind === 'p' || kind === 'P' ? translateProperty(reader, kind) : `\\${kind}`;
}

const categories: Readonly<Record<string, string>> = {
  Letter: 'L',
  Lowercase_Letter: 'Ll',
  Uppercase_Letter: 'Lu',
  Titlecase_Letter: 'Lt',
  Modifier_Letter: 'Lm',
  Other_Letter: 'Lo',
  Mark: 'M',
  Nonspacing_Mark: 'Mn',
  Spacing_Mark: 'Mc',
  Enclosing_Mark: 'Me',
  Number: 'N',
  Decimal_Number: 'Nd',
  Letter_Number: 'Nl',
  Other_Number: 'No',
  Punctuation: 'P',
  Symbol: 'S',
  Math_Symbol: 'Sm',
  Currency_Symbol: 'Sc',
  Modifier_Symbol: 'Sk',
  Other_Symbol: 'So',
  Separator: 'Z',
  Space_Separator: 'Zs',
  Control: 'Cc',
  Format: 'Cf',
};
const shortCategory = /^(?:L[lutmo]?|M[nce]?|N[dlo]?|P[cdseifo]?|S[mcko]?|Z[slp]?|C[cfo]?)$/;

function translateProperty(reader: Reader, kind: 'p' | 'P'): string {
  let name = '';
  for (let point = next(reader); point !== '}'; point = next(reader)) if (point !== '{') name += point;
  const category = /^(?:(?:General_Category|gc)=)?(\w+)$/.exec(name)?.[1] ?? '';
  const script = /^(?:Script|sc)=(\w+)$/.exec(name)?.[1];
  const short = categories[category] ?? category;
  if (script !== undefined && script.length > 4) return `\\${kind}{${script}}`;
  if (shortCategory.test(short)) return `\\${kind}{${short}}`;
  throw new Untranslatable(
    `names the property \`${name}\`, which is not taken: categories are (\`\\p{L}\`, \`\\p{Lu}\`, \`\\p{Nd}\`), and scripts by their long names (\`\\p{Script=Greek}\`)`,
  );
}

function translateBracket(reader: Reader): string {
  const negated = takeIf(reader, '^');
  let members = '';
  while (!takeIf(reader, ']')) members += translateMember(reader);
  // `[]` matches nothing, `[^]` every character.
  if (members === '') return negated ? String.raw`[\x{0}-\x{10ffff}]` : String.raw`[^\x{0}-\x{10ffff}]`;
  return `[${negated ? '^' : ''}${members}]`;
}

function translateMember(reader: Reader): string {
  if (takeIf(reader, '\\')) {
    const found = setMembers(reader);
    if (found !== null) return found;
    reader.at -= 1;
  }
  const from = readClassAtom(reader);
  const isRange = reader.points[reader.at] === '-' && reader.points[reader.at + 1] !== ']';
  if (!isRange) return literalText(from);
  reader.at += 1;
  return `${literalText(from)}-${literalText(readClassAtom(reader))}`;
}

function readClassAtom(reader: Reader): number {
  const point = next(reader);
  if (point !== '\\') return codePointOf(point);
  return takeIf(reader, 'b') ? 8 : readCharacter(reader);
}

const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 };

/** The code point for which an escape stands; the backslash has been read. */
function readCharacter(reader: Reader): number {
  const kind = next(reader);
  if (Object.hasOwn(controls, kind)) return controls[kind] ?? 0;
  if (kind === 'c') return codePointOf(next(reader)) % 32;
  if (kind === 'x') return readHex(reader, 2);
  if (kind !== 'u') return codePointOf(kind);
  if (takeIf(reader, '{')) {
    let digits = '';
    for (let point = next(reader); point !== '}'; point = next(reader)) digits += point;
    return Number.parseInt(digits, 16);
  }
  const first = readHex(reader, 4);
  const isLead = first >= 0xd800 && first < 0xdc00;
  if (!isLead || !takeIf(reader, '\\u')) return first;
  return (first - 0xd800) * 0x400 + readHex(reader, 4) - 0xdc00 + 0x10000;
}

function readHex(reader: Reader, digits: number): number {
  const text = Array.from({ length: digits }, () => next(reader)).join('');
  return Number.parseInt(text, 16);
}

const codePointOf = (point: string): number => point.codePointAt(0) ?? 0;

function literalText(point: number): string {
  if (point >= 0xd800 && point <= 0xdfff)
    throw new Untranslatable('names half of a surrogate pair, which no text holds: take it out');
  return `\\x{${point.toString(16)}}`;
}
