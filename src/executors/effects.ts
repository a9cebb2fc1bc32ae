import * as engine from '../engine/effects/effects.js';
import type { CallExecutor, Executor } from '../engine/plan.js';
import { kinds } from './find-kind.js';

// The engine's questions about effects, answered with what the kinds know of their calls.

/** Does the kind of the call know that it is a read, whatever its author says? False for a kind that this build does not have. */
export function isRead(executor: CallExecutor): boolean {
  return kinds.find(({ kind: name }) => name === executor.kind)?.isRead?.(executor) ?? false;
}

export function hasEffect(judged: engine.JudgedStep, executor: Executor): boolean {
  return engine.hasEffect({ isRead }, judged, executor);
}

export function isRepeatable(judged: engine.JudgedStep, executor: Executor): boolean {
  return engine.isRepeatable({ isRead }, judged, executor);
}
