import { isExactNumber } from '../../model/values/json.js';
import {
  operators,
  type Comparison,
  type Literal,
  type Operand,
  type Operator,
  type Path,
  type Scope,
} from '../plan.js';
import { truncate } from '../../model/values/text.js';

// The expression notation of docs/spec/semantics.md §3: exactly one comparison. Where a text is none, the position of the mistake is given.

export interface Invalid {
  readonly status: 'invalid';
  /** Offset into the text. */
  readonly at: number;
  readonly message: string;
  /** What to write there instead. */
  readonly suggestion?: string;
  /** The path starts with a scope that does not exist here. */
  readonly scope?: 'unknown';
}

export type ParsedComparison = { readonly status: 'parsed'; readonly comparison: Comparison } | Invalid;
export type ParsedPath = { readonly status: 'parsed'; readonly path: Path } | Invalid;

export interface PathOptions {
  readonly scopes: readonly Scope[];
  /** A trailing `?` is allowed: templates. */
  readonly optional?: boolean;
  /** Bare names read `$.arguments`: the `on` of a gate. */
  readonly bareNames?: boolean;
}

export const guardScopes: readonly Scope[] = ['arguments', 'context', 'input'];
const maxLength = 2_000;

type Read<T> =
  { readonly status: 'read'; readonly value: T; readonly start: number; readonly end: number } | Invalid;

/** `operand operator operand`, nothing else. */
export function parseComparison(
  text: string,
  options: PathOptions = { scopes: guardScopes },
): ParsedComparison {
  const refused = refuseTooLong(text, 'expression') ?? findForeignNotation(text);
  if (refused !== null) return refused;
  const left = readOperand(text, 0, options);
  if (left.status === 'invalid') return left;
  const operator = readOperator(text, left.end);
  if (operator.status === 'invalid') return operator;
  const right = readOperand(text, operator.end, options);
  if (right.status === 'invalid') return right;
  const end = skipSpaces(text, right.end);
  if (end < text.length) {
    const rest = cut(text.slice(end));
    return invalid(
      end,
      `\`${rest}\` follows a whole comparison: an expression is exactly one; combine several with \`allOf\` or \`anyOf\``,
    );
  }
  const never =
    neverTakes(operator.value, 'left', left.value, left.start) ??
    neverTakes(operator.value, 'right', right.value, right.start);
  if (never !== null) return never;
  return {
    status: 'parsed',
    comparison: { left: left.value, operator: operator.value, right: right.value, text },
  };
}

/** A path alone, as templates and mappings have it. */
export function parsePath(text: string, options: PathOptions): ParsedPath {
  const refused = refuseTooLong(text, 'path');
  if (refused !== null) return refused;
  const read = readPathAt(text, 0, options);
  if (read.status === 'invalid') return read;
  return read.end < text.length
    ? invalid(read.end, `\`${cut(text.slice(read.end))}\` follows the path`)
    : { status: 'parsed', path: read.value };
}

function invalid(at: number, message: string, suggestion?: string): Invalid {
  return { status: 'invalid', at, message, ...(suggestion === undefined ? {} : { suggestion }) };
}

function refuseTooLong(text: string, what: string): Invalid | null {
  return text.length > maxLength
    ? invalid(maxLength, `the ${what} is longer than ${maxLength} characters`)
    : null;
}

function cut(text: string): string {
  return truncate(text, 40);
}

function skipSpaces(text: string, from: number): number {
  let at = from;
  while (/\s/.test(text[at] ?? '')) at += 1;
  return at;
}

/** How several comparisons are written as one guard. */
const formOf = (kind: string): string => `\`{ kind: ${kind}, guards: [{ kind: expr, expr: '…' }, …] }\``;

