import {
  operators,
  type Comparison,
  type Literal,
  type Operand,
  type Operator,
  type Path,
  type Scope,
} from './plan.js';

// The expression notation of SEMANTICS §3: exactly one comparison, with positions for whoever got it wrong.

export interface Invalid {
  readonly status: 'invalid';
  /** Offset into the text. */
  readonly at: number;
  readonly message: string;
}

export type ParsedComparison = { readonly status: 'parsed'; readonly comparison: Comparison } | Invalid;
export type ParsedPath = { readonly status: 'parsed'; readonly path: Path } | Invalid;

export interface PathOptions {
  readonly scopes: readonly Scope[];
  /** A trailing `?` is allowed: templates. */
  readonly optional?: boolean;
  /** Bare names read `$.arguments`: the declared agent's `on`. */
  readonly bareNames?: boolean;
}

export const guardScopes: readonly Scope[] = ['arguments', 'context', 'input'];
const maxLength = 2_000;

interface Cursor {
  readonly text: string;
  at: number;
}

class Trouble extends Error {
  constructor(
    readonly at: number,
    message: string,
  ) {
    super(message);
  }
}

/** `operand operator operand`, nothing else. */
export function parseComparison(
  text: string,
  options: PathOptions = { scopes: guardScopes },
): ParsedComparison {
  if (text.length > maxLength)
    return {
      status: 'invalid',
      at: maxLength,
      message: `the expression is longer than ${maxLength} characters`,
    };
  return attempt(() => {
    const cursor: Cursor = { text, at: 0 };
    refuseCombined(text);
    const left = operand(cursor, options);
    const operator = readOperator(cursor);
    const right = operand(cursor, options);
    skip(cursor);
    if (cursor.at < text.length) {
      throw new Trouble(
        cursor.at,
        `\`${text.slice(cursor.at, cursor.at + 40)}\` follows a whole comparison: an expression is exactly one; combine several with \`allOf\` or \`anyOf\``,
      );
    }
    assertTakes(operator, left, right);
    return { status: 'parsed', comparison: { left, operator, right, text } };
  });
}

/** A path alone, as templates and mappings have it. */
export function parsePath(text: string, options: PathOptions): ParsedPath {
  if (text.length > maxLength)
    return { status: 'invalid', at: maxLength, message: `the path is longer than ${maxLength} characters` };
  return attempt(() => {
    const cursor: Cursor = { text, at: 0 };
    const path = readPathAt(cursor, options);
    if (cursor.at < text.length)
      throw new Trouble(cursor.at, `\`${text.slice(cursor.at)}\` follows the path`);
    return { status: 'parsed', path };
  });
}

function attempt<T>(parse: () => T): T | Invalid {
  try {
    return parse();
  } catch (error) {
    if (error instanceof Trouble) return { status: 'invalid', at: error.at, message: error.message };
    throw error;
  }
}

/** What other languages would take, named before the parser trips over it. */
function refuseCombined(text: string): void {
  const bare = text.replace(/"[^"]*"|'[^']*'/g, (quoted) => ' '.repeat(quoted.length));
  const hints: readonly (readonly [RegExp, string])[] = [
    [/&&|\|\|/, 'an expression is exactly one comparison: use `allOf` for `&&`, `anyOf` for `||`'],
    [/[()]/, 'parentheses are not part of an expression: use `allOf`, `anyOf` and `not`'],
    [/=~|!~/, 'there are no regular expressions: use `starts_with` or `contains`'],
    [/(?<![=!<>])=(?!=)/, 'a single `=` compares nothing: use `==`'],
    [/===|!==/, 'there is no strict comparison: `==` and `!=` never convert'],
  ];
  for (const [pattern, message] of hints) {
    const found = pattern.exec(bare);
    if (found !== null) throw new Trouble(found.index, message);
  }
}

function skip(cursor: Cursor): void {
  while (/\s/.test(cursor.text[cursor.at] ?? '')) cursor.at += 1;
}

function operand(cursor: Cursor, options: PathOptions): Operand {
  skip(cursor);
  const rest = cursor.text.slice(cursor.at);
  if (rest === '') throw new Trouble(cursor.at, 'an operand is missing: write `operand operator operand`');
  if (rest.startsWith('$')) return readPathAt(cursor, options);
  if (rest.startsWith('"') || rest.startsWith("'")) return quoted(cursor);
  const number = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?(?![\w.])/.exec(rest);
  if (number !== null) {
    cursor.at += number[0].length;
    return numberLiteral(cursor.at, number[0]);
  }
  return word(cursor, rest, options);
}

function numberLiteral(at: number, text: string): Literal {
  const value = Number(text);
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
    throw new Trouble(at, `the number \`${text}\` is beyond what is exact`);
  return { kind: 'literal', value };
}

function quoted(cursor: Cursor): Literal {
  const quote = cursor.text[cursor.at] ?? '';
  const end = cursor.text.indexOf(quote, cursor.at + 1);
  if (end === -1) throw new Trouble(cursor.at, `the quote \`${quote}\` is not closed`);
  const value = cursor.text.slice(cursor.at + 1, end);
  if (value.includes('\\'))
    throw new Trouble(cursor.at, 'a quoted string has no escapes: use the other kind of quote');
  cursor.at = end + 1;
  return { kind: 'literal', value };
}

