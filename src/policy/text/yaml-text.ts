import { Composer, CST, Lexer, Parser, type Document, type ErrorCode } from 'yaml';
import { isExactNumber } from '../../model/values/json.js';
import { nameTrouble, truncate } from '../../model/values/text.js';

// Text to one YAML document. Sizes are checked before the tree is built: a thousand open brackets would end the whole process in
// a recursive composer, and anybody may have a text checked.

export interface Trouble {
  readonly code: 'MALFORMED' | 'TOO_LARGE';
  /** Offset into the text. */
  readonly offset: number;
  readonly message: string;
}

export type Composed =
  | {
      readonly status: 'composed';
      readonly document: Document;
      /** A character that a reader takes for a space or for the end of a line, and that is text to YAML. */
      readonly oddSpace: Trouble | null;
    }
  | { readonly status: 'invalid'; readonly trouble: Trouble };

const maxLength = 1_048_576;
const maxTokens = 150_000;
/** Levels of YAML's nesting: a few more than values may have, so that values nested too deeply are reported with their path. */
const maxOpen = 80;

/** A text that is not even looked into; null: it is short enough. */
export function lengthTrouble(text: string): Trouble | null {
  return text.length <= maxLength
    ? null
    : {
        code: 'TOO_LARGE',
        offset: 0,
        message: `the document is longer than ${maxLength} characters: split it`,
      };
}

export function composeText(text: string): Composed {
  const fail = (trouble: Trouble): Composed => ({ status: 'invalid', trouble });
  const { tokens, refused, oddSpace } = tokensOf(text);
  if (refused !== null) return fail(refused.code === 'MALFORMED' ? (oddSpace ?? refused) : refused);
  const composer = new Composer({
    // Checked while values are read: here the time would grow with the square of a mapping's size.
    uniqueKeys: false,
    strict: true,
    version: '1.2',
    schema: 'core',
    merge: false,
    logLevel: 'error',
    prettyErrors: false,
  });
  const [document] = composer.compose(tokens, true, text.length);
  if (document === undefined) return fail({ code: 'MALFORMED', offset: 0, message: 'there is no document' });
  const issue = document.errors[0] ?? document.warnings[0];
  if (issue !== undefined)
    return fail(
      conflictTrouble(text) ??
        oddSpace ??
        tabTrouble(text, issue.pos[0]) ?? {
          code: 'MALFORMED',
          offset: issue.pos[0],
          message: explainYaml(issue.code, issue.message),
        },
    );
  return { status: 'composed', document, oddSpace };
}

interface Tokens {
  readonly tokens: readonly CST.Token[];
  readonly refused: Trouble | null;
  readonly oddSpace: Trouble | null;
}

