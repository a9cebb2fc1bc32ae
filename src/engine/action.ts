import type { Json, JsonObject } from '../model/json.js';
import type { Principal } from '../model/principal.js';
import type { Transition } from './plan.js';
import type { Action, RunState } from './state.js';
import { derivedId, plainDigest, type Draft } from './draft.js';

// One intended effect: its identity, its idempotency key, and the digest that binds it.

interface ActionFields {
  readonly transition: string;
  readonly tool: string | null;
  readonly tier: Action['tier'];
  readonly args: JsonObject;
  readonly requester: Principal | null;
  readonly byRuntime?: boolean;
  readonly messageId: string | null;
  readonly gate: Json;
  readonly refs?: Action['refs'];
}

/** Fixes what the digest binds: run, stay, transition, tool, arguments, n, plan, environment, gate policy. */
export function makeAction(draft: Draft, fields: ActionFields): Action {
  const { run, kit } = draft;
  const argsDigest = plainDigest(kit.digest(fields.args));
  const what = `${fields.transition}:${argsDigest}`;
  const n = run.successes.find(([key]) => key === what)?.[1] ?? 0;
  const action: Omit<Action, 'digest'> = {
    id:
      fields.messageId === null
        ? derivedId(draft, 'act', `${what}:${draft.effects.length}`)
        : `act_${fields.messageId.slice(4)}`,
    transition: fields.transition,
    tool: fields.tool,
    tier: fields.tier,
    arguments: fields.args,
    requester: fields.requester,
    ...(fields.byRuntime === true ? { byRuntime: true } : {}),
    n,
    idempotencyKey: `${run.run}:${what}:${n}`,
    stay: run.stay,
    requestedAt: draft.time,
    approval: null,
    messageId: fields.messageId,
    refs: fields.refs ?? [],
  };
  return { ...action, digest: actionDigest(draft, action, fields.gate) };
}

/** One value: what the approver saw, what the decision signs, what the executor recomputes. */
export function actionDigest(
  draft: Pick<Draft, 'run' | 'kit'>,
  action: Omit<Action, 'digest'>,
  gate: Json,
): string {
  return bindingDigest(draft.kit, draft.run, action, gate);
}

export function bindingDigest(
  kit: Pick<Draft['kit'], 'digest'>,
  run: Pick<RunState, 'run' | 'planHash' | 'environment'>,
  action: Pick<Action, 'stay' | 'transition' | 'tool' | 'arguments' | 'n'>,
  gate: Json,
): string {
  return kit.digest({
    run: run.run,
    stay: action.stay,
    transition: action.transition,
    tool: action.tool,
    arguments: action.arguments,
    n: action.n,
    plan: run.planHash,
    environment: run.environment,
    gate,
  });
}

/** What the names of the connections stand for that a transition's call and its fallbacks use; null: it uses none. */
export function connectionsDigest(
  kit: Pick<Draft['kit'], 'digest' | 'connection'>,
  { executor, reliability }: Pick<Transition, 'executor' | 'reliability'>,
): string | null {
  const calls = executor === null ? [] : [executor, ...reliability.fallback];
  const names = calls.flatMap((one) => ('connection' in one ? [one.connection] : []));
  return names.length === 0 ? null : kit.digest(names.map((name) => [name, kit.connection(name)]));
}
