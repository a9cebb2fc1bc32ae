import type { Json, JsonObject } from '../model/json.js';
import type { Room } from '../engine/room.js';
import { callRoom } from '../engine/template.js';
import type { Executor, Transition } from '../engine/plan.js';
import type { Asking, Shown } from '../engine/state.js';
import { buildCall, describeCall } from '../executors/index.js';
import { consequence, summary } from './approval-sentences.js';

/** What the approver gets of this very transition: its sentences, and every call that it may make. */
export function show(transition: Transition, asking: Asking): Shown {
  const { preview, refused } = previewed(transition, asking);
  return {
    summary: summary(transition, asking),
    consequence: consequence(transition, asking),
    preview,
    ...(refused === null ? {} : { refused }),
  };
}

interface Previewed {
  readonly preview: Json;
  /** Why nobody is asked: together its calls are more than a person is shown. */
  readonly refused: string | null;
}

/** The call, and what is tried in its stead when it fails; all of them in the room of one call. */
function previewed({ executor, reliability, target }: Transition, asking: Asking): Previewed {
  if (executor === null || executor.kind === 'human')
    return { preview: { kind: 'human', target }, refused: null };
  const room = callRoom();
  const own = described(executor, asking, room);
  const fallbacks = reliability.fallback.map((one) => described(one, asking, room));
  const refused = [own, ...fallbacks].find((one) => one.refused !== null)?.refused ?? null;
  const others = fallbacks.map((one) => one.call);
  return { preview: { ...own.call, ...(others.length === 0 ? {} : { fallbacks: others }) }, refused };
}

function described(
  executor: Executor,
  { arguments: args, context, input }: Asking,
  room: Room,
): { readonly call: JsonObject; readonly refused: string | null } {
  const { kind } = executor;
  const built = buildCall(executor, { arguments: args, context, input }, 'transition', room);
  if (built.status === 'built') return { call: describeCall(built.call), refused: null };
  return built.status === 'unresolved'
    ? { call: { kind, unresolved: built.path }, refused: null }
    : { call: { kind }, refused: built.message };
}
