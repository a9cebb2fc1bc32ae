/** A JSON value. Objects are read by own properties only. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/**
 * Asserts that a value with an interface type is JSON, which TypeScript cannot see because interfaces can be extended. Nothing is
 * converted. Only this function makes the assertion.
 */
export function asJson<T extends object>(value: T): T & JsonObject {
  return value as T & JsonObject;
}

/** Own-property test that treats `__proto__` and `constructor` as plain names. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Escapes a name as a part of a JSON pointer. */
export function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

/** The name that a part of a JSON pointer stands for. */
export function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

/** The JSON pointer to the value at these names and indexes, the outermost first. */
export function pointerTo(path: readonly (string | number)[]): string {
  return path.map((step) => `/${escapePointer(String(step))}`).join('');
}

/** What is wrong with a part of a value, and where that part stands. */
export interface FieldError {
  /** JSON pointer. */
  readonly pointer: string;
  readonly message: string;
}

/** No value nested deeper than this is stored, compared or signed, so that every walk over a value may recurse. */
export const maxJsonDepth = 200;

/** Why a parsed value cannot be kept as canonical JSON; null when it can. Never recurses. */
export function jsonTrouble(value: unknown): string | null {
  const atTop = leafTrouble(value);
  if (atTop !== null || !isContainer(value)) return atTop;
  const open: object[] = [value];
  const depths = [0];
  for (let container = open.pop(); container !== undefined; container = open.pop()) {
    const depth = (depths.pop() ?? 0) + 1;
    const names = Array.isArray(container) ? null : Object.keys(container);
    const items = names === null ? (container as readonly unknown[]) : Object.values(container);
    if (items.length > 0 && depth > maxJsonDepth) return `it is nested deeper than ${maxJsonDepth} levels`;
    if (names?.every((name) => name.isWellFormed()) === false) return halfCharacter;
    // A list may hold hundreds of thousands of numbers: only containers are kept for later.
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
 * As `jsonTrouble`, for the answer of a call: its output and its response. The output is mostly a part of the response, and is then
 * looked through only once.
 */
export function answerTrouble(output: Json, response: Json): string | null {
  const isWithin = response === output || (isObject(response) && response['body'] === output);
  return isWithin ? jsonTrouble(response) : (jsonTrouble(output) ?? jsonTrouble(response));
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBrace, openBracket] = [0x7b, 0x5b];

/** The most values that a JSON text can hold, objects and lists included: its commas and opening brackets outside of strings. Works for any text. */
export function countParts(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) at = behindString(text, at) - 1;
    else if (code === comma || code === openBrace || code === openBracket) count += 1;
  }
  return count;
}

/** The index behind the string whose opening quote is at `at`; the length of the text if the string does not end. */
export function behindString(text: string, at: number): number {
  for (let end = at + 1; end < text.length; end += 1) {
    const code = text.charCodeAt(end);
    if (code === backslash) end += 1;
    else if (code === quote) return end + 1;
  }
  return text.length;
}

/** The length of a well-formed text in bytes of UTF-8. */
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

/** Whether a double holds this decimal number exactly enough to be written out again with the same value. True for a text that is no decimal number. */
export function isExactNumber(literal: string): boolean {
  const value = Number(literal);
  const size = Math.abs(value);
  // A double keeps fifteen digits of every number in its range.
  if (literal.length <= 15 && size >= 1e-300 && size <= 1e300) return true;
  // Below this, whole numbers are written without an exponent.
  if (size < 1e21 && /^-?[1-9][0-9]*$/.test(literal)) return String(value) === literal;
  if (!Number.isFinite(value)) return !decimal.test(literal);
  const written = decimalValue(literal);
  return written === null || decimalValue(String(value)) === written;
}

/** A text for the number's value: two numbers have the same text only if their values are equal. Null: it is no decimal number. */
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
