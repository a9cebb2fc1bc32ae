import type { Json, JsonObject } from '../model/json.js';
import type { Executor, Transition } from '../engine/plan.js';
import type { Asking, Shown } from '../engine/state.js';
import { buildCall, describeCall } from '../executors/index.js';
import { consequence, summary } from './approval-sentences.js';

/** What the approver gets of this very transition: its sentences, and every call that it may make. */
export function show(transition: Transition, asking: Asking): Shown {
  return {
    summary: summary(transition, asking),
    consequence: consequence(transition, asking),
    preview: preview(transition, asking),
  };
}

/** The call, and what is tried in its stead when it fails. */
function preview({ executor, reliability, target }: Transition, asking: Asking): Json {
  if (executor === null || executor.kind === 'human') return { kind: 'human', target };
  const fallbacks = reliability.fallback.map((one) => described(one, asking));
  return { ...described(executor, asking), ...(fallbacks.length === 0 ? {} : { fallbacks }) };
}

function described(executor: Executor, { arguments: args, context, input }: Asking): JsonObject {
  const built = buildCall(executor, { arguments: args, context, input }, 'transition');
  return built.status === 'built'
    ? describeCall(built.call)
    : { kind: executor.kind, unresolved: built.path };
}
