import type { Json } from '../model/json.js';
import { isObject } from '../model/json.js';
import { escapePointer, type FieldError } from './problem.js';

export type JsonText =
  | { readonly status: 'ok'; readonly value: Json }
  | { readonly status: 'malformed'; readonly message: string }
  /** JSON, but what two readers could understand differently, or what the store cannot keep. */
  | { readonly status: 'refused'; readonly errors: readonly FieldError[] };

export const maxDepth = 64;

/**
 * JSON as this boundary takes it: UTF-8, nested 64 deep at most, no name twice in one object, no
 * integer beyond 2^53 - 1, no lone surrogate, no NUL. `__proto__` is a name like any other.
 */
export function parseJsonText(bytes: Uint8Array): JsonText {
  let text: string;
  let value: Json;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = JSON.parse(text) as Json;
  } catch (error) {
    return { status: 'malformed', message: error instanceof SyntaxError ? error.message : 'it is not UTF-8' };
  }
  const structure = structureProblem(text);
  const found = structure ?? valueProblem(value, '');
  return found === null ? { status: 'ok', value } : { status: 'refused', errors: [found] };
}

interface Level {
  /** Null in an array. */
  readonly names: Set<string> | null;
  readonly pointer: string;
  /** Where the next value stands. */
  at: string;
  index: number;
}

const token = /"(?:[^"\\]|\\.)*"|[[\]{},]/gsy;
const between = /[^"[\]{},]*/gsy;

/** Over text that is known to be JSON: depth, and names that come twice, which a parsed value no longer shows. */
function structureProblem(text: string): FieldError | null {
  const levels: Level[] = [];
  for (let at = skip(text, 0); at < text.length;) {
    token.lastIndex = at;
    const found = token.exec(text)?.[0];
    if (found === undefined) return null;
    const end = at + found.length;
    at = skip(text, end);
    const level = levels.at(-1);
    if (found === '{' || found === '[') {
      const pointer = level === undefined ? '' : level.at;
      if (levels.length >= maxDepth) return { pointer, message: `is nested deeper than ${maxDepth} levels` };
      levels.push({ names: found === '{' ? new Set() : null, pointer, at: `${pointer}/0`, index: 0 });
    } else if (found === '}' || found === ']') levels.pop();
    else if (found === ',') nextItem(level);
    else if (level !== undefined && level.names !== null && text.slice(end, at).includes(':')) {
      const name = JSON.parse(found) as string;
      level.at = `${level.pointer}/${escapePointer(name)}`;
      if (level.names.has(name)) return { pointer: level.at, message: 'stands twice in one object' };
      level.names.add(name);
    }
  }
  return null;
}

function nextItem(level: Level | undefined): void {
  if (level === undefined || level.names !== null) return;
  level.index += 1;
  level.at = `${level.pointer}/${level.index}`;
}

function skip(text: string, from: number): number {
  between.lastIndex = from;
  return from + (between.exec(text)?.[0].length ?? 0);
}

/** The first text that Postgres or canonical JSON cannot carry, or number that a double changes. */
export function valueProblem(value: Json, pointer: string): FieldError | null {
  if (typeof value === 'number') return numberProblem(value, pointer);
  if (typeof value === 'string') return textProblem(value, pointer);
  if (Array.isArray(value))
    return first(value.entries(), ([index, one]) => valueProblem(one as Json, `${pointer}/${index}`));
  if (!isObject(value)) return null;
  return first(Object.entries(value), ([name, one]) => {
    const at = `${pointer}/${escapePointer(name.toWellFormed())}`;
    return textProblem(name, at) ?? valueProblem(one, at);
  });
}

function first<T>(items: Iterable<T>, check: (item: T) => FieldError | null): FieldError | null {
  for (const item of items) {
    const found = check(item);
    if (found !== null) return found;
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
