import type { Executor } from './plan.js';
import type { Executing } from './state.js';

// Whether a call changes something outside, and whether it may be made again by itself.

/** Fail closed: without a tier, everything but a GET or HEAD and a noop is taken to change something. */
export function hasEffect({ action }: Pick<Executing, 'action'>, executor: Executor): boolean {
  if (executor.kind === 'noop' || action.tier === 'read_only') return false;
  return !(executor.kind === 'rest' && (executor.method === 'GET' || executor.method === 'HEAD'));
}

/** With an idempotency key, or where nothing is changed by it. */
export function isRepeatable(executing: Pick<Executing, 'action'>, executor: Executor): boolean {
  return !hasEffect(executing, executor) || ('idempotencyKey' in executor && executor.idempotencyKey);
}