const foreign: readonly (readonly [RegExp, string, string?])[] = [
  [/&&/, `an expression is exactly one comparison: write several as one guard, ${formOf('allOf')}`, 'allOf'],
  [
    /\|\|/,
    `an expression is exactly one comparison: write several as one guard, ${formOf('anyOf')}`,
    'anyOf',
  ],
  [
    /\bnot\s+in\s*\[/i,
    `there are no lists in an expression: compare with each by \`!=\`, ${formOf('allOf')}`,
    'allOf',
  ],
  [
    /(?<=\s)\[/,
    `there are no lists in an expression: compare with each by itself, ${formOf('anyOf')}`,
    'anyOf',
  ],
  [/[()]/, 'parentheses are not part of an expression: use `allOf`, `anyOf` and `not`'],
  [/=~|!~/, 'there are no regular expressions: use `starts_with` or `contains`'],
  [/===|!==/, 'there is no strict comparison, `==` and `!=` never convert', '=='],
  [/<>/, 'there is no `<>`: use `!=`', '!='],
  [/(?<![=!<>])=(?!=)/, 'a single `=` compares nothing: use `==`', '=='],
];

/** Finds notation of other languages, so that the message can name it, before the parser fails at it. Quoted text is not looked at. */
function findForeignNotation(text: string): Invalid | null {
  const bare = text.replace(/"[^"]*"|'[^']*'/g, (quoted) => ' '.repeat(quoted.length));
  for (const [pattern, message, suggestion] of foreign) {
    const found = pattern.exec(bare);
    if (found !== null) return invalid(found.index, message, suggestion);
  }
  return null;
}

// --- operands ----------------------------------------------------------------------------------

const number = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
/** Whatever starts as numbers do, up to its end: it is a number, or a mistake. */
const likeNumber = /^(?=[-+.]?\d)[-+]?(?:[\p{L}\p{N}_.]|(?<=[eE])[-+])+/u;
const word = /^[\p{L}_][\p{L}\p{N}_-]*/u;

function readOperand(text: string, from: number, options: PathOptions): Read<Operand> {
  const start = skipSpaces(text, from);
  const rest = text.slice(start);
  if (rest === '') return invalid(start, 'an operand is missing: write `operand operator operand`');
  if (rest.startsWith('$')) return readPathAt(text, start, options);
  const quote = ['"', "'"].find((mark) => rest.startsWith(mark));
  if (quote !== undefined) return readQuoted(text, start, quote);
  const written = likeNumber.exec(rest)?.[0];
  if (written !== undefined) return readNumber(written, start);
  return readWord(text, start, options);
}

function readNumber(written: string, start: number): Read<Literal> {
  if (!number.test(written))
    return invalid(start, `\`${cut(written)}\` is no number: write it as JSON does, such as \`-12.5e3\``);
  const value = Number(written);
  if (!isExactNumber(written) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
    return invalid(start, `the number \`${cut(written)}\` is beyond what is exact`);
  return { status: 'read', value: { kind: 'literal', value }, start, end: start + written.length };
}

function readQuoted(text: string, start: number, quote: string): Read<Literal> {
  const close = text.indexOf(quote, start + 1);
  if (close === -1) return invalid(start, `the quote \`${quote}\` is not closed`);
  const value = text.slice(start + 1, close);
  const escape = value.indexOf('\\');
  if (escape !== -1)
    return invalid(start + 1 + escape, 'a quoted string has no escapes: use the other kind of quote');
  return { status: 'read', value: { kind: 'literal', value }, start, end: close + 1 };
}

const constants: ReadonlyMap<string, boolean | null> = new Map([
  ['true', true],
  ['false', false],
  ['null', null],
]);

function readWord(text: string, start: number, options: PathOptions): Read<Operand> {
  const rest = text.slice(start);
  const name = word.exec(rest)?.[0];
  if (name === undefined)
    return invalid(
      start,
      `\`${cut(rest)}\` is no operand: use a path such as \`$.context.name\`, a number, a quoted string, true, false or null`,
    );
  const end = start + name.length;
  const constant = constants.get(name);
  if (constant !== undefined)
    return { status: 'read', value: { kind: 'literal', value: constant }, start, end };
  if (options.bareNames === true) {
    const segments = readSegments(text, end);
    if (segments.status === 'invalid') return segments;
    const path: Path = {
      kind: 'path',
      scope: 'arguments',
      segments: [name, ...segments.value],
      optional: false,
      text: text.slice(start, segments.end),
    };
    return { status: 'read', value: path, start, end: segments.end };
  }
  return invalid(
    start,
    `the word \`${cut(name)}\` is not quoted: write \`"${cut(name)}"\` for the text, or a path such as \`$.context.${cut(name)}\``,
    `"${name}"`,
  );
}

// --- operators ---------------------------------------------------------------------------------

const otherNames: ReadonlyMap<string, string> = new Map([
  ['startswith', 'starts_with'],
  ['startsWith', 'starts_with'],
  ['includes', 'contains'],
  ['in', 'contains'],
  ['matches', 'starts_with'],
  ['eq', '=='],
  ['equals', '=='],
  ['is', '=='],
  ['ne', '!='],
  ['lt', '<'],
  ['lte', '<='],
  ['gt', '>'],
  ['gte', '>='],
]);

function readOperator(text: string, from: number): Read<Operator> {
  const start = skipSpaces(text, from);
  const rest = text.slice(start);
  const found = operators.find(
    (name) => rest.startsWith(name) && (/^[<>=!]/.test(name) || /^(\s|$|["'])/.test(rest.slice(name.length))),
  );
  if (found !== undefined) return { status: 'read', value: found, start, end: start + found.length };
  const seen = /^\S+/.exec(rest)?.[0];
  if (seen === undefined) return invalid(start, 'an operator is missing: write `operand operator operand`');
  const meant = otherNames.get(seen);
  const exchanged = seen === 'in' ? ' with its two sides exchanged' : '';
  const hint = meant === undefined ? `one of ${operators.join(' ')}` : `\`${meant}\`${exchanged}`;
  return invalid(start, `\`${cut(seen)}\` is no operator: use ${hint}`, meant);
}

/** A literal that its operator can never take is a mistake, not a guard. */
function neverTakes(
  operator: Operator,
  side: 'left' | 'right',
  operand: Operand,
  at: number,
): Invalid | null {
  if (operand.kind === 'path' || operator === '==' || operator === '!=') return null;
  const type = operand.value === null ? 'null' : typeof operand.value;
  const given = `and \`${cut(String(operand.value))}\` is ${type === 'null' ? 'nothing' : `a ${type}`}`;
  if (operator === 'starts_with')
    return type === 'string' ? null : invalid(at, `\`starts_with\` takes two strings, ${given}`);
  if (operator === 'contains') {
    if (side === 'left' && type !== 'string')
      return invalid(at, `\`contains\` looks into a string or an array, ${given}`);
    return type === 'null' ? invalid(at, `\`contains\` looks for a scalar, ${given}`) : null;
  }
  return type === 'number' ? null : invalid(at, `\`${operator}\` compares two numbers, ${given}`);
}

// --- paths -------------------------------------------------------------------------------------

const scopeNames: readonly (readonly [string, Scope])[] = [
  ['$.arguments', 'arguments'],
  ['$.context', 'context'],
  ['$.workflow.input', 'input'],
  ['$.output', 'output'],
  ['$.response', 'response'],
];
const otherScopes: readonly (readonly [RegExp, string])[] = [
  [/^\$\.(args?|argument|params|parameters)(?![\p{L}\p{N}_-])/u, '$.arguments'],
  [/^\$\.(ctx|contexts|contex|contxt|state)(?![\p{L}\p{N}_-])/u, '$.context'],
  [/^\$\.(input|inputs|workflow\.inputs|workflows\.input)(?![\p{L}\p{N}_-])/u, '$.workflow.input'],
  [/^\$\.(outputs|result|results)(?![\p{L}\p{N}_-])/u, '$.output'],
];

function readPathAt(text: string, start: number, options: PathOptions): Read<Path> {
  const rest = text.slice(start);
  const found = scopeNames.find(
    ([name]) => rest.startsWith(name) && !/^[\p{L}\p{N}_-]/u.test(rest.slice(name.length)),
  );
  if (found === undefined || !options.scopes.includes(found[1])) return unknownScope(rest, start, options);
  const segments = readSegments(text, start + found[0].length);
  if (segments.status === 'invalid') return segments;
  const optional = text[segments.end] === '?';
  if (optional && options.optional !== true)
    return invalid(segments.end, 'a trailing `?` is for templates: compare with `null` instead');
  const end = optional ? segments.end + 1 : segments.end;
  const value: Path = {
    kind: 'path',
    scope: found[1],
    segments: segments.value,
    optional,
    text: text.slice(start, end),
  };
  return { status: 'read', value, start, end };
}

function unknownScope(rest: string, start: number, options: PathOptions): Invalid {
  const allowed = scopeNames.filter(([, scope]) => options.scopes.includes(scope)).map(([name]) => name);
  const written = rest.replace(/\s[^]*$/, '');
  const meant = otherScopes.find(([pattern, name]) => pattern.test(rest) && allowed.includes(name));
  const found = invalid(
    start,
    `\`${cut(written)}\` reads an unknown scope: here a path starts with ${allowed.map((name) => `\`${name}\``).join(', ')}`,
    meant === undefined ? undefined : written.replace(meant[0], () => meant[1]),
  );
  return { ...found, scope: 'unknown' };
}

/** `.name`, `.0`, `[0]`, `["odd name"]`, any number of them. */
function readSegments(text: string, from: number): Read<string[]> {
  const segments: string[] = [];
  let end = from;
  for (;;) {
    const rest = text.slice(end);
    const found =
      /^\.([\p{L}\p{N}_-]+)/u.exec(rest) ??
      /^\[(0|[1-9]\d*)\]/.exec(rest) ??
      /^\["([^"]*)"\]/.exec(rest) ??
      /^\['([^']*)'\]/.exec(rest);
    if (found === null) break;
    segments.push(...found.slice(1));
    end += found[0].length;
  }
  if (/^[.[]/.test(text.slice(end)))
    return invalid(
      end,
      `\`${cut(text.slice(end))}\` is no part of a path: use \`.name\`, \`[0]\` or \`["odd name"]\``,
    );
  return { status: 'read', value: segments, start: from, end };
}
