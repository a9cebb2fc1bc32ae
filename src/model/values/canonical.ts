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
  if (Array.isArray(value)) {
    // Not joined: each level would copy all that is in it.
    let text = '';
    for (let index = 0; index < value.length; index += 1)
      text += `${index === 0 ? '' : ','}${canonical(value[index])}`;
    return `[${text}]`;
  }
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

/**
 * Whether the canonical forms of two JSON values are equal. Parts that are the same object are not looked through. `compared` is
 * called with each value of `a` that is reached, also with one that is the same object; `isNamed`: the value stands in an object.
 */
export function sameJson(
  a: unknown,
  b: unknown,
  compared: (value: unknown, isNamed: boolean) => void = nothing,
  isNamed = false,
): boolean {
  compared(a, isNamed);
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, index) => sameJson(item, b[index], compared));
  if (Array.isArray(a) || Array.isArray(b)) return false;
  return sameObject(a as Readonly<Record<string, unknown>>, b as Readonly<Record<string, unknown>>, compared);
}

const nothing = (): void => undefined;

/** Names with the value undefined are ignored. */
function sameObject(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>,
  compared: (value: unknown, isNamed: boolean) => void,
): boolean {
  let left = 0;
  for (const name of Object.keys(a)) {
    const item = a[name];
    if (item === undefined) continue;
    left += 1;
    if (!Object.hasOwn(b, name) || !sameJson(item, b[name], compared, true)) return false;
  }
  for (const name of Object.keys(b)) if (b[name] !== undefined) left -= 1;
  return left === 0;
}
