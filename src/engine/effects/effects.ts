import { isObject, type Json } from '../../model/json.js';
import type { Executor, Template, TextTemplate, Transition } from '../plan.js';
import type { Action } from '../state.js';

// What a step calls outside, whether that changes something there, and whether it may be made again by itself.

/** What may be called, and what is called instead where it fails. */
export type Calling = Pick<Transition, 'executor' | 'reliability'>;

/** Every executor of a step that calls something outside, fallbacks included; none: the step calls nothing. */
export function callsOf({ executor, reliability }: Calling): readonly Executor[] {
  if (executor === null || executor.kind === 'human') return [];
  return [executor, ...reliability.fallback].filter(({ kind }) => kind !== 'noop' && kind !== 'human');
}

/** The kind of evidence that each kind of executor records by itself when it has succeeded; of a human, for each approval. */
export const ownEvidence = {
  rest: 'rest_call',
  mcp: 'mcp_tool_result',
  cli: 'cli_output',
  human: 'human_request',
  noop: null,
} as const satisfies Readonly<Record<Executor['kind'], string | null>>;

/** Of whose step the call is: what its author says of it. */
export interface Judged {
  readonly action: Pick<Action, 'tier'>;
}

/**
 * The one place that says whether a call may change something. Its author's word counts, whatever the method; fail closed:
 * without a tier, everything but a GET or HEAD and a noop is taken to change something.
 */
export function hasEffect({ action: { tier } }: Judged, executor: Executor): boolean {
  if (executor.kind === 'noop' || tier === 'read_only') return false;
  if (tier !== null) return true;
  const isRead = executor.kind === 'rest' && (executor.method === 'GET' || executor.method === 'HEAD');
  return !isRead || overrideOf(executor) !== null;
}

/** What frameworks take for the method of a call, whatever its request line says. Servers read `-`, `.` and a blank as `_`. */
const overrides: readonly string[] = [
  'x_http_method_override',
  'x_http_method',
  'x_method_override',
  '_method',
  '$httpmethod',
  '_httpmethod',
  'x_tunneled_method',
  'x_original_method',
];

export function isMethodOverride(name: string): boolean {
  return mayName.test(name) && overrides.includes(asRead(name));
}

/** In each of them, unless it is encoded: most names need not be read closer. */
const mayName = /method|%/iu;

/** Stands for what a hole in a path is filled with. */
const filled = '{…}';

/** Is some of a name filled in? Then its author does not say what it is. */
export function isFilledIn(name: string): boolean {
  return name.includes(filled);
}

/**
 * The header, of the call or of its connection, the query or the name in its body that makes it another method, or may; null:
 * it has none. What fills a body is not known yet: `overrideInBody` looks at that when the call is built.
 */
export function overrideOf({
  headers,
  query,
  path,
  body,
  overriddenBy,
}: Extract<Executor, { kind: 'rest' }>): string | null {
  const own = [...[...headers, ...query].map(({ key }) => key), ...namesWritten(body)];
  return own.find(isMethodOverride) ?? namesInPath(path).find(namesAnOverride) ?? overriddenBy ?? null;
}

function namesAnOverride(name: string): boolean {
  if (!isFilledIn(name)) return isMethodOverride(name);
  const written = name.slice(0, name.indexOf(filled));
  return overrides.some((one) => one.startsWith(asRead(written)));
}

/** A path may have a query of its own. Some servers take `;` for `&`, and read names behind it in the path too. */
function namesInPath(path: TextTemplate): readonly string[] {
  const [, ...pairs] = asText(path).split(/[?&;]/u);
  return pairs.map((pair) => pair.replace(/=.*$/su, ''));
}

function asText({ parts }: TextTemplate): string {
  return parts.map((part) => (typeof part === 'string' ? part : filled)).join('');
}

/** What makes the call another method in a body as it will be sent, as servers read the name; null: nothing. */
export function overrideInBody(body: Json): string | null {
  const name = namesIn(body).find(isMethodOverride);
  return name === undefined ? null : asRead(name);
}

/** The names of a body that its author has written. */
function namesWritten(body: Template | null): readonly string[] {
  if (body?.kind === 'object') return body.entries.map(({ key }) => key);
  return body?.kind === 'literal' ? namesIn(body.value) : body?.kind === 'text' ? namesIn(asText(body)) : [];
}

/** Of an object, or of a text that is a form, in one part or several, or JSON. */
function namesIn(body: Json): readonly string[] {
  if (isObject(body)) return Object.keys(body);
  if (typeof body !== 'string') return [];
  const pairs = body.split(/[&;\r\n]/u).map((pair) => pair.replace(/=.*$/su, ''));
  const parts = [...body.matchAll(/\bname\*?=["']?([^"';\r\n]*)/giu)].map(([, name = '']) => name);
  return [...pairs, ...parts, ...namesInJson(body)];
}

function namesInJson(text: string): readonly string[] {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? Object.keys(value) : [];
  } catch {
    return [];
  }
}

/** As the widest reader takes a name: decoded, without blanks around it and without the index of a list. */
function asRead(name: string): string {
  const plain = decoded(name.replaceAll('+', ' ')).trim().replace(/^\[/u, '_');
  return plain
    .replace(/[[\0].*$/su, '')
    .replace(/[-. ]/gu, '_')
    .toLowerCase();
}

/** What is no encoding stands for itself. */
function decoded(name: string): string {
  return name.replace(/%[0-7][0-9a-f]/giu, decodeURIComponent);
}

/** With an idempotency key, or where nothing is changed by it. */
export function isRepeatable(judged: Judged, executor: Executor): boolean {
  return !hasEffect(judged, executor) || ('idempotencyKey' in executor && executor.idempotencyKey);
}
