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

/** The call of a step, and its fallbacks. */
export type Calling = Pick<Transition, 'executor' | 'reliability'>;

/** Every executor of a step that calls something outside, fallbacks included; none: the step calls nothing. */
export function callsOf({ executor, reliability }: Calling): readonly CallExecutor[] {
  if (executor === null || asksPeople(executor)) return [];
  return [executor, ...reliability.fallback].filter(isCall);
}

/** The step whose call is judged, with the tier that its author gave it. */
export interface JudgedStep {
  readonly action: Pick<Action, 'tier'>;
}

/**
 * The only place that says whether a call may change something. Where its author gave a tier, that decides. Without a tier
 * it fails closed: every call is taken to change something, unless its kind knows that it only reads (`kit.isRead`).
 */
export function hasEffect(
  { isRead }: Pick<Kit, 'isRead'>,
  { action: { tier } }: JudgedStep,
  executor: Executor,
): boolean {
  if (callsNothing(executor) || tier === 'read_only') return false;
  return tier !== null || !isCall(executor) || !isRead(executor);
}

/** May the call be made again without asking anybody? It has an idempotency key, or changes nothing. */
export function isRepeatable(kit: Pick<Kit, 'isRead'>, judged: JudgedStep, executor: Executor): boolean {
  return !hasEffect(kit, judged, executor) || ('idempotencyKey' in executor && executor.idempotencyKey);
}
