import { guardScopes, parseComparison, parsePath, type Invalid } from '../../engine/expression/expression.js';
import type {
  Guard,
  Mapping,
  Operand,
  Path as PathOperand,
  Scope,
  Template,
  TextTemplate,
} from '../../engine/plan.js';
import { isObject, type Json } from '../../model/values/json.js';
import { truncate } from '../../model/values/text.js';
import type { ErrorFinding } from '../text/findings.js';
import { error, maxProblems, type Compiling, type Path } from './context.js';
import { holeTrouble, refuseHoles, refuseHolesInName } from '../check/holes.js';
import { warnOfOtherNotation } from '../check/other-notations.js';
import type { GuardShape, MappingShape } from '../shape/shapes.js';
import { problemAt } from '../text/source.js';
import { refuseJoinedRewritten, refuseSentRewritten, warnRewritten } from '../check/rewritten-values.js';

// Guards, templates and mappings: from text with paths in it to what the engine evaluates.

const mappingScopes: readonly Scope[] = ['output', 'response', ...guardScopes];

export function compileGuards(to: Compiling, shapes: readonly GuardShape[] | undefined, path: Path): Guard[] {
  return (shapes ?? []).map((guard, index) => compileGuard(to, guard, [...path, index]));
}

export function compileGuard(to: Compiling, shape: GuardShape, path: Path, bareNames = false): Guard {
  switch (shape.kind) {
    case 'permission':
      return { kind: 'permission', permission: shape.permission };
    case 'role':
      return { kind: 'role', role: shape.role };
    case 'expr':
      return compileExpression(to, shape.expr, [...path, 'expr'], bareNames);
    case 'evidence':
      return {
        kind: 'evidence',
        requires: shape.requires.map((requirement) =>
          typeof requirement === 'string'
            ? { kind: requirement, count: 1, distinct: false }
            : {
                kind: requirement.kind,
                count: requirement.count ?? 1,
                distinct: requirement.distinct ?? false,
              },
        ),
      };
    case 'allOf':
    case 'all_of':
      return {
        kind: 'allOf',
        guards: shape.guards.map((guard, index) =>
          compileGuard(to, guard, [...path, 'guards', index], bareNames),
        ),
      };
    case 'anyOf':
    case 'any_of':
      return {
        kind: 'anyOf',
        guards: shape.guards.map((guard, index) =>
          compileGuard(to, guard, [...path, 'guards', index], bareNames),
        ),
      };
    case 'not':
      return { kind: 'not', guard: compileGuard(to, shape.guard, [...path, 'guard'], bareNames) };
  }
}

const never: Guard = { kind: 'anyOf', guards: [] };

export function compileExpression(to: Compiling, text: string, path: Path, bareNames: boolean): Guard {
  const parsed = parseComparison(text, { scopes: guardScopes, bareNames });
  if (parsed.status === 'parsed') {
    const { left, right } = parsed.comparison;
    for (const operand of [left, right])
      if (operand.kind === 'literal' && typeof operand.value === 'string') {
        const trouble = holeTrouble(operand.value, 'path');
        if (trouble !== null) error(to, 'EXPRESSION_INVALID', path, trouble);
      }
    return { kind: 'expr', expr: parsed.comparison };
  }
  reportUnreadable(to, 'EXPRESSION_INVALID', text, parsed, path, 0);
  return never;
}

/** Reports where in the text the mistake is. The message says what to write; `suggestion` says the same to programs. */
function reportUnreadable(
  to: Compiling,
  code: ErrorFinding,
  text: string,
  why: Invalid,
  path: Path,
  offset: number,
): void {
  if (to.errors.length >= maxProblems) return;
  const quoted = truncate(text, 120);
  const message = `\`${quoted}\`: ${why.message} (at character ${why.at + 1})`;
  const suggestion = why.suggestion === undefined ? {} : { suggestion: why.suggestion };
  const finding = why.scope === 'unknown' ? 'UNKNOWN_SCOPE' : code;
  to.errors.push({ ...problemAt(to.source, finding, path, message, offset + why.at), ...suggestion });
}

export function compilePath(
  to: Compiling,
  text: string,
  path: Path,
  scopes: readonly Scope[],
  optional: boolean,
  offset = 0,
): PathOperand | null {
  const parsed = parsePath(text, { scopes, optional });
  if (parsed.status === 'parsed') return parsed.path;
  reportUnreadable(to, 'PATH_INVALID', text, parsed, path, offset);
  return null;
}

