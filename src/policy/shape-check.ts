import type { z } from 'zod';
import type { Json } from '../model/json.js';
import { nearest, type PathSegment, type Problem } from './problems.js';
import { knownKeys } from './shapes.js';
import { problemAt, type Source } from './source.js';

type Issue = z.core.$ZodIssue;

const guardKinds = ['permission', 'role', 'expr', 'evidence', 'allOf', 'all_of', 'anyOf', 'any_of', 'not'];
const executorKinds = ['rest', 'mcp', 'cli', 'human', 'noop'];

export type Shaped<T> = { readonly status: 'fits'; readonly value: T } | { readonly status: 'invalid'; readonly problems: readonly Problem[] };

/** Does the value at `base` fit the shape? Every misfit is located in the author's text. */
export function fit<T>(source: Source, value: unknown, shape: z.ZodType<T>, base: readonly PathSegment[]): Shaped<T> {
  const parsed = shape.safeParse(value);
  if (parsed.success) return { status: 'fits', value: parsed.data };
  return { status: 'invalid', problems: parsed.error.issues.flatMap((issue) => explain(source, issue, base)) };
}

function explain(source: Source, issue: Issue, base: readonly PathSegment[]): Problem[] {
  const path = [...base, ...issue.path.map((one) => (typeof one === 'symbol' ? String(one) : one))];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => problemAt(source, 'UNKNOWN_KEY', [...path, key], `unknown key \`${key}\``, 'key', nearest(key, knownKeys)));
    case 'invalid_union':
      return explainUnion(source, issue, path);
    case 'invalid_type':
      return [problemAt(source, missing(source, path) ? 'REQUIRED' : 'WRONG_TYPE', path, missing(source, path) ? `\`${String(path.at(-1) ?? '')}\` is required here` : `expected ${issue.expected}, not ${shown(source, path)}`)];
    case 'invalid_value': {
      const names = issue.values.map(String);
      return [problemAt(source, missing(source, path) ? 'REQUIRED' : 'UNKNOWN_VALUE', path, `${shown(source, path)} is not one of ${names.map((one) => `\`${one}\``).join(', ')}`, 'value', nearest(String(valueAt(source, path) ?? ''), names))];
    }
    case 'invalid_key':
      return [problemAt(source, 'NAME_INVALID', path, `\`${String(path.at(-1) ?? '')}\` ${issue.issues[0]?.message ?? 'is no name'}`, 'key')];
    default:
      return [problemAt(source, 'WRONG_VALUE', path, issue.code === 'custom' || issue.code === 'invalid_format' || issue.code === 'too_small' ? `${shown(source, path)} ${issue.message}` : `${shown(source, path)}: ${issue.message}`)];
  }
}

/** A discriminator that is unknown, or the branch that came nearest to fitting. */
function explainUnion(source: Source, issue: Extract<Issue, { code: 'invalid_union' }>, path: readonly PathSegment[]): Problem[] {
  const value = valueAt(source, path);
  if (issue.errors.length === 0) {
    const isKind = path.at(-1) === 'kind';
    const names = path.includes('executor') || path.includes('executors') ? executorKinds : path.includes('connections') ? ['rest', 'mcp', 'cli'] : guardKinds;
    const at = isKind ? path : [...path, 'kind'];
    const kind = valueAt(source, at);
    const message = kind === undefined ? 'a `kind` is required here' : `unknown kind ${shown(source, at)}: use one of ${names.map((one) => `\`${one}\``).join(', ')}`;
    return [problemAt(source, 'UNKNOWN_KIND', at, message, 'value', nearest(String(kind ?? ''), names))];
  }
  const branches = issue.errors.map((errors) => errors.filter((one) => !(one.path.length === 0 && one.code === 'invalid_type')));
  const deepest = branches.filter((errors) => errors.length > 0).sort((a, b) => depth(b) - depth(a) || a.length - b.length)[0];
  if (deepest !== undefined && typeof value === 'object' && value !== null) return deepest.flatMap((one) => explain(source, one, path));
  return [problemAt(source, 'WRONG_TYPE', path, `${shown(source, path)} does not fit here`)];
}

function depth(errors: readonly Issue[]): number {
  return Math.max(...errors.map((one) => one.path.length));
}

function missing(source: Source, path: readonly PathSegment[]): boolean {
  return valueAt(source, path) === undefined;
}

function valueAt(source: Source, path: readonly PathSegment[]): Json | undefined {
  let value: unknown = source.value;
  for (const segment of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return undefined;
    value = (value as Record<string | number, unknown>)[segment];
  }
  return value as Json;
}

function shown(source: Source, path: readonly PathSegment[]): string {
  const value = valueAt(source, path);
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return `\`${text.length > 60 ? `${text.slice(0, 57)}...` : text}\``;
}
