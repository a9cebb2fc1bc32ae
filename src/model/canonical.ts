import type { Json } from './json.js';

/**
 * RFC 8785 canonical JSON. ECMAScript's number and string forms are the ones that the RFC fixes,
 * so only key order (UTF-16 code units, the default sort) and the refusal of what JSON cannot
 * carry are ours. Throws a `TypeError` on a non-finite number, a lone surrogate or a non-JSON value.
 */
export function canonical(value: unknown): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('canonical JSON has no non-finite numbers');
    return String(value);
  }
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value === 'object') {
    // Every digest passes here: no pairs, no callbacks.
    const object = value as Readonly<Record<string, unknown>>;
    let text = '';
    for (const name of Object.keys(object).sort()) {
      const item = object[name];
      if (item !== undefined) text += `${text === '' ? '' : ','}${quoted(name)}:${canonical(item)}`;
    }
    return `{${text}}`;
  }
  throw new TypeError(`canonical JSON has no ${typeof value}`);
}

function quoted(text: string): string {
  if (!text.isWellFormed()) throw new TypeError('canonical JSON has no lone surrogates');
  return JSON.stringify(text);
}

/** Deep equality of two JSON values, as their canonical forms compare. */
export function sameJson(a: Json, b: Json): boolean {
  return canonical(a) === canonical(b);
}
