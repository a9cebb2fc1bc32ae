import { actionIdOf } from '../../model/names/derived-ids.js';
import type { Json, JsonObject } from '../../model/values/json.js';
import type { Principal } from '../../model/principal.js';
import type { Transition } from '../plan.js';
import type { Action, ApprovalState, Bound, Kit, RunState, Shown } from '../state.js';
import { derivedId, plainDigest, type Draft } from '../run/draft.js';
import { keyLabel } from './key-label.js';
import { readsOf } from './reads.js';

// An intended effect: its identity, its idempotency key, and the digest that binds it.

interface ActionFields {
  readonly transition: string;
  /** The name in the idempotency key; absent: that of the transition. */
  readonly label?: string;
  readonly tool: string | null;
  readonly tier: Action['tier'];
  readonly args: JsonObject;
  readonly requester: Principal | null;
  readonly byRuntime?: boolean;
  readonly messageId: string | null;
  readonly gate: Json;
  readonly bound: Bound;
  readonly refs?: Action['refs'];
  /** Key and count of the effect that is repeated, whatever they would be now; absent: the action is no repeat. */
  readonly again?: Again;
}

/** What a repeat takes over from the effect whose outcome is unknown, so that its target recognises it. */
export type Again = Pick<Action, 'idempotencyKey' | 'n'>;

export function makeAction(draft: Draft, fields: ActionFields): Action {
  const { run, kit } = draft;
  const asked = { transition: fields.transition, arguments: fields.args };
  const what = effectKey(kit, asked);
  const done = doneKey(draft, asked, fields.label);
  const n = timesDone(run, done);
  const action: Omit<Action, 'digest'> = {
    id:
      fields.messageId === null
        ? derivedId(draft, 'act', `${what}:${draft.effects.length}`)
        : actionIdOf(fields.messageId),
    transition: fields.transition,
    tool: fields.tool,
    tier: fields.tier,
    arguments: fields.args,
    requester: fields.requester,
    ...(fields.byRuntime === true ? { byRuntime: true } : {}),
    recipe: 1,
    bound: fields.bound,
    n,
    idempotencyKey: `${run.run}:${done}:${n}`,
    ...fields.again,
    stay: run.stay,
    requestedAt: draft.time,
    approval: null,
    messageId: fields.messageId,
    refs: fields.refs ?? [],
  };
  return { ...action, digest: bindingDigest(kit, run, action, fields.gate) };
}

/**
 * The key under which the successes of an action are counted: the middle of its idempotency key. `label`: its name there,
 * where the action is no transition of the state.
 */
export function doneKey(
  draft: Pick<Draft, 'plan' | 'run' | 'kit'>,
  { transition, arguments: args }: Pick<Action, 'transition' | 'arguments'>,
  label = keyLabel(draft, transition),
): string {
  return `${label}:${plainDigest(draft.kit.digest(args))}`;
}

/** The same for every request to do exactly this, whoever asks. */
export function effectKey(
  kit: Pick<Kit, 'digest'>,
  action: Pick<Action, 'transition' | 'arguments'>,
): string {
  return `${action.transition}:${plainDigest(kit.digest(action.arguments))}`;
}

/** How often the run has done successfully what has this `doneKey`. */
export function timesDone({ successes }: Pick<RunState, 'successes'>, done: string): number {
  return successes.find(([key]) => key === done)?.[1] ?? 0;
}

/** An idempotency key without its run and its count. */
function doneKeyIn({ idempotencyKey }: Pick<Action, 'idempotencyKey'>): string {
  return idempotencyKey.slice(idempotencyKey.indexOf(':') + 1, idempotencyKey.lastIndexOf(':'));
}

type BoundRun = Pick<RunState, 'run' | 'stay' | 'state' | 'successes' | 'planHash' | 'environment'>;
type BoundAction = Pick<
  Action,
  'recipe' | 'transition' | 'tool' | 'tier' | 'arguments' | 'requester' | 'bound' | 'idempotencyKey'
>;

