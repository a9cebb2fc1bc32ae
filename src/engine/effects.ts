import type { Executor, Transition } from './plan.js';
import type { Executing } from './state.js';

// What a step calls outside, whether that changes something there, and whether it may be made again by itself.

/** What may be called, and what is called instead where it fails. */
export type Calling = Pick<Transition, 'executor' | 'reliability'>;

/** Every executor of a step that calls something outside, fallbacks included; none: the step calls nothing. */
export function callsOf({ executor, reliability }: Calling): readonly Executor[] {
  if (executor === null || executor.kind === 'human') return [];
  return [executor, ...reliability.fallback].filter(({ kind }) => kind !== 'noop' && kind !== 'human');
}

/** A step by its tier. */
interface Tiered {
  readonly action: Pick<Executing['action'], 'tier'>;
}

/** Fail closed: without a tier, everything but a GET or HEAD and a noop is taken to change something. */
export function hasEffect({ action }: Tiered, executor: Executor): boolean {
  if (executor.kind === 'noop' || action.tier === 'read_only') return false;
  const isRead = executor.kind === 'rest' && (executor.method === 'GET' || executor.method === 'HEAD');
  return !isRead || overrideOf(executor) !== null;
}

/** What frameworks take for the method of a call, whatever its request line says. */
const overrides = new Set([
  'x-http-method-override',
  'x-http-method',
  'x-method-override',
  '_method',
  '$httpmethod',
  'x-original-method',
]);

export function isMethodOverride(name: string): boolean {
  return overrides.has(name.toLowerCase());
}

/** The call's own header or query that makes it another method; null: it has none. */
export function overrideOf({ headers, query, path }: Extract<Executor, { kind: 'rest' }>): string | null {
  const own = [...headers, ...query].map(({ key }) => key);
  return [...own, ...namesInPath(path)].find(isMethodOverride) ?? null;
}

/** A path may have a query of its own. */
function namesInPath({ parts }: Extract<Executor, { kind: 'rest' }>['path']): readonly string[] {
  const written = parts.map((part) => (typeof part === 'string' ? part : 'x')).join('');
  const [, ...query] = written.split('?');
  const names = query.join('?').split('&');
  return names.map((pair) => decoded(pair.replace(/=.*$/su, '')));
}

/** What is no encoding stands for itself. */
function decoded(name: string): string {
  return name.replace(/%[0-7][0-9a-f]/giu, decodeURIComponent);
}

/** With an idempotency key, or where nothing is changed by it. */
export function isRepeatable(executing: Tiered, executor: Executor): boolean {
  return !hasEffect(executing, executor) || ('idempotencyKey' in executor && executor.idempotencyKey);
}
