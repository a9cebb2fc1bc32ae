/**
 * Shortens a text to at most `longest` UTF-16 units, including `end`, and never in the middle of a character. The result is always
 * well-formed, so that every record, message and column can hold it.
 */
export function truncate(text: string, longest: number, end = '...'): string {
  const whole = text.toWellFormed();
  if (whole.length <= longest) return whole;
  return `${whole.slice(0, characterStart(whole, Math.max(0, longest - end.length)))}${end}`;
}

/** The end of a text, at most `longest` UTF-16 units including `start`. For output of a program, whose end says why it failed. */
export function truncateStart(text: string, longest: number, start = '...'): string {
  const whole = text.toWellFormed();
  if (whole.length <= longest) return whole;
  const at = whole.length - Math.max(0, longest - start.length);
  return `${start}${whole.slice(characterStart(whole, at) === at ? at : at + 1)}`;
}

const mostTold = 10;

/** The first items of a list, as a sentence names them: `a, b and 3 others`. */
export function joinFirst(items: readonly string[], most = mostTold): string {
  const others = items.length - most;
  if (others <= 0) return items.join(', ');
  return `${items.slice(0, most).join(', ')} and ${others} ${others === 1 ? 'other' : 'others'}`;
}

/** `at`, or one less where it would split a surrogate pair. */
function characterStart(text: string, at: number): number {
  const before = text.charCodeAt(at - 1);
  return before >= 0xd800 && before <= 0xdbff ? at - 1 : at;
}

/**
 * The same JSON with all its texts well-formed, names and values. Parts that are already well-formed are not copied; those in `known`
 * are taken to be so and not looked through.
 */
export function toWellFormedJson<T>(value: T, known: ReadonlySet<unknown> = new Set()): T {
  return wellFormedJson(value, known) as T;
}

function wellFormedJson(value: unknown, known: ReadonlySet<unknown>): unknown {
  if (typeof value === 'string') return value.isWellFormed() ? value : value.toWellFormed();
  if (typeof value !== 'object' || value === null || known.has(value)) return value;
  // A decision can have tens of thousands of values, almost none of which must be copied.
  if (Array.isArray(value)) {
    const items = value as readonly unknown[];
    let copy: unknown[] | null = null;
    for (let at = 0; at < items.length; at += 1) {
      const item = wellFormedJson(items[at], known);
      if (item === items[at]) continue;
      copy ??= [...items];
      copy[at] = item;
    }
    return copy ?? value;
  }
  const before = value as Readonly<Record<string, unknown>>;
  const names = Object.keys(before);
  let entries: (readonly [string, unknown])[] | null = null;
  for (const [at, name] of names.entries()) {
    const item = wellFormedJson(before[name], known);
    const isSame = item === before[name] && name.isWellFormed();
    if (!isSame) entries ??= names.slice(0, at).map((earlier) => [earlier, before[earlier]]);
    entries?.push([name.toWellFormed(), item]);
  }
  return entries === null ? value : Object.fromEntries(entries);
}

/** A visible character: no space, control, format or filler character, and no accent alone. */
const readable =
  /[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{M}\u2800]/u;

/** Whether nothing in the text can be read, as in a text of spaces or zero-width characters only. */
export function isBlank(text: string): boolean {
  return !readable.test(text);
}

const unseen = String.raw`\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\u2028\u2029\u2800`;
/** Characters that are drawn as nothing, change the direction of text, or begin a new line. */
export const unseenCharacters = new RegExp(`[${unseen}]`, 'gu');
const unseenCharacter = new RegExp(`[${unseen}]`, 'u');

/**
 * Why a text of one line is probably not what its author meant; null: it is. YAML's `>` and `|` end a text with a line break. A text
 * that is only a line break is meant so.
 */
export function breakTrouble(text: string): string | null {
  return text.trim() !== '' && /^[^\r\n]*[\r\n]+$/.test(text)
    ? 'ends with a line break, which would be a part of it: write `>-` for `>`, `|-` for `|`, or the text in one line'
    : null;
}

/** As `breakTrouble`, for a text that must be a single line, without control characters except tabs. */
export function lineTrouble(text: string): string | null {
  const control = /[\0-\x08\x0a-\x1f\x7f]/.exec(text)?.[0];
  if (control === undefined) return null;
  return (
    breakTrouble(text) ??
    `holds ${codePointOf(control)}, a line break or another control character: take it out`
  );
}

/** Why this text could look like another text and yet be different; null: it could not. */
export function hiddenTrouble(text: string): string | null {
  if (!text.isWellFormed()) return 'holds half of a surrogate pair';
  const hidden = unseenCharacter.exec(text)?.[0];
  if (hidden !== undefined) return `holds ${codePointOf(hidden)}, which nobody sees: take it out`;
  return text.normalize('NFC') === text
    ? null
    : 'is not in Unicode normalization form C: one that is would look the same and be another, so write it in that form';
}

/** As `hiddenTrouble`, for a name, which people compare by eye and the service by its characters. */
export function nameTrouble(name: string): string | null {
  const hidden = hiddenTrouble(name);
  if (hidden !== null) return hidden;
  const space = /[^\S ]/u.exec(name)?.[0];
  if (space !== undefined)
    return `holds ${codePointOf(space)}, which looks like a space and is another: write a space`;
  return /^ | $| {2}/.test(name) ? 'begins or ends with a space, or holds two in a row: take them out' : null;
}

/** A text that is the same for every spelling of a name: in capitals or not, in any of Unicode's forms, with spaces around it or not. */
export function foldedName(name: string): string {
  return name.normalize('NFKC').toLowerCase().normalize('NFKC').trim();
}

function codePointOf(char: string): string {
  return `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
