import type { Executor, Transition } from '../plan.js';
import type { Action } from '../state.js';

// What a step calls outside, whether that changes something there, and whether it may be made again by itself.

/** What may be called, and what is called instead where it fails. */
export type Calling = Pick<Transition, 'executor' | 'reliability'>;

/** Every executor of a step that calls something outside, fallbacks included; none: the step calls nothing. */
export function callsOf({ executor, reliability }: Calling): readonly Executor[] {
  if (executor === null || executor.kind === 'human') return [];
  return [executor, ...reliability.fallback].filter(({ kind }) => kind !== 'noop' && kind !== 'human');
}

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
  'x_original_method',
];

export function isMethodOverride(name: string): boolean {
  return overrides.includes(asRead(name));
}

/** Stands for what a hole in a path is filled with. */
const filled = '{…}';

/** Is some of a name filled in? Then its author does not say what it is. */
export function isFilledIn(name: string): boolean {
  return name.includes(filled);
}

/** The header, of the call or of its connection, or the query that makes it another method, or may; null: it has none. */
export function overrideOf({
  headers,
  query,
  path,
  overriddenBy,
}: Extract<Executor, { kind: 'rest' }>): string | null {
  const own = [...headers, ...query].map(({ key }) => key);
  return own.find(isMethodOverride) ?? namesInPath(path).find(namesAnOverride) ?? overriddenBy ?? null;
}

function namesAnOverride(name: string): boolean {
  if (!isFilledIn(name)) return isMethodOverride(name);
  const written = name.slice(0, name.indexOf(filled));
  return overrides.some((one) => one.startsWith(asRead(written)));
}

/** A path may have a query of its own. Some servers take `;` for `&`, and read names behind it in the path too. */
function namesInPath({ parts }: Extract<Executor, { kind: 'rest' }>['path']): readonly string[] {
  const written = parts.map((part) => (typeof part === 'string' ? part : filled)).join('');
  const [, ...pairs] = written.split(/[?&;]/u);
  return pairs.map((pair) => pair.replace(/=.*$/su, ''));
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
