import { actionIdOf } from '../../model/derived-ids.js';
import type { Json, JsonObject } from '../../model/json.js';
import type { Principal } from '../../model/principal.js';
import type { Transition } from '../plan.js';
import type { Action, ApprovalState, Bound, Kit, RunState, Shown } from '../state.js';
import { derivedId, plainDigest, type Draft } from '../run/draft.js';
import { keyLabel } from './key-label.js';
import { readsOf } from './reads.js';

// One intended effect: its identity, its idempotency key, and the digest that binds it.

interface ActionFields {
  readonly transition: string;
  /** In its idempotency key; absent: a transition's. */
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
  /** Of the effect that is done again, whatever it would be now; absent: it is asked for anew. */
  readonly again?: Again;
}

/** What a repeated effect has of the one whose outcome is unknown: its target knows it by that. */
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
 * What its successes are counted under: the middle of its idempotency key. `label`: what it is called there, where that is
 * no transition of the state.
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

/** How often the run has done exactly this successfully. */
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
 * What the approver saw, the decision signs and the executor computes again, of the run as it is now (docs/spec/semantics.md §6).
 * A recipe that this engine does not know gives what no digest is.
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

/** Of an action that nobody is asked about. */
export const nothingBound: Bound = { connections: null, reads: {}, shown: null };

/** Is it what the approval asks for, by the same requester? What its card said is of when it opened. */
export function asksTheSame(
  kit: Kit,
  run: RunState,
  action: Action,
  gate: Json,
  { action: open }: ApprovalState,
): boolean {
  // The key names run, transition and arguments, and the digest covers them and who asks: most are told apart without it.
  if (action.idempotencyKey !== open.idempotencyKey || action.requester?.id !== open.requester?.id)
    return false;
  const bound = { ...action.bound, shown: open.bound.shown };
  return bindingDigest(kit, run, { ...action, bound }, gate) === open.digest;
}

/** What an approval binds of the world around its action, as it is when it opens. */
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

/** Why nothing of a step could be called in its environment; null: something could. */
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

/** What the names of the connections stand for that a transition's call and its fallbacks use; null: it uses none. */
export function connectionsDigest(
  kit: Pick<Kit, 'digest' | 'connection'>,
  { executor, reliability }: Called,
): string | null {
  const calls = executor === null ? [] : [executor, ...reliability.fallback];
  const names = calls.flatMap((executor) => ('connection' in executor ? [executor.connection] : []));
  return names.length === 0 ? null : kit.digest(names.map((name) => [name, kit.connection(name)]));
}
