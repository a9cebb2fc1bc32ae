import type { z } from 'zod';
import { isObject, type Json } from '../../model/values/json.js';
import { truncate } from '../../model/values/text.js';
import { kinds } from '../../executors/find-kind.js';
import { maxProblems } from '../compile/context.js';
import type { FindingCode } from '../text/findings.js';
import { nearest, type Finding, type PathSegment } from '../text/problems.js';
import { adviceFor, combined, listed, quoteNames } from './advice.js';
import { keysOf, kindsOf, optionsAt } from './keys.js';
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
  return { status: 'invalid', problems: explainAll(fitting, parsed.error.issues, []) };
}

function explainAll(
  fitting: Fitting,
  issues: readonly Issue[],
  above: readonly PropertyKey[],
): readonly Finding[] {
  const problems: Finding[] = [];
  for (const [index, issue] of issues.entries()) {
    const before = issues[index - 1];
    // A text where a list belongs: zod goes on to its length.
    if (before?.code === 'invalid_type' && before.path.join('/') === issue.path.join('/')) continue;
    problems.push(...explain(fitting, issue, above));
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
      return explainType(
        fitting,
        inner,
        (shown) => `expected ${words[issue.expected] ?? issue.expected}, not ${shown}`,
      );
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

/** A value of the wrong type, with what to write in its place. */
function explainType(
  fitting: Fitting,
  inner: readonly PropertyKey[],
  message: (shown: string) => string,
): readonly Finding[] {
  const { source } = fitting;
  const path = pathOf(fitting, inner);
  const value = valueAt(source, path);
  if (value === undefined) return [misfitAt(fitting, path, 'WRONG_TYPE', message)];
  const options = optionsAt(fitting.shape, inner, fitting.value);
  const advice = adviceFor(options, value, source.written(path), source.media, path.at(-1));
  if (advice.kind === 'complaint') return explain(fitting, advice.issue, inner);
  return [misfitAt(fitting, path, 'WRONG_TYPE', (shown) => `${message(shown)}${advice.hint}`)];
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
  const keysAt = (at: readonly PropertyKey[]): readonly string[] =>
    keysOf(optionsAt(fitting.shape, at, fitting.value));
  const known = keysAt(inner);
  const around = inner.length === 0 ? [] : keysAt(inner.slice(0, -1));
  return keys.slice(0, maxProblems).map((key) => {
    const path = [...pathOf(fitting, inner), key];
    const near = nearest(key, known);
    const hint = around.includes(key)
      ? ` here: it stands beside \`${String(inner.at(-1))}\`, not in it`
      : listed('keys', known);
    const message = `unknown key \`${key}\`${near === undefined ? hint : ''}`;
    return problemAt(fitting.source, 'UNKNOWN_KEY', path, message, 'key', near);
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
    errors.filter(({ path: at, code }) => at.length > 0 || !['invalid_type', 'invalid_value'].includes(code)),
  );
  const deepest = branches
    .filter((errors) => errors.length > 0)
    .sort(
      (a, b) => unknownIn(a).length - unknownIn(b).length || depth(b) - depth(a) || a.length - b.length,
    )[0];
  if (deepest !== undefined && typeof value === 'object' && value !== null) {
    // Beside a key that no alternative has, what one of them misses is not to be added.
    const unknown = unknownIn(deepest);
    return explainAll(fitting, unknown.length > 0 ? unknown : deepest, inner);
  }
  // A text where a mapping or a word of a list is accepted: its author meant a word.
  const wordIssue = issue.errors
    .flat()
    .find((inBranch) => inBranch.code === 'invalid_value' && inBranch.path.length === 0);
  if (wordIssue?.code === 'invalid_value' && typeof value === 'string')
    return explain(fitting, wordIssue, inner);
  return explainType(fitting, inner, (shown) => `${shown} does not fit here`);
}

function unknownKind(fitting: Fitting, inner: readonly PropertyKey[]): Finding {
  const parent = inner.at(-1) === 'kind' ? inner.slice(0, -1) : inner;
  const path = [...pathOf(fitting, parent), 'kind'];
  const names = kindsOf(optionsAt(fitting.shape, parent, fitting.value));
  const kind = valueAt(fitting.source, path);
  if (kind === undefined) {
    const value = valueAt(fitting.source, pathOf(fitting, parent));
    const meant = ['allOf', 'anyOf', 'not'].find(
      (name) => names.includes(name) && isObject(value) && Object.hasOwn(value, name),
    );
    const hint =
      meant === undefined
        ? `one of ${quoteNames(names)}`
        : `write it as \`${combined(meant, fitting.source.media)}\``;
    return problemAt(fitting.source, 'REQUIRED', path, `a \`kind\` is required here: ${hint}`);
  }
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

function unknownIn(errors: readonly Issue[]): readonly Issue[] {
  return errors.filter(({ code }) => code === 'unrecognized_keys');
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

/** The value for a message, as its author wrote it. */
function showValue(source: Source, path: readonly PathSegment[], value: Json): string {
  const written = source.written(path);
  // YAML reads a key with nothing after it as null.
  return written === '' ? 'nothing' : `\`${truncate(written ?? JSON.stringify(value), 60)}\``;
}
