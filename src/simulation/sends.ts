import { asksPeople } from '../engine/plan.js';
import type { RunState } from '../engine/state.js';
import { buildCall } from '../executors/build.js';
import { requireKind } from '../executors/find-kind.js';
import type { Json } from '../model/values/json.js';

/** The call that would be made, and is not: the reader says what was answered. */
export interface Executing {
  readonly transition: string;
  readonly kind: string;
  readonly connection: string | null;
  /** `POST /reimbursements`, a tool's name. */
  readonly call: string;
  /** Body or arguments; null where there are none. */
  readonly sends: Json;
  /** Why the call would fail before anything is sent; null: it would be sent. */
  readonly unresolved: string | null;
  readonly idempotencyKey: string | null;
}

export function executingOf(run: RunState): Executing | null {
  if (run.executing === null) return null;
  const { action, executor, at } = run.executing;
  const scopes = { arguments: action.arguments, context: run.context, input: run.input };
  if (asksPeople(executor)) return null;
  const built = buildCall(executor, scopes, at, run.executing);
  const keyed = 'idempotencyKey' in executor && executor.idempotencyKey;
  return {
    transition: action.transition,
    kind: executor.kind,
    connection: 'connection' in executor ? executor.connection : null,
    ...requireKind(executor.kind).outline(executor, built.status === 'built' ? built.call : null),
    unresolved: built.status === 'built' ? null : built.message,
    idempotencyKey: keyed ? action.idempotencyKey : null,
  };
}
