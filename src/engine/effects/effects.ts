import {
  asksPeople,
  callsNothing,
  isCall,
  type CallExecutor,
  type Executor,
  type Transition,
} from '../plan.js';
import type { Action, Kit } from '../state.js';

// What a step calls outside, whether that changes something there, and whether it may be made again by itself.

/** What may be called, and what is called instead where it fails. */
export type Calling = Pick<Transition, 'executor' | 'reliability'>;

/** Every executor of a step that calls something outside, fallbacks included; none: the step calls nothing. */
export function callsOf({ executor, reliability }: Calling): readonly CallExecutor[] {
  if (executor === null || asksPeople(executor)) return [];
  return [executor, ...reliability.fallback].filter(isCall);
}

/** Of whose step the call is: what its author says of it. */
export interface Judged {
  readonly action: Pick<Action, 'tier'>;
}

/**
 * The one place that says whether a call may change something. Its author's word counts, whatever the call is; fail closed:
 * without a tier, everything is taken to change something but what its kind knows to be a read (`kit.isRead`).
 */
export function hasEffect(
  { isRead }: Pick<Kit, 'isRead'>,
  { action: { tier } }: Judged,
  executor: Executor,
): boolean {
  if (callsNothing(executor) || tier === 'read_only') return false;
  return tier !== null || !isCall(executor) || !isRead(executor);
}

/** With an idempotency key, or where nothing is changed by it. */
export function isRepeatable(kit: Pick<Kit, 'isRead'>, judged: Judged, executor: Executor): boolean {
  return !hasEffect(kit, judged, executor) || ('idempotencyKey' in executor && executor.idempotencyKey);
}
