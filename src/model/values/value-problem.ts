import { isObject, pointerTo, type FieldError, type Json } from './json.js';

/** The first text that Postgres or canonical JSON cannot hold, or whole number beyond 2^53 - 1; null: there is none. */
export function valueProblem(value: Json, pointer: string): FieldError | null {
  const found = firstProblem(value);
  return found === null ? null : { pointer: `${pointer}${found.pointer}`, message: found.message };
}

/** Builds the pointer on the way back, because most values have no problem. */
function firstProblem(value: Json): FieldError | null {
  if (typeof value === 'number') return numberProblem(value, '');
  if (typeof value === 'string') return textProblem(value, '');
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      const found = firstProblem(value[index] as Json);
      if (found !== null) return { pointer: `/${index}${found.pointer}`, message: found.message };
    }
    return null;
  }
  if (!isObject(value)) return null;
  for (const name of Object.keys(value)) {
    const found = textProblem(name, '') ?? firstProblem(value[name] as Json);
    if (found === null) continue;
    const at = pointerTo([name.toWellFormed()]);
    return { pointer: `${at}${found.pointer}`, message: found.message };
  }
  return null;
}

function numberProblem(value: number, pointer: string): FieldError | null {
  if (!Number.isFinite(value)) return { pointer, message: 'is too large a number' };
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return null;
  return { pointer, message: 'is an integer beyond 2^53 - 1: send it as a string' };
}

function textProblem(value: string, pointer: string): FieldError | null {
  if (!value.isWellFormed()) return { pointer, message: 'holds a lone surrogate' };
  return value.includes('\u0000') ? { pointer, message: 'holds the character U+0000' } : null;
}
