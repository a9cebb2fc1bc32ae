import { asksPeople, type Transition } from '../engine/plan.js';
import type { Asking, Shown } from '../engine/state.js';
import { callRoom } from '../engine/expression/template.js';
import type { JsonObject } from '../model/json.js';
import { buildCall } from './build.js';
import type { Headers } from './kind.js';
import { kindNamed } from './kinds.js';
import type { Built, Call } from './types.js';

/** What a connection of this name sends with each call here, as far as it is written. */
export type SentWith = (connection: string) => Headers;

/**
 * The call that an approver is asked about, and what is tried in its stead when it fails; all of them in the room of one
 * call. All that their templates read is bound by the approval, so what cannot be made now never can: where that is all of
 * them, or together they are more than a person is shown, nobody is asked. Nor where its connection sends it as a form that
 * it does not fit.
 */
export function previewCalls(
  { executor, reliability, target, tier }: Transition,
  { arguments: args, context, input }: Asking,
  sentWith: SentWith = () => [],
): Pick<Shown, 'preview' | 'refused'> {
  if (executor === null || asksPeople(executor)) return { preview: { kind: 'human', target } };
  const room = callRoom();
  const calls = [executor, ...reliability.fallback].map((one) => ({
    kind: one.kind,
    built: fitting(
      buildCall(one, { arguments: args, context, input }, 'transition', { action: { tier } }, room),
      sentWith,
    ),
  }));
  const refused = refusalOf(calls.map(({ built }) => built));
  const [own, ...others] = calls.map(({ kind, built }) => described(kind, built));
  return {
    preview: { ...own, ...(others.length === 0 ? {} : { fallbacks: others }) },
    ...(refused === null ? {} : { refused }),
  };
}

function fitting(built: Built, sentWith: SentWith): Built {
  if (built.status !== 'built' || built.call.connection === undefined) return built;
  return kindNamed(built.call.kind).unfit?.(built.call, sentWith(built.call.connection)) ?? built;
}

function refusalOf(calls: readonly Built[]): NonNullable<Shown['refused']> | null {
  for (const one of calls) if (one.status === 'too_large') return { code: 'TOO_LARGE', message: one.message };
  const [own] = calls;
  if (own?.status !== 'unresolved' || calls.some((one) => one.status === 'built')) return null;
  return { code: 'INPUT_INVALID', message: `its call can never be made: ${own.message}` };
}

/** What the approver sees: the call as it will be sent, but for the connection's own headers and environment. */
export function describeCall(call: Call): JsonObject {
  return kindNamed(call.kind).preview(call);
}

function described(kind: string, built: Built): JsonObject {
  if (built.status === 'built') return describeCall(built.call);
  return built.status === 'unresolved' ? { kind, unresolved: built.path, message: built.message } : { kind };
}
