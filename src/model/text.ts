/**
 * Shortened to at most `longest` UTF-16 units, `end` among them, and never in the middle of a character. The result is
 * well-formed whatever it is given, so that every record, message and column can hold it.
 */
export function truncate(text: string, longest: number, end = '...'): string {
  const whole = text.toWellFormed();
  if (whole.length <= longest) return whole;
  return `${whole.slice(0, characterStart(whole, Math.max(0, longest - end.length)))}${end}`;
}

/** The last `longest` UTF-16 units of it: the end of what a program wrote says why it ended. */
export function truncateStart(text: string, longest: number, start = '...'): string {
  const whole = text.toWellFormed();
  if (whole.length <= longest) return whole;
  const at = whole.length - Math.max(0, longest - start.length);
  return `${start}${whole.slice(characterStart(whole, at) === at ? at : at + 1)}`;
}

/** `at`, or one less where it would split a surrogate pair. */
function characterStart(text: string, at: number): number {
  const before = text.charCodeAt(at - 1);
  return before >= 0xd800 && before <= 0xdbff ? at - 1 : at;
}

/**
 * The same JSON with every text in it well-formed: names and values. What is well-formed already is not copied; `known` to
 * be is not looked through.
 */
export function wellFormed<T>(value: T, known: ReadonlySet<unknown> = new Set()): T {
  return wellFormedJson(value, known) as T;
}

function wellFormedJson(value: unknown, known: ReadonlySet<unknown>): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (typeof value !== 'object' || value === null || known.has(value)) return value;
  if (Array.isArray(value)) {
    const items = (value as readonly unknown[]).map((item) => wellFormedJson(item, known));
    return items.every((item, index) => item === value[index]) ? value : items;
  }
  const before = Object.entries(value);
  const after = before.map(([name, item]): [string, unknown] => [
    name.toWellFormed(),
    wellFormedJson(item, known),
  ]);
  const isSame = after.every(([name, item], at) => name === before[at]?.[0] && item === before[at][1]);
  return isSame ? value : Object.fromEntries(after);
}

/** What leaves ink: no space, control, format or filler character, and no accent without a letter. */
const readable =
  /[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{M}\u2800]/u;

/** Nothing in it can be read: a reason or a note that is only spaces or zero-width characters is none. */
export function isBlank(text: string): boolean {
  return !readable.test(text);
}
