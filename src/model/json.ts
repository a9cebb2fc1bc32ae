/** A JSON value. Objects are read by own properties only. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/**
 * TypeScript does not see that what an interface describes is JSON, since an interface may be added to. Whoever calls this
 * says that it is; nothing else turns one into the other.
 */
export function asJson<T extends object>(value: T): T & JsonObject {
  return value as T & JsonObject;
}

/** Own-property test that treats `__proto__` and `constructor` as plain names. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A name as a part of a JSON pointer. */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** The name that a part of a JSON pointer stands for. */
export function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** The JSON pointer to what stands under these names and numbers, the outermost first. */
export function pointerTo(path: readonly (string | number)[]): string {
  return path.map((step) => `/${escapePointer(String(step))}`).join('');
}

/** What is wrong with a part of a value, where it stands. */
export interface FieldError {
  /** JSON pointer. */
  readonly pointer: string;
  readonly message: string;
}

/** Deeper than this nothing is kept, compared or signed: every walk over a value may recurse. */
export const maxJsonDepth = 200;

/** Why a parsed value cannot be kept as canonical JSON; null when it can. Never recurses. */
export function jsonTrouble(value: unknown): string | null {
  const atTop = leafTrouble(value);
  if (atTop !== null || !isContainer(value)) return atTop;
  const open: object[] = [value];
  const depths = [0];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    const depth = (depths.pop() ?? 0) + 1;
    const names = Array.isArray(one) ? null : Object.keys(one);
    const items = names === null ? (one as readonly unknown[]) : Object.values(one);
    if (items.length > 0 && depth > maxJsonDepth) return `it is nested deeper than ${maxJsonDepth} levels`;
    if (names?.every((name) => name.isWellFormed()) === false) return halfCharacter;
    // Numbers by the hundred thousand: only what has more in it is kept for later.
    for (const item of items) {
      if (isContainer(item)) {
        open.push(item);
        depths.push(depth);
        continue;
      }
      const trouble = leafTrouble(item);
      if (trouble !== null) return trouble;
    }
  }
  return null;
}

const halfCharacter = 'it holds half of a character (a lone surrogate)';

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function leafTrouble(value: unknown): string | null {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? null : halfCharacter;
    case 'number':
      return Number.isFinite(value) ? null : 'it holds a number that is not finite';
    case 'boolean':
    case 'object':
      return null;
    default:
      return `it holds a value of type ${typeof value}`;
  }
}

/**
 * The same for what a call answered: its output, and the response that it mostly is a part of. What stands in both is
 * looked through once.
 */
export function answerTrouble(output: Json, response: Json): string | null {
  const isWithin = response === output || (isObject(response) && response['body'] === output);
  return isWithin ? jsonTrouble(response) : (jsonTrouble(output) ?? jsonTrouble(response));
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBrace, openBracket] = [0x7b, 0x5b];

/** How many values a JSON text holds at most, objects and lists included: commas and opening brackets that stand in no string. Whatever the text is. */
export function countParts(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) at = behindString(text, at) - 1;
    else if (code === comma || code === openBrace || code === openBracket) count += 1;
  }
  return count;
}

/** Just behind the string that begins at `at` with its quote; the end of all where it does not end. */
export function behindString(text: string, at: number): number {
  for (let end = at + 1; end < text.length; end += 1) {
    const code = text.charCodeAt(end);
    if (code === backslash) end += 1;
    else if (code === quote) return end + 1;
  }
  return text.length;
}

/** Bytes of a well-formed text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    // A surrogate pair is two units and four bytes.
    if (unit >= 0xd800 && unit <= 0xdfff) bytes += 1;
    else if (unit > 0x7ff) bytes += 2;
    else if (unit > 0x7f) bytes += 1;
  }
  return bytes;
}

const decimal = /^([-+]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]+))?$/;

/** Does the double of this number, written out again, have the same decimal value? True of what is no decimal number. */
export function isExactNumber(literal: string): boolean {
  const value = Number(literal);
  const size = Math.abs(value);
  // A double has fifteen digits of every number of its range.
  if (literal.length <= 15 && size >= 1e-300 && size <= 1e300) return true;
  // Up to here whole numbers are written as they are.
  if (size < 1e21 && /^-?[1-9][0-9]*$/.test(literal)) return String(value) === literal;
  if (!Number.isFinite(value)) return !decimal.test(literal);
  const written = decimalValue(literal);
  return written === null || decimalValue(String(value)) === written;
}

/** A text that two numbers share only where their values are equal. */
function decimalValue(literal: string): string | null {
  const found = decimal.exec(literal);
  if (found === null) return null;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = found;
  const digits = whole + fraction;
  let from = 0;
  let until = digits.length;
  while (from < until && digits[from] === '0') from += 1;
  while (until > from && digits[until - 1] === '0') until -= 1;
  if (from === until) return '0';
  const power = Number(exponent) - fraction.length + digits.length - until;
  return `${sign === '-' ? '-' : ''}${digits.slice(from, until)}e${power}`;
}
