import * as engine from '../engine/effects/effects.js';
import type { CallExecutor, Executor } from '../engine/plan.js';
import { kinds } from './kinds.js';

// What the engine says of effects, with what the kinds know of their calls.

/** Is the call, as far as its kind can tell, a read whatever its author says? Of a kind that nobody knows it is none. */
export function isRead(executor: CallExecutor): boolean {
  return kinds.find(({ name }) => name === executor.kind)?.isRead?.(executor) ?? false;
}

export function hasEffect(judged: engine.Judged, executor: Executor): boolean {
  return engine.hasEffect({ isRead }, judged, executor);
}

export function isRepeatable(judged: engine.Judged, executor: Executor): boolean {
  return engine.isRepeatable({ isRead }, judged, executor);
}
