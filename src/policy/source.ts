import { LineCounter, isMap, isScalar, isSeq, parseDocument, type Document, type Node } from 'yaml';
import type { Json } from '../model/json.js';
import { pointer, type PathSegment, type Problem } from './problems.js';

// Text to plain JSON, and from any path in it back to line and column.

export interface Source {
  readonly file: string | undefined;
  readonly text: string;
  readonly value: Json;
  /** Position of a value, or of its key; of the nearest thing above where there is nothing. */
  locate(
    path: readonly PathSegment[],
    at?: 'key' | 'value',
  ): { readonly line: number; readonly column: number };
}

export type Parsed =
  | { readonly status: 'parsed'; readonly source: Source }
  | { readonly status: 'invalid'; readonly problems: readonly Problem[] };

const maxLength = 1_048_576;
const maxDepth = 64;
const maxAliases = 20;

export function parseText(text: string, file?: string): Parsed {
  const fail = (message: string, line = 1, column = 1, code = 'MALFORMED'): Parsed => ({
    status: 'invalid',
    problems: [{ code, path: '', ...(file === undefined ? {} : { file }), line, column, message }],
  });
  if (text.length > maxLength) return fail(`the document is larger than ${maxLength} characters`);
  const counter = new LineCounter();
  try {
    const doc = parseDocument(text, {
      lineCounter: counter,
      uniqueKeys: true,
      strict: true,
      version: '1.2',
      schema: 'core',
      merge: false,
      logLevel: 'silent',
      prettyErrors: false,
    });
    const issue = doc.errors[0] ?? doc.warnings[0];
    if (issue !== undefined) {
      const { line, col } = counter.linePos(issue.pos[0]);
      return fail(
        lower(issue.message),
        line,
        col,
        issue.code === 'DUPLICATE_KEY' ? 'DUPLICATE_NAME' : 'MALFORMED',
      );
    }
    const value: unknown = doc.toJS({ maxAliasCount: maxAliases });
    const source: Source = {
      file,
      text,
      value: value as Json,
      locate: (path, at) => locate(doc, counter, path, at),
    };
    const problems = [...notJson(source, value, [], 0)];
    return problems.length > 0 ? { status: 'invalid', problems } : { status: 'parsed', source };
  } catch (error) {
    return fail(
      error instanceof RangeError
        ? 'the document is nested too deeply'
        : lower(error instanceof Error ? error.message : 'the document cannot be read'),
    );
  }
}

function lower(message: string): string {
  const first = message.split('\n')[0] ?? message;
  return first.slice(0, 1).toLowerCase() + first.slice(1);
}

/** What YAML has and JSON has not, nesting beyond any meaning, and names that JavaScript would trip over. */
function* notJson(
  source: Source,
  value: unknown,
  path: readonly PathSegment[],
  depth: number,
): Generator<Problem> {
  if (depth > maxDepth) {
    yield problemAt(source, 'MALFORMED', path, `nested deeper than ${maxDepth} levels`);
    return;
  }
  if (
    typeof value === 'number' &&
    (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
  ) {
    yield problemAt(
      source,
      'MALFORMED',
      path,
      `the number \`${String(value)}\` is beyond what JSON holds exactly`,
    );
  } else if (typeof value === 'bigint' || typeof value === 'undefined' || typeof value === 'symbol') {
    yield problemAt(source, 'MALFORMED', path, 'not a JSON value');
  } else if (Array.isArray(value)) {
    for (const [index, one] of value.entries()) yield* notJson(source, one, [...path, index], depth + 1);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, one] of Object.entries(value)) {
      if (key === '__proto__' || key === '')
        yield problemAt(
          source,
          'NAME_INVALID',
          [...path, key],
          `\`${key}\` cannot be a name here: choose another one`,
          'key',
        );
      else yield* notJson(source, one, [...path, key], depth + 1);
    }
  }
}

export function problemAt(
  source: Source,
  code: string,
  path: readonly PathSegment[],
  message: string,
  at: 'key' | 'value' = 'value',
  suggestion?: string,
): Problem {
  return {
    code,
    path: pointer(path),
    ...(source.file === undefined ? {} : { file: source.file }),
    ...source.locate(path, at),
    message: suggestion === undefined ? message : `${message}: did you mean \`${suggestion}\`?`,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

function locate(
  doc: Document,
  counter: LineCounter,
  path: readonly PathSegment[],
  at: 'key' | 'value' = 'value',
): { line: number; column: number } {
  let node: unknown = doc.contents;
  let offset = startOf(node) ?? 0;
  for (const [depth, segment] of path.entries()) {
    const last = depth === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.find(
        (one) => (isScalar(one.key) ? String(one.key.value) : undefined) === String(segment),
      );
      if (pair === undefined) break;
      const valueStart = isScalar(pair.value) && pair.value.value !== null ? startOf(pair.value) : null;
      offset = (last && at === 'value' ? valueStart : null) ?? startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(segment)];
      if (node === undefined) break;
      offset = startOf(node) ?? offset;
    } else break;
  }
  const { line, col } = counter.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function startOf(node: unknown): number | null {
  return (node as Node | null)?.range?.[0] ?? null;
}