function word(cursor: Cursor, rest: string, options: PathOptions): Operand {
  const found = /^[A-Za-z_][\w.-]*/.exec(rest)?.[0];
  const start = cursor.at;
  if (found === undefined)
    throw new Trouble(
      start,
      `\`${rest.slice(0, 20)}\` is no operand: use a path such as \`$.context.name\`, a number, a quoted string, true, false or null`,
    );
  cursor.at += found.length;
  if (found === 'true' || found === 'false') return { kind: 'literal', value: found === 'true' };
  if (found === 'null') return { kind: 'literal', value: null };
  if (options.bareNames === true && /^[A-Za-z_]\w*(\.\w+)*$/.test(found)) {
    return { kind: 'path', scope: 'arguments', segments: found.split('.'), optional: false, text: found };
  }
  throw new Trouble(
    start,
    `the word \`${found}\` is not quoted: write \`"${found}"\` for the text, or a path such as \`$.context.${found}\``,
  );
}

function readOperator(cursor: Cursor): Operator {
  skip(cursor);
  const rest = cursor.text.slice(cursor.at);
  const found = operators.find(
    (one) => rest.startsWith(one) && (/^[<>=!]/.test(one) || /^\s/.test(rest.slice(one.length))),
  );
  if (found === undefined) {
    const seen = /^\S+/.exec(rest)?.[0] ?? '';
    throw new Trouble(
      cursor.at,
      seen === ''
        ? 'an operator is missing: write `operand operator operand`'
        : `\`${seen.slice(0, 20)}\` is no operator: use one of ${operators.join(' ')}`,
    );
  }
  cursor.at += found.length;
  return found;
}

const scopeNames: readonly (readonly [string, Scope])[] = [
  ['$.arguments', 'arguments'],
  ['$.context', 'context'],
  ['$.workflow.input', 'input'],
  ['$.output', 'output'],
  ['$.response', 'response'],
];

function readPathAt(cursor: Cursor, options: PathOptions): Path {
  const start = cursor.at;
  const rest = cursor.text.slice(start);
  const found = scopeNames.find(([name]) => rest.startsWith(name) && !/[\w-]/.test(rest[name.length] ?? ''));
  const allowed = scopeNames
    .filter(([, scope]) => options.scopes.includes(scope))
    .map(([name]) => `\`${name}\``);
  if (found === undefined || !options.scopes.includes(found[1])) {
    throw new Trouble(
      start,
      `\`${/^\S+/.exec(rest)?.[0].slice(0, 60) ?? ''}\` reads an unknown scope: here a path starts with ${allowed.join(', ')}`,
    );
  }
  cursor.at += found[0].length;
  const segments: string[] = [];
  for (let segment = readSegment(cursor); segment !== null; segment = readSegment(cursor))
    segments.push(segment);
  const optional = cursor.text[cursor.at] === '?';
  if (optional && options.optional !== true)
    throw new Trouble(cursor.at, 'a trailing `?` is for templates only');
  if (optional) cursor.at += 1;
  return { kind: 'path', scope: found[1], segments, optional, text: cursor.text.slice(start, cursor.at) };
}

/** `.name`, `.0`, `[0]`, `["odd name"]`. */
function readSegment(cursor: Cursor): string | null {
  const rest = cursor.text.slice(cursor.at);
  const dotted = /^\.([\w-]+)/.exec(rest);
  const bracketed =
    /^\[(0|[1-9]\d*)\]/.exec(rest) ?? /^\["([^"]*)"\]/.exec(rest) ?? /^\['([^']*)'\]/.exec(rest);
  const found = dotted ?? bracketed;
  if (found === null) {
    if (rest.startsWith('.') || rest.startsWith('['))
      throw new Trouble(
        cursor.at,
        `\`${rest.slice(0, 20)}\` is no part of a path: use \`.name\`, \`[0]\` or \`["odd name"]\``,
      );
    return null;
  }
  cursor.at += found[0].length;
  return found[1] ?? '';
}

/** A literal that its operator can never take is a mistake, not a guard. */
function assertTakes(operator: Operator, left: Operand, right: Operand): void {
  for (const side of [left, right]) {
    if (side.kind !== 'literal') continue;
    const type = side.value === null ? 'null' : typeof side.value;
    if (/^[<>]/.test(operator) && type !== 'number')
      throw new Trouble(0, `\`${operator}\` compares numbers, and \`${String(side.value)}\` is ${type}`);
    if (operator === 'starts_with' && type !== 'string')
      throw new Trouble(0, `\`starts_with\` takes strings, and \`${String(side.value)}\` is ${type}`);
    if (operator === 'contains' && (type === 'null' || (side === left && type !== 'string')))
      throw new Trouble(
        0,
        `\`contains\` looks in a string or an array for a scalar, and \`${String(side.value)}\` is ${type}`,
      );
  }
}
