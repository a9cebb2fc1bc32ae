import type { Executor } from '../engine/plan.js';
import type { RunState } from '../engine/state.js';
import { buildCall } from '../executors/build.js';
import type { Call } from '../executors/types.js';
import type { Json } from '../model/json.js';

/** What would be asked of the world, and is not: who reads it says what was answered. */
export interface Executing {
  readonly transition: string;
  readonly kind: Executor['kind'];
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
  const built = buildCall(executor, scopes, at, run.executing);
  const keyed = 'idempotencyKey' in executor && executor.idempotencyKey;
  return {
    transition: action.transition,
    kind: executor.kind,
    connection: 'connection' in executor ? executor.connection : null,
    ...(built.status === 'built'
      ? { ...callOf(built.call), unresolved: null }
      : { call: nameOf(executor), sends: null, unresolved: built.message }),
    idempotencyKey: keyed ? action.idempotencyKey : null,
  };
}

function callOf(call: Call): Pick<Executing, 'call' | 'sends'> {
  switch (call.kind) {
    case 'rest':
      return { call: `${call.method} ${call.path}`, sends: call.body ?? null };
    case 'mcp':
      return { call: call.tool, sends: call.arguments };
    case 'cli':
      return { call: 'the command', sends: call.args };
    case 'noop':
      return { call: call.kind, sends: null };
  }
}

/** Of a call that cannot be made. */
function nameOf(executor: Executor): string {
  if (executor.kind === 'rest') return `${executor.method} ?`;
  if (executor.kind === 'mcp') return executor.tool;
  return executor.kind === 'cli' ? 'the command' : executor.kind;
}
