import {
  behindString,
  countParts,
  escapePointer,
  type FieldError,
  type Json,
} from '../../../model/values/json.js';
import { valueProblem } from '../../../model/values/value-problem.js';

export type JsonText =
  | { readonly status: 'ok'; readonly value: Json }
  | { readonly status: 'malformed'; readonly message: string }
  /** It has so many parts that reading it would take long; its content was not looked at. */
  | { readonly status: 'too_large'; readonly message: string }
  /** Valid JSON, but two readers could understand it differently, or the store cannot keep it. */
  | { readonly status: 'refused'; readonly errors: readonly FieldError[] };

const maxDepth = 64;
/** Values in a text, objects and arrays included: the time to read it depends on them, not on its bytes. */
const maxValues = 50_000;
/** Names in an object. */
const maxNames = 10_000;

/**
 * JSON as the API takes it: UTF-8, 50,000 values at most, 10,000 names in an object, nested 64 deep at most, no name twice in an
 * object, no integer beyond 2^53 - 1, no lone surrogate, no NUL. `__proto__` is a name like any other.
 */
export function parseJsonText(bytes: Uint8Array): JsonText {
  let text: string;
  let value: Json;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const values = countParts(text);
    if (values > maxValues)
      return { status: 'too_large', message: `holds about ${values} values, and ${maxValues} are the most` };
    value = JSON.parse(text) as Json;
  } catch (error) {
    return { status: 'malformed', message: error instanceof SyntaxError ? error.message : 'it is not UTF-8' };
  }
  const structure = structureProblem(text);
  const found = structure ?? valueProblem(value, '');
  return found === null ? { status: 'ok', value } : { status: 'refused', errors: [found] };
}

const [quote, comma, colon] = [0x22, 0x2c, 0x3a];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];

interface Level {
  /** Null in an array. */
  readonly names: Set<string> | null;
  /** Where the next value stands. */
  name: string;
  index: number;
  expectsName: boolean;
}

/** Checks the depth, and for names that come twice, which a parsed value no longer shows. The text must be JSON. */
function structureProblem(text: string): FieldError | null {
  const levels: Level[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const level = levels.at(-1);
    switch (text.charCodeAt(at)) {
      case quote: {
        const end = behindString(text, at);
        if (level !== undefined && level.names !== null && level.expectsName) {
          level.name = nameOf(text.slice(at, end));
          if (level.names.has(level.name))
            return { pointer: pointerOf(levels), message: 'stands twice in one object' };
          level.names.add(level.name);
          if (level.names.size > maxNames)
            return { pointer: pointerOf(levels.slice(0, -1)), message: `has more than ${maxNames} names` };
        }
        at = end - 1;
        break;
      }
      case openBrace:
      case openBracket: {
        if (levels.length >= maxDepth)
          return { pointer: pointerOf(levels), message: `is nested deeper than ${maxDepth} levels` };
        const isObject = text.charCodeAt(at) === openBrace;
        levels.push({ names: isObject ? new Set() : null, name: '', index: 0, expectsName: isObject });
        break;
      }
      case closeBrace:
      case closeBracket:
        levels.pop();
        break;
      case comma:
        if (level !== undefined) {
          level.index += 1;
          level.expectsName = true;
        }
        break;
      case colon:
        if (level !== undefined) level.expectsName = false;
    }
  }
  return null;
}

function nameOf(quoted: string): string {
  return quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
}

function pointerOf(levels: readonly Level[]): string {
  return levels
    .map(({ names, name, index }) => `/${names === null ? String(index) : escapePointer(name)}`)
    .join('');
}
