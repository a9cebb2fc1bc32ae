import type { z } from 'zod';
import type { Json } from '../../model/values/json.js';
import { truncate } from '../../model/values/text.js';
import { kinds } from '../../executors/kinds.js';
import { maxProblems } from '../compile/context.js';
import type { FindingCode } from '../text/findings.js';
import { nearest, type Finding, type PathSegment } from '../text/problems.js';
import { keysAt, kindsAt } from './keys.js';
import { problemAt, type Source } from '../text/source.js';

type Issue = z.core.$ZodIssue;

export type Shaped<T> =
  | { readonly status: 'fits'; readonly value: T }
  | { readonly status: 'invalid'; readonly problems: readonly Finding[] };

const words: Readonly<Record<string, string>> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: '`true` or `false`',
};

/** A value that is compared with a shape. Both stand at `base` in the document. */
interface Fitting {
  readonly source: Source;
  readonly shape: z.ZodType;
  readonly value: unknown;
  readonly base: readonly PathSegment[];
}

/** Whether the value at `base` fits the shape. Every problem is located in the author's text. */
export function fit<T>(
  source: Source,
  value: unknown,
  shape: z.ZodType<T>,
  base: readonly PathSegment[],
): Shaped<T> {
  const parsed = shape.safeParse(value);
  if (parsed.success) return { status: 'fits', value: parsed.data };
  const fitting: Fitting = { source, shape, value, base };
  return {
    status: 'invalid',
    problems: explainAll(fitting, parsed.error.issues),
  };
}

function explainAll(fitting: Fitting, issues: readonly Issue[]): readonly Finding[] {
  const problems: Finding[] = [];
  for (const issue of issues) {
    problems.push(...explain(fitting, issue, []));
    if (problems.length >= maxProblems) break;
  }
  return problems.slice(0, maxProblems);
}

/** `above`: the path in the value at which the issue's own path starts. */
function explain(fitting: Fitting, issue: Issue, above: readonly PropertyKey[]): readonly Finding[] {
  const inner = [...above, ...issue.path];
  const path = pathOf(fitting, inner);
  switch (issue.code) {
    case 'unrecognized_keys':
      return explainUnknownKeys(fitting, issue.keys, inner);
    case 'invalid_union':
      return explainUnion(fitting, issue, inner);
    case 'invalid_type':
      return [
        misfitAt(
          fitting,
          path,
          'WRONG_TYPE',
          (shown) =>
            `expected ${words[issue.expected] ?? issue.expected}, not ${shown}${quoteHint(fitting, issue.expected, path)}`,
        ),
      ];
    case 'invalid_value': {
      const names = issue.values.map(String);
      const message = (shown: string): string => `${shown} is not one of ${quoteNames(names)}`;
      return [misfitAt(fitting, path, 'UNKNOWN_VALUE', message, names)];
    }
    case 'invalid_key': {
      const message = `\`${truncate(String(path.at(-1) ?? ''), 60)}\` ${issue.issues[0]?.message ?? 'is no name'}`;
      return [problemAt(fitting.source, 'NAME_INVALID', path, message, 'key')];
    }
    default: {
      const isFullSentence =
        issue.code === 'custom' || issue.code === 'invalid_format' || issue.code === 'too_small';
      const message = (shown: string): string =>
        isFullSentence ? `${shown} ${issue.message}` : `${shown}: ${issue.message}`;
      const names = path.at(-1) === 'zone' ? Intl.supportedValuesOf('timeZone') : [];
      return [misfitAt(fitting, path, codeOf(issue, path), message, names)];
    }
  }
}

/** A hint where a text is expected: its author forgot the quotes, and YAML read a number or a boolean. */
function quoteHint({ source }: Fitting, expected: string, path: readonly PathSegment[]): string {
  const value = valueAt(source, path);
  if (expected !== 'string' || (typeof value !== 'number' && typeof value !== 'boolean')) return '';
  return `: write it as text, \`"${source.written(path) ?? String(value)}"\``;
}

function codeOf(issue: Issue, path: readonly PathSegment[]): FindingCode {
  if (issue.code === 'custom' && issue.params?.['finding'] === 'NAME_INVALID') return 'NAME_INVALID';
  return isEmptyGuard(issue, path) ? 'EMPTY_GUARD' : 'WRONG_VALUE';
}

function isEmptyGuard(issue: Issue, path: readonly PathSegment[]): boolean {
  const last = path.at(-1);
  return issue.code === 'too_small' && issue.origin === 'array' && (last === 'guards' || last === 'requires');
}

function pathOf({ base }: Fitting, inner: readonly PropertyKey[]): readonly PathSegment[] {
  return [...base, ...inner.map((segment) => (typeof segment === 'symbol' ? String(segment) : segment))];
}

