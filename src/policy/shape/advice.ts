import { z } from 'zod';
import { isObject, type Json } from '../../model/values/json.js';
import { truncate } from '../../model/values/text.js';
import type { PathSegment } from '../text/problems.js';
import { parseText, type Media } from '../text/source.js';
import { keysOf, kindsOf, optionsAt, type AnyShape } from './keys.js';
import { toolShape } from './shapes.js';

// What to write where a value is of the wrong type. Each advice is tried on the shape before it is given.

/** Advice, as the end of a sentence; or why the value, taken as the text that belongs here, does not fit either. */
type Advice =
  | { readonly kind: 'hint'; readonly hint: string }
  | { readonly kind: 'complaint'; readonly issue: z.core.$ZodIssue };

/** `written`: how the author wrote the value, if that differs from its JSON. What is advised is written in `media`. */
export function adviceFor(
  options: readonly AnyShape[],
  value: Json,
  written: string | null,
  media: Media,
  key?: PathSegment,
): Advice {
  const shown = written ?? (typeof value === 'string' ? value : JSON.stringify(value));
  const form = fittingForm(options, value, key === 'args' ? asWords(shown) : shown, media);
  if (form !== undefined) return { kind: 'hint', hint: `: write it as ${form}` };
  const named = isObject(value) && options.some(listsTools) ? Object.entries(value)[0] : undefined;
  if (named !== undefined && isObject(named[1])) {
    const entry = media === 'json' ? `[{"name": ${JSON.stringify(named[0])}, …}]` : `- name: ${named[0]}`;
    return { kind: 'hint', hint: `: write it as a list, each with its \`name\` in it, \`${entry}\`` };
  }
  const entry = Array.isArray(value) ? (value as readonly Json[])[0] : undefined;
  if (isObject(entry) && typeof entry['name'] === 'string' && options.some(isRecord)) {
    const name = truncate(entry['name'], 60);
    const under = media === 'json' ? `{${JSON.stringify(name)}: {…}}` : `${name}: {…}`;
    return { kind: 'hint', hint: `: write each under its name, without \`name\` in it, \`${under}\`` };
  }
  const text = options.find((option) => option._zod.def.type === 'string');
  const issue =
    text && (isScalar(value) || typeof value === 'string')
      ? z.safeParse(text, shown).error?.issues[0]
      : undefined;
  if (issue !== undefined) return { kind: 'complaint', issue };
  const kinds = kindsOf(options);
  if (Array.isArray(value) && kinds.includes('allOf'))
    return {
      kind: 'hint',
      hint: `: write several guards as one, \`${combined('allOf', media)}\` where each has to hold, and with \`anyOf\` where one is enough`,
    };
  return { kind: 'hint', hint: kinds.length > 0 ? listed('kinds', kinds) : listed('keys', keysOf(options)) };
}

/** The form of a guard that is made of others. */
export function combined(kind: string, media: Media): string {
  const [one, inner] =
    kind === 'not'
      ? ["guard: { kind: expr, expr: '…' }", '"guard": {"kind": "expr", "expr": "…"}']
      : ["guards: [{ kind: expr, expr: '…' }, …]", '"guards": [{"kind": "expr", "expr": "…"}, …]'];
  return media === 'json' ? `{"kind": "${kind}", ${inner}}` : `{ kind: ${kind}, ${one} }`;
}

/** The end of a sentence that names what can stand here. */
export function listed(what: 'keys' | 'kinds', names: readonly string[]): string {
  return names.length === 0 ? '' : `: the ${what} here are ${quoteNames(names)}`;
}

export function quoteNames(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

/** What the author wrote, in quotes or brackets, or in braces under the only key that takes it. */
function fittingForm(
  options: readonly AnyShape[],
  value: Json,
  shown: string,
  media: Media,
): string | undefined {
  if (value === null || !/^\S.{0,59}$/u.test(shown)) return undefined;
  const fits = (form: Json): boolean =>
    options.some(
      (option) =>
        z.safeParse(option, form).success &&
        (!listsTools(option) || z.array(toolShape).safeParse(form).success),
    );
  const ifItFits = (form: string): string | undefined => {
    const parsed = parseText(form);
    if (parsed.status === 'invalid' || !fits(parsed.source.value)) return undefined;
    return media === 'json' ? JSON.stringify(parsed.source.value) : form;
  };
  const quoted = JSON.stringify(shown);
  if (typeof value !== 'object' && fits(shown)) return `text, \`${quoted}\``;
  const guard = typeof value === 'string' && comparison.test(value) ? exprOf(value) : undefined;
  const asGuard = guard && (ifItFits(guard) ?? ifItFits(`[${guard}]`));
  if (asGuard !== undefined) return `a guard, \`${asGuard}\``;
  const list = ifItFits(`[${shown}]`);
  if (list !== undefined) return `a list, \`${list}\``;
  if (typeof value === 'object') return undefined;
  if (fits([shown])) return `a list, \`[${quoted}]\``;
  const [key, other] = keysOf(options).filter((name) => fits({ [name]: value }) && !isChoice(options, name));
  if (key === undefined || other !== undefined) return undefined;
  const mapping = ifItFits(`{ ${key}: ${shown} }`);
  return mapping && `a mapping, \`${mapping}\``;
}

/** A comparison that stands where a guard belongs. */
const comparison = /\s(?:[<>=!]=?|contains|starts_with)\s/;

function exprOf(text: string): string {
  return `{ kind: expr, expr: ${text.includes("'") ? JSON.stringify(text) : `'${text}'`} }`;
}

/** A list of tools: each is compared with its own shape later, and anything is taken for one here. */
function listsTools({ _zod: { def } }: AnyShape): boolean {
  return def.type === 'array' && 'element' in def && (def.element as AnyShape)._zod.def.type === 'unknown';
}

function isRecord({ _zod: { def } }: AnyShape): boolean {
  return def.type === 'record';
}

const wordsOfYaml = /^(?:true|false|null|\.inf|\.nan)$/i;

/** A command line as the words of a list: a program takes each argument by itself. */
function asWords(line: string): string {
  if (!/^[^\s,"'[\]{}]+(?: +[^\s,"'[\]{}]+)+$/.test(line)) return line;
  const isPlain = (word: string): boolean =>
    /^-{0,2}[a-z_./][\w./=-]*$/i.test(word) && !wordsOfYaml.test(word);
  return line
    .split(/ +/)
    .map((word) => (isPlain(word) ? word : JSON.stringify(word)))
    .join(', ');
}

/** A key that takes one of a few words: it says how, and another key says what. */
function isChoice(options: readonly AnyShape[], key: string): boolean {
  return options
    .flatMap((option) => optionsAt(option, [key], undefined))
    .some((option) => option._zod.def.type === 'enum');
}

function isScalar(value: Json): boolean {
  return typeof value === 'number' || typeof value === 'boolean';
}
