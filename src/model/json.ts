/** A JSON value. Objects are read by own properties only. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

/** Own-property test that treats `__proto__` and `constructor` as plain names. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Deeper than this nothing is kept, compared or signed: every walk over a value may recurse. */
export const maxJsonDepth = 200;

/** Why a parsed value cannot be kept as canonical JSON; null when it can. Never recurses. */
export function jsonTrouble(value: unknown): string | null {
  const open: { readonly value: unknown; readonly depth: number }[] = [{ value, depth: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value: one, depth } = next;
    if (depth > maxJsonDepth) return `it is nested deeper than ${maxJsonDepth} levels`;
    if (typeof one === 'string') {
      if (!one.isWellFormed()) return 'it holds half of a character (a lone surrogate)';
    } else if (typeof one === 'number') {
      if (!Number.isFinite(one)) return 'it holds a number that is not finite';
    } else if (Array.isArray(one)) {
      for (const item of one as readonly unknown[]) open.push({ value: item, depth: depth + 1 });
    } else if (isObject(one)) {
      for (const [name, item] of Object.entries(one)) {
        if (!name.isWellFormed()) return 'it holds half of a character (a lone surrogate)';
        open.push({ value: item, depth: depth + 1 });
      }
    } else if (one !== null && typeof one !== 'boolean') return `it holds a value of type ${typeof one}`;
  }
  return null;
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
  const written = decimalValue(literal);
  if (written === null) return true;
  const value = Number(literal);
  return Number.isFinite(value) && decimalValue(String(value)) === written;
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
