import { isObject, type JsonObject } from '../../model/values/json.js';
import { truncate } from '../../model/values/text.js';
import { warn, type Compiling, type Path } from '../compile/context.js';
import type { Place } from '../text/source.js';
import { isCredential } from './credentials.js';

// Templates of other notations (`{{arguments.name}}`, `${{ … }}`, `{name}`, `/:name`) mean nothing here, and would be sent as they
// stand. Braces and dollars are ordinary text too, so only those count that name a scope, or an argument that is declared.

/** What is filled in at a place: `text`: holes; `path`: a text that is a path as a whole; `nothing`: not even that. */
export type Filling = 'text' | 'path' | 'nothing';

/** Bounded, so that a long text is looked through in linear time. */
const name = String.raw`[\p{L}_][\p{L}\p{N}_-]{0,99}(?![\p{L}\p{N}_-])`;
const scoped = String.raw`(?<scope>arguments|context|workflow\.input|input)(?:\.(?<key>${name})|\[["'](?<quoted>${name})["']\])(?<rest>(?:\.${name}){0,9})`;
const inBraces = new RegExp(String.raw`[$#]?\{{1,3}\s*[$.]?${scoped}[^{}]*\}{1,3}`, 'u');
const behindDollar = new RegExp(String.raw`\$${scoped}`, 'u');
const argumentAlone = new RegExp(String.raw`^arguments\.(?<bare>${name})$`, 'gu');
const bareInBraces = new RegExp(
  String.raw`\$?\{\{\s*[$.]?(?<twice>${name})\s*\}\}|\$\{(?<shell>${name})\}|\{\$?(?<once>${name})\}`,
  'gu',
);
const segment = new RegExp(String.raw`(?<=/):(?<bare>${name})(?=$|[/?])`, 'gu');
/** Here a name in single braces is a selection. */
const graphQl =
  /^(?:\s*#[^\n]*\n)*\s*(?:query|mutation|subscription|fragment)(?![\p{L}\p{N}_-])|^(?:\s*#[^\n]*\n)*\s*\{\s*[^\s{}()]+\s*[({]/u;

/** The names that a schema declares itself, at the top. */
export function argumentNames(schema: JsonObject | undefined): ReadonlySet<string> {
  const properties = schema?.['properties'];
  return new Set(isObject(properties) ? Object.keys(properties) : []);
}

/** Warns of the first template of another notation in a text. The message tells no credential. */
export function warnOfOtherNotation(
  to: Compiling,
  text: string,
  path: Path,
  filling: Filling,
  at: Place = 'value',
): void {
  const found = findTemplate(text, to.argumentNames ?? new Set(), filling);
  if (found === null) return;
  const what = isCredential(text) ? 'this text' : `\`${truncate(found.written, 120)}\``;
  const way = {
    text: `a value stands in braces, as a path: write \`{${found.meant}}\``,
    path: `nothing is filled in here but a text that is a path as a whole: write \`${found.meant}\` and nothing else`,
    nothing: 'nothing is filled in here: write the text itself',
  }[filling];
  const message = `${what} would be taken as it is written, since ${way}`;
  warn(to, 'TEMPLATE_NOT_FILLED', path, message, at);
}

interface Template {
  readonly written: string;
  /** The path in its place. */
  readonly meant: string;
}

function findTemplate(text: string, declared: ReadonlySet<string>, filling: Filling): Template | null {
  if (text.length < 2) return null;
  const withScope = inBraces.exec(text) ?? behindDollar.exec(text);
  if (withScope !== null) {
    const { scope = '', key, quoted, rest = '' } = withScope.groups ?? {};
    const from = scope === 'input' ? 'workflow.input' : scope;
    return { written: withScope[0], meant: `$.${from}.${key ?? quoted ?? ''}${rest}` };
  }
  const bare = [
    ...text.matchAll(argumentAlone),
    ...text.matchAll(bareInBraces),
    ...(filling === 'text' ? text.matchAll(segment) : []),
  ];
  // Asked once: it looks through the text.
  const isGraphQl = bare.length > 0 && graphQl.test(text);
  for (const { 0: written, groups = {} } of bare) {
    const { twice, shell, once, bare: alone } = groups;
    const argument = twice ?? shell ?? once ?? alone ?? '';
    if (!declared.has(argument)) continue;
    if (once !== undefined && written !== text && isGraphQl) continue;
    return { written, meant: `$.arguments.${argument}` };
  }
  return null;
}