/**
 * The digest of the action in the run as it is now (docs/spec/semantics.md §6): the approver sees it, the decision signs it, and
 * the executor computes it again. Of a recipe that this engine does not know it is a text that no digest equals.
 */
export function bindingDigest(
  kit: Pick<Kit, 'digest'>,
  run: BoundRun,
  action: BoundAction,
  gate: Json,
): string {
  if ((action.recipe as number) !== 1) return `no digest: unknown recipe ${String(action.recipe)}`;
  const { requester, bound } = action;
  return kit.digest({
    run: run.run,
    stay: run.stay,
    state: run.state,
    transition: action.transition,
    tool: action.tool,
    tier: action.tier,
    arguments: action.arguments,
    requester: requester === null ? null : { id: requester.id, kind: requester.kind },
    n: timesDone(run, doneKeyIn(action)),
    plan: run.planHash,
    environment: run.environment,
    gate,
    connections: bound.connections,
    reads: bound.reads,
    shown: bound.shown,
  });
}

/** For an action that nobody is asked about. */
export const nothingBound: Bound = { connections: null, reads: {}, shown: null };

/**
 * Is the action what the open approval asks for, by the same requester? What its approvers are shown was fixed when it
 * opened, and is not compared.
 */
export function asksTheSame(
  kit: Kit,
  run: RunState,
  action: Action,
  gate: Json,
  { action: open }: ApprovalState,
): boolean {
  // Digests cost time, and cover both of these: most actions are told apart without one.
  if (action.idempotencyKey !== open.idempotencyKey || action.requester?.id !== open.requester?.id)
    return false;
  const { shown, connections } = open.bound;
  const bound = { ...action.bound, shown, ...(kit.trustsConnections === true ? { connections } : {}) };
  return bindingDigest(kit, run, { ...action, bound }, gate) === open.digest;
}

/** What an approval binds besides its action: connections, what is read of the run, what is shown. As of now. */
export function bind(kit: Kit, transition: Transition, run: RunState, shown: Shown): Bound {
  return {
    connections: connectionsDigest(kit, transition),
    reads: readsOf(kit, transition, run),
    shown: shownDigest(kit, shown),
  };
}

export function shownDigest(kit: Pick<Kit, 'digest'>, { summary, consequence, preview }: Shown): string {
  return kit.digest({ summary, consequence, preview });
}

type Called = Pick<Transition, 'executor' | 'reliability'>;

/** Why neither the call of a step nor any of its fallbacks could be made in its environment; null: one of them could. */
export function whyUnconnected(
  { connection }: Pick<Kit, 'connection'>,
  { executor, reliability }: Called,
  environment: string,
): string | null {
  if (executor === null) return null;
  const calls = [executor, ...reliability.fallback];
  const missing = calls.flatMap((executor) =>
    'connection' in executor && connection(executor.connection) === null
      ? [`\`${executor.connection}\``]
      : [],
  );
  return missing.length < calls.length
    ? null
    : `environment \`${environment}\` has no connection ${[...new Set(missing)].join(' and no ')}: declare it there in connections.yaml`;
}

/** Why a call whose connections are not those that were approved is not made. */
export function connectionProblem(
  kit: Pick<Kit, 'connection'>,
  calling: Called,
  { environment }: Pick<RunState, 'environment'>,
): string {
  const gone = whyUnconnected(kit, calling, environment);
  return gone === null
    ? 'the connection that it would use is not the one that it was approved for: its address, or the program or the folder of its command, is another one now; ask again'
    : `the connection that it was approved for is gone: ${gone}; until then asking again is refused`;
}

/** Digest of what the connections stand for that a step's call and its fallbacks use; null: they use none. */
export function connectionsDigest(
  kit: Pick<Kit, 'digest' | 'connection'>,
  { executor, reliability }: Called,
): string | null {
  const calls = executor === null ? [] : [executor, ...reliability.fallback];
  const names = calls.flatMap((executor) => ('connection' in executor ? [executor.connection] : []));
  return names.length === 0 ? null : kit.digest(names.map((name) => [name, kit.connection(name)]));
}
