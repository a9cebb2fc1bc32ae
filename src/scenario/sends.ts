import type { Executor } from '../engine/plan.js';
import type { RunState } from '../engine/state.js';
import {
  callRoom,
  resolveTemplate,
  resolveText,
  type NotResolved,
  type PathScopes,
} from '../engine/template.js';
import type { Json, JsonObject } from '../model/json.js';
import { mostCallBytes } from '../model/limits.js';

/** What would be asked of the world, and is not: who reads it says what was answered. */
export interface Executing {
  readonly transition: string;
  readonly kind: Executor['kind'];
  readonly connection: string | null;
  /** `POST /reimbursements`, a tool's name. */
  readonly call: string;
  /** Body or arguments; null where there are none. */
  readonly sends: Json;
  /** A path that does not resolve: the call would fail before anything is sent. */
  readonly unresolved: string | null;
  readonly idempotencyKey: string | null;
}

export function executingOf(run: RunState): Executing | null {
  if (run.executing === null) return null;
  const { action, executor, at } = run.executing;
  const scopes: PathScopes = { arguments: action.arguments, context: run.context, input: run.input };
  const own = at === 'onEnter' ? run.input : action.arguments;
  const keyed = 'idempotencyKey' in executor && executor.idempotencyKey;
  return {
    transition: action.transition,
    kind: executor.kind,
    connection: 'connection' in executor ? executor.connection : null,
    ...callOf(executor, scopes, own),
    idempotencyKey: keyed ? action.idempotencyKey : null,
  };
}

type Call = Pick<Executing, 'call' | 'sends' | 'unresolved'>;

function callOf(executor: Executor, scopes: PathScopes, own: JsonObject): Call {
  switch (executor.kind) {
    case 'rest': {
      const room = callRoom();
      const path = resolveText(executor.path.parts, scopes, encodeURIComponent, room);
      const body =
        executor.body === null
          ? ({ status: 'resolved', value: null } as const)
          : resolveTemplate(executor.body, scopes, room);
      return {
        call: `${executor.method} ${path.status === 'resolved' ? path.value : '?'}`,
        sends: body.status === 'resolved' ? body.value : null,
        unresolved:
          path.status !== 'resolved' ? lacking(path) : body.status !== 'resolved' ? lacking(body) : null,
      };
    }
    case 'mcp': {
      const args =
        executor.map === null
          ? ({ status: 'resolved', value: own } as const)
          : resolveTemplate(executor.map, scopes);
      const call = executor.tool;
      return args.status === 'resolved'
        ? { call, sends: args.value, unresolved: null }
        : { call, sends: null, unresolved: lacking(args) };
    }
    case 'cli': {
      const args = resolveTemplate({ kind: 'array', items: executor.args }, scopes);
      const call = 'the command';
      return args.status === 'resolved'
        ? { call, sends: args.value, unresolved: null }
        : { call, sends: null, unresolved: lacking(args) };
    }
    default:
      return { call: executor.kind, sends: null, unresolved: null };
  }
}

function lacking(one: NotResolved): string {
  return one.status === 'unresolved' ? one.path : `a call of more than ${mostCallBytes} bytes`;
}