/** A string that begins with `$.` is a path; every other value is a literal. */
export function compileTemplate(
  to: Compiling,
  value: Json,
  path: Path,
  scopes: readonly Scope[] = guardScopes,
): Template {
  if (typeof value === 'string') {
    if (/^(env|secret):\/\//.test(value))
      error(
        to,
        'SECRET_REFERENCE',
        path,
        `\`${value}\` is resolved in connections only: put it into the connection's \`headers\` or \`env\``,
      );
    if (!value.startsWith('$.')) {
      refuseHoles(to, value, path, 'path');
      return { kind: 'literal', value };
    }
    return compilePath(to, value, path, scopes, true) ?? { kind: 'literal', value: null };
  }
  if (Array.isArray(value))
    return {
      kind: 'array',
      items: value.map((item: Json, index) => compileTemplate(to, item, [...path, index], scopes)),
    };
  if (isObject(value)) return { kind: 'object', entries: compileEntries(to, value, path, scopes) };
  return { kind: 'literal', value };
}

/** A value that a call sends as text. `as` turns it into what is compiled. */
export function compileSentValue<T extends Json>(
  to: Compiling,
  value: T,
  path: Path,
  as: (value: T) => Json = (same) => same,
): Template {
  refuseSentRewritten(to, value, path);
  return compileTemplate(to, as(value), path);
}

/** Named values that a call sends as text. */
export function compileSentTexts(
  to: Compiling,
  values: { readonly [key: string]: Json } | undefined,
  path: Path,
): { key: string; value: Template }[] {
  for (const [name, value] of Object.entries(values ?? {})) refuseSentRewritten(to, value, [...path, name]);
  return compileEntries(to, values, path);
}

export function compileEntries(
  to: Compiling,
  value: { readonly [key: string]: Json } | undefined,
  path: Path,
  scopes: readonly Scope[] = guardScopes,
): { key: string; value: Template }[] {
  return Object.entries(value ?? {}).map(([key, item]) => {
    refuseHolesInName(to, key, [...path, key]);
    return { key, value: compileTemplate(to, item, [...path, key], scopes) };
  });
}

/** The sentences for approvers (`summary`, `consequence`) of a transition or a tool. */
export function compileSentences(
  to: Compiling,
  {
    title,
    summary,
    consequence,
  }: Readonly<Partial<Record<'title' | 'summary' | 'consequence', string | undefined>>>,
  path: Path,
): { summary?: TextTemplate; consequence?: TextTemplate } {
  refuseHoles(to, title ?? null, [...path, 'title'], 'nothing');
  return {
    ...(summary === undefined ? {} : { summary: compileText(to, summary, [...path, 'summary']) }),
    ...(consequence === undefined
      ? {}
      : { consequence: compileText(to, consequence, [...path, 'consequence']) }),
  };
}

/** Text with holes, such as `/users/{$.context.id}`. */
export function compileText(to: Compiling, text: string, path: Path): TextTemplate {
  const parts: (string | PathOperand)[] = [];
  let at = 0;
  for (const found of text.matchAll(hole)) {
    const [written] = found;
    if (found.index > at) parts.push(checkPlainText(to, text, at, found.index, path));
    const read = compilePath(to, written.slice(1, -1), path, guardScopes, true, found.index + 1);
    if (read !== null) parts.push(read);
    at = found.index + written.length;
  }
  if (at < text.length) parts.push(checkPlainText(to, text, at, text.length, path));
  return { kind: 'text', parts };
}

const hole = /\{(?:[^{}"']|"[^"]*"|'[^']*')*\}/g;

/** The text between two holes. A brace or a `$.` in it is an error: somebody meant a hole and wrote it wrongly. */
function checkPlainText(to: Compiling, text: string, from: number, until: number, path: Path): string {
  const plain = text.slice(from, until);
  const odd = /[{}]|\$\./.exec(plain);
  if (odd !== null) {
    const message =
      odd[0] === '$.'
        ? `\`${text}\`: a value stands in braces: write \`{$.context.name}\``
        : `\`${text}\`: the brace \`${odd[0]}\` has no counterpart`;
    error(to, 'PATH_INVALID', path, message, from + odd.index);
  } else warnOfOtherNotation(to, plain, path, 'text');
  return plain;
}

export function compileMapping(to: Compiling, shape: MappingShape | undefined, path: Path): Mapping[] {
  return Object.entries(shape ?? {}).map(([key, spec]): Mapping => {
    const at = [...path, key];
    if (typeof spec !== 'object' || spec === null) {
      warnRewritten(to, spec, at);
      return { key, spec: { kind: 'set', value: mappingOperand(to, spec, at) } };
    }
    const [kind, value] = Object.entries(spec)[0] ?? ['set', null];
    if (kind === 'set') {
      warnRewritten(to, value as Json, [...at, 'set']);
      return { key, spec: { kind: 'set', value: setValue(to, value as Json, [...at, 'set']) } };
    }
    const operands = (value as (string | number | boolean | null)[]).map((operand, index) => {
      if (kind === 'concat') refuseJoinedRewritten(to, operand, [...at, kind, index]);
      return mappingOperand(to, operand, [...at, kind, index]);
    });
    return { key, spec: { kind: kind as 'add' | 'subtract' | 'multiply' | 'divide' | 'concat', operands } };
  });
}

function setValue(
  to: Compiling,
  value: Json,
  path: Path,
): Operand | { readonly kind: 'json'; readonly value: Json } {
  if (typeof value !== 'object' || value === null) return mappingOperand(to, value, path);
  refuseHoles(to, value, path, 'nothing');
  return { kind: 'json', value };
}

function mappingOperand(to: Compiling, value: string | number | boolean | null, path: Path): Operand {
  if (typeof value !== 'string' || !value.startsWith('$.')) {
    refuseHoles(to, value, path, 'path');
    return { kind: 'literal', value };
  }
  return compilePath(to, value, path, mappingScopes, false) ?? { kind: 'literal', value: null };
}

/** Every path that a template reads. */
export function templatePaths(template: Template): readonly PathOperand[] {
  switch (template.kind) {
    case 'path':
      return [template];
    case 'text':
      return template.parts.flatMap((part) => (typeof part === 'string' ? [] : [part]));
    case 'object':
      return template.entries.flatMap((entry) => templatePaths(entry.value));
    case 'array':
      return template.items.flatMap(templatePaths);
    case 'literal':
      return [];
  }
}
