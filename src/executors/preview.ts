import { asksPeople, type Executor, type Transition } from '../engine/plan.js';
import type { Asking, Kit, Shown } from '../engine/state.js';
import { callRoom } from '../engine/expression/template.js';
import type { JsonObject } from '../model/values/json.js';
import { buildCall } from './build.js';
import type { Headers } from './kind.js';
import { requireKind } from './find-kind.js';
import type { Built, Call } from './types.js';

/** The headers that the connection of this name sends with each call, without those that are references. */
export type SentWith = (connection: string) => Headers;

/**
 * The call that an approver is asked about, and its fallbacks; all of them share the room of one call. The approval binds
 * everything that their templates read, so a call that cannot be made now can never be made. Nobody is asked (`refused`) where
 * no call can be made, where together they are larger than what a person is shown, or where the call does not fit the content
 * type that its connection sends.
 */
export function previewCalls(
  { executor, reliability, target, tier }: Transition,
  { arguments: args, context, input }: Asking,
  sentWith: SentWith = () => [],
): Pick<Shown, 'preview' | 'refused'> {
  if (executor === null || asksPeople(executor)) return { preview: { kind: 'human', target } };
  const scopes = { arguments: args, context, input };
  const room = callRoom();
  const calls = [executor, ...reliability.fallback].map((tried) => ({
    kind: tried.kind,
    built: checkFits(buildCall(tried, scopes, 'transition', { action: { tier } }, room), sentWith),
  }));
  const refused = refusalOf(calls.map(({ built }) => built));
  const [own, ...others] = calls.map(({ kind, built }) => describeBuilt(kind, built));
  return {
    preview: { ...own, ...(others.length === 0 ? {} : { fallbacks: others }) },
    ...(refused === null ? {} : { refused }),
  };
}

/** Why none of the calls of a step can be sent: its own is larger than what may be sent, and so is each fallback. Null: one can. */
export const whyTooLarge: Kit['whyTooLarge'] = (step, scopes) => {
  const [own, ...others] = [step.executor, ...step.reliability.fallback];
  const oversizeOf = (tried: Executor): string | null => oversize(buildCall(tried, scopes, step.at, step));
  const why = oversizeOf(own);
  return why !== null && others.every((tried) => oversizeOf(tried) !== null) ? why : null;
};

export const canBeMade: Kit['canBeMade'] = (step, scopes) =>
  [step.executor, ...step.reliability.fallback].some(
    (tried) => buildCall(tried, scopes, step.at, step).status === 'built',
  );

const oversize = (built: Built): string | null => (built.status === 'too_large' ? built.message : null);

function checkFits(built: Built, sentWith: SentWith): Built {
  if (built.status !== 'built' || built.call.connection === undefined) return built;
  return requireKind(built.call.kind).unfit?.(built.call, sentWith(built.call.connection)) ?? built;
}

function refusalOf(calls: readonly Built[]): NonNullable<Shown['refused']> | null {
  for (const call of calls)
    if (call.status === 'too_large') return { code: 'TOO_LARGE', message: call.message };
  const [own] = calls;
  if (own?.status !== 'unresolved' || calls.some((call) => call.status === 'built')) return null;
  return { code: 'INPUT_INVALID', message: `its call can never be made: ${own.message}` };
}

/** What the approver sees: the call as it will be sent, without the connection's own headers and environment. */
export function describeCall(call: Call): JsonObject {
  return requireKind(call.kind).preview(call);
}

function describeBuilt(kind: string, built: Built): JsonObject {
  if (built.status === 'built') return describeCall(built.call);
  return built.status === 'unresolved' ? { kind, unresolved: built.path, message: built.message } : { kind };
}