function explainUnknownKeys(
  fitting: Fitting,
  keys: readonly string[],
  inner: readonly PropertyKey[],
): readonly Finding[] {
  const known = keysAt(fitting.shape, inner, fitting.value);
  const around = inner.length === 0 ? [] : keysAt(fitting.shape, inner.slice(0, -1), fitting.value);
  return keys.slice(0, maxProblems).map((key) => {
    const path = [...pathOf(fitting, inner), key];
    const near = nearest(key, known);
    const isBeside = near === undefined && around.includes(key);
    const hint = isBeside ? ` here: it stands beside \`${String(inner.at(-1))}\`, not in it` : '';
    return problemAt(fitting.source, 'UNKNOWN_KEY', path, `unknown key \`${key}\`${hint}`, 'key', near);
  });
}

/** The problem at a path: a required value is missing, or the value does not fit. */
function misfitAt(
  { source }: Fitting,
  path: readonly PathSegment[],
  code: FindingCode,
  message: (shown: string) => string,
  names: readonly string[] = [],
): Finding {
  const value = valueAt(source, path);
  if (value === undefined && path.at(-1) === 'initialState')
    return problemAt(source, 'INITIAL_STATE', path, 'a flow says where it starts: add `initialState`');
  if (value === undefined)
    return problemAt(source, 'REQUIRED', path, `\`${String(path.at(-1) ?? '')}\` is required here`);
  return problemAt(
    source,
    code,
    path,
    message(showValue(source, path, value)),
    'value',
    nearest(String(value), names),
  );
}

/** Explains an unknown `kind`, or the alternative that came nearest to fitting. */
function explainUnion(
  fitting: Fitting,
  issue: Extract<Issue, { code: 'invalid_union' }>,
  inner: readonly PropertyKey[],
): readonly Finding[] {
  const { source } = fitting;
  if (issue.errors.length === 0) return [unknownKind(fitting, inner)];
  const path = pathOf(fitting, inner);
  const value = valueAt(source, path);
  const branches = issue.errors.map((errors) =>
    errors.filter((inBranch) => !(inBranch.path.length === 0 && inBranch.code === 'invalid_type')),
  );
  const deepest = branches
    .filter((errors) => errors.length > 0)
    .sort((a, b) => depth(b) - depth(a) || a.length - b.length)[0];
  if (deepest !== undefined && typeof value === 'object' && value !== null)
    return deepest.flatMap((inBranch) => explain(fitting, inBranch, inner));
  // A text where a mapping or a word of a list is accepted: its author meant a word.
  const wordIssue = issue.errors
    .flat()
    .find((inBranch) => inBranch.code === 'invalid_value' && inBranch.path.length === 0);
  if (wordIssue?.code === 'invalid_value' && typeof value === 'string')
    return explain(fitting, wordIssue, inner);
  return [misfitAt(fitting, path, 'WRONG_TYPE', (text) => `${text} does not fit here`)];
}

function unknownKind(fitting: Fitting, inner: readonly PropertyKey[]): Finding {
  const holder = inner.at(-1) === 'kind' ? inner.slice(0, -1) : inner;
  const path = [...pathOf(fitting, holder), 'kind'];
  const names = kindsAt(fitting.shape, holder, fitting.value);
  const kind = valueAt(fitting.source, path);
  if (kind === undefined)
    return problemAt(
      fitting.source,
      'REQUIRED',
      path,
      `a \`kind\` is required here: one of ${quoteNames(names)}`,
    );
  if (kind === 'workflow' && kinds.some(({ kind: name }) => names.includes(name)))
    return problemAt(
      fitting.source,
      'SUB_FLOW',
      path,
      'a flow inside a flow is not taken, as it could be wider than its parent: start it by itself',
    );
  const message = `unknown kind ${showValue(fitting.source, path, kind)}: use one of ${quoteNames(names)}`;
  return problemAt(fitting.source, 'UNKNOWN_KIND', path, message, 'value', nearest(String(kind), names));
}

function depth(errors: readonly Issue[]): number {
  return Math.max(...errors.map((issue) => issue.path.length));
}

function valueAt(source: Source, path: readonly PathSegment[]): Json | undefined {
  let value: unknown = source.value;
  for (const segment of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return undefined;
    value = (value as Record<string | number, unknown>)[segment];
  }
  return value as Json;
}

function quoteNames(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

/** The value for a message, as its author wrote it. */
function showValue(source: Source, path: readonly PathSegment[], value: Json): string {
  const written = source.written(path);
  // YAML reads a key with nothing after it as null.
  return written === '' ? 'nothing' : `\`${truncate(written ?? JSON.stringify(value), 60)}\``;
}