function tokensOf(text: string): Tokens {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  let oddSpace = returnTrouble(text) ?? unprintableTrouble(text);
  const end = (refused: Trouble | null): Tokens => ({ tokens, refused, oddSpace });
  let count = 0;
  let before = '';
  for (const lexeme of new Lexer().lex(text)) {
    // YAML counts no tab as indent, so a line that begins with one may end the list or mapping around it.
    if (lexeme === CST.FLOW_END && /^\s*\t/.test(before))
      return end({ code: 'MALFORMED', offset: parser.offset - before.length, message: tabsTrouble });
    // Not in quotes, in a comment, or on the lines of a block.
    if (!/^['"#]/.test(lexeme) && parser.stack.at(-1)?.type !== 'block-scalar')
      oddSpace ??= spaceTrouble(lexeme, parser.offset);
    if (lexeme.startsWith('#')) oddSpace ??= commentTrouble(lexeme, parser.offset);
    before = lexeme;
    for (const token of parser.next(lexeme)) {
      const refused = tokenTrouble(token, tokens);
      if (refused !== null) return end(refused);
      tokens.push(token);
    }
    count += 1;
    if (count > maxTokens)
      return end({
        code: 'TOO_LARGE',
        offset: parser.offset,
        message: `the document has more than ${maxTokens} parts: split it`,
      });
    if (parser.stack.length > maxOpen)
      return end({ code: 'TOO_LARGE', offset: parser.offset, message: 'nested too deeply' });
  }
  for (const token of parser.end()) {
    const refused = tokenTrouble(token, tokens);
    if (refused !== null) return end(refused);
    tokens.push(token);
  }
  return end(null);
}

/**
 * A carriage return that does not belong to the end of a line. Editors, and other readers of YAML, show two lines where this
 * parser sees one: what follows it behind a comment would be a part of the comment.
 */
function returnTrouble(text: string): Trouble | null {
  const offset = text.search(/\r(?!\n)/);
  return offset === -1
    ? null
    : {
        code: 'MALFORMED',
        offset,
        message:
          'this line holds U+000D (a carriage return) without a line feed behind it, which some readers take for the end of a line and others do not: end lines with a line feed (`\\n` or `\\r\\n`)',
      };
}

/** A control character, which YAML has none of but tabs and line ends: a terminal that shows the file may hide or move a line for it. */
function unprintableTrouble(text: string): Trouble | null {
  const offset = text.search(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/);
  if (offset === -1) return null;
  const code = codePoint(text, offset);
  return {
    code: 'MALFORMED',
    offset,
    message: `this line holds U+${code}, which is no character of YAML, and which not every reader shows: take it out, or write it as \`\\x${code.slice(2)}\` in double quotes`,
  };
}

/**
 * A character in a comment that ended a line in YAML 1.1, whose readers are in use still; or by which an editor shows what stands
 * around it in another order.
 */
function commentTrouble(comment: string, offset: number): Trouble | null {
  const at = comment.search(/[\u0080-\u009f\u2028-\u202e\u2066-\u2069]/);
  if (at === -1) return null;
  const isBreak = /[\u0085\u2028\u2029]/.test(comment.charAt(at));
  const why = isBreak
    ? 'which other readers of YAML take for the end of a line'
    : 'by which some readers show it in another order, or not at all';
  return {
    code: 'MALFORMED',
    offset: offset + at,
    message: `this comment holds U+${codePoint(comment, at)}, ${why}: take it out`,
  };
}

const codePoint = (text: string, at: number): string =>
  text.charCodeAt(at).toString(16).toUpperCase().padStart(4, '0');

/** Where a text without quotes would be read as something else if this character were a space. */
const oddSpaceWithin = /^[ \t]*[-?]?((?! )\p{Zs})|:((?! )\p{Zs})|((?! )\p{Zs})(?:#|$)/mu;

function spaceTrouble(scalar: string, offset: number): Trouble | null {
  const found = oddSpaceWithin.exec(scalar);
  const space = found?.[1] ?? found?.[2] ?? found?.[3];
  if (found === null || space === undefined) return null;
  return {
    code: 'MALFORMED',
    offset: offset + found.index + found[0].indexOf(space),
    message: `this line ${nameTrouble(space)}, or put the text in quotes if it is meant`,
  };
}

function tokenTrouble(token: CST.Token, before: readonly CST.Token[]): Trouble | null {
  if (token.type === 'error')
    return {
      code: 'MALFORMED',
      offset: token.offset,
      message: `${toMessage(token.message)}${yamlHint(token.message)}`,
    };
  if (token.type === 'directive')
    return {
      code: 'MALFORMED',
      offset: token.offset,
      message: `\`${truncate(token.source, 40)}\`: directives are not taken, leave it out`,
    };
  return token.type === 'document' && before.some((earlier) => earlier.type === 'document')
    ? {
        code: 'MALFORMED',
        offset: token.offset,
        message: 'a second document starts here: one file holds one document',
      }
    : null;
}

/** The conflict markers that a merge left, if any. */
export function conflictTrouble(text: string): Trouble | null {
  const found = /^(?:<{7}|>{7})(?: .*)?$/m.exec(text);
  return found === null
    ? null
    : {
        code: 'MALFORMED',
        offset: found.index,
        message:
          'a merge left a conflict here: keep one side, and take out the lines of `<<<<<<<`, `=======` and `>>>>>>>`',
      };
}

const tabsTrouble = 'tabs are not allowed as indentation: indent with spaces';

/** Where a tab begins the line that the parser stopped at. YAML counts no tab as indent, and tells only what that has ended. */
function tabTrouble(text: string, stopped: number): Trouble | null {
  const offset = text[stopped] === '\n' ? stopped + 1 : text.lastIndexOf('\n', stopped - 1) + 1;
  const indent = /^ *\t/.exec(text.slice(offset, offset + 200))?.[0];
  return indent === undefined || stopped >= offset + indent.length
    ? null
    : { code: 'MALFORMED', offset, message: tabsTrouble };
}

function explainYaml(code: ErrorCode, message: string): string {
  if (code === 'TAB_AS_INDENT') return tabsTrouble;
  if (code === 'TAG_RESOLVE_FAILED') return `${toMessage(message)}: tags are not taken`;
  if (code === 'BLOCK_AS_IMPLICIT_KEY')
    return 'what stands behind `:` holds another `: `, and reads as a mapping: put a text in quotes, or the mapping on lines of its own; if the next line belongs beside this one, begin both at the same column';
  if (message.startsWith('Implicit '))
    return 'a line without `:` stands where a `name: value` belongs: write it so, or put the text that it belongs to in quotes';
  return `${toMessage(message)}${yamlHint(message)}`;
}

const yamlHints: readonly (readonly [RegExp, string])[] = [
  [/^All mapping items must start at the same column/, 'indent this line as those beside it'],
  [/^Plain value cannot start with reserved character/, 'put the text in quotes'],
  [
    /^Block collections are not allowed within flow/,
    'within `{ }`, put a comma before each further `name: value`, and a text that holds `: ` in quotes',
  ],
  [
    /^Unexpected (?:comma|flow-)/,
    'within `{ }` and `[ ]`, put a text that holds a comma, a brace or a bracket in quotes',
  ],
];

/** What to do about it, where the parser says only what is wrong. */
function yamlHint(message: string): string {
  const found = yamlHints.find(([pattern]) => pattern.test(message));
  return found === undefined ? '' : `: ${found[1]}`;
}

/** The first line of a parser's message, in house style: lower case, no space at the end. */
export function toMessage(message: string): string {
  const first = (message.split('\n')[0] ?? message).replace(/\s+$/, '');
  return first.slice(0, 1).toLowerCase() + first.slice(1);
}

/** Why a number is not what its author wrote; null: it is. An account or a postal code may read as a number, and lose digits. */
export function numberTrouble(value: number, source: string): string | null {
  const written = source.length > 60 ? `${source.slice(0, 57)}...` : source;
  const quote = `write it as text, \`"${written}"\``;
  const digits = source.replace(/^[-+]/, '');
  if (/^0[0-9]/.test(digits))
    return `the number \`${written}\` begins with 0 and would lose that: ${quote}, or the number without it`;
  const isExact =
    Number.isFinite(value) &&
    (!Number.isInteger(value) || Number.isSafeInteger(value)) &&
    isExactNumber(source);
  return isExact ? null : `the number \`${written}\` is beyond what JSON holds exactly: ${quote}`;
}
