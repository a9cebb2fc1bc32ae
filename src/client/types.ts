import type { Tx } from '../db/index.js';
import type { Answer, Refusal } from '../engine/state.js';
import type { Json, JsonObject } from '../model/values/json.js';
import type { DecisionDoor } from '../model/message.js';
import type { PayloadRef } from '../model/records.js';
import type { Principal } from '../model/principal.js';
import type { Rights } from '../auth/index.js';

/** The agent's reasoning, stored verbatim under the run's trace id, never in Temporal's history. */
export interface Trace {
  readonly prompt?: string | undefined;
  readonly response?: string | undefined;
  readonly model?: string | undefined;
  readonly parameters?: Json | undefined;
  readonly messages?: Json | undefined;
}

/** What all requests have. */
export interface Asking {
  /** Called in the transaction that keeps the request; throws where another attempt of the same request has taken it over. */
  readonly whileOurs?: (tx: Tx) => Promise<void>;
  /** Asked where the request has waited since the caller's credential was read, so that what is known is at most a second old when it is kept. */
  readonly rights: Rights;
}

export interface StartRequest extends Asking {
  /**
   * Called in the transaction that stores the start, after all that it waits for; throws if the run may no longer begin. It does
   * not see what is committed between this call and the end of the transaction.
   */
  readonly mayBegin?: (tx: Tx) => Promise<void>;
  /**
   * Asked where the request's own size is in order, for one start of a principal at a time; what it gives is refused before anything
   * is stored. `refs`: as large as the references to the values of the first submit will be.
   */
  readonly refuse?: (refs: readonly PayloadRef[]) => Promise<Refusal | null>;
  /** The run's id: given by the caller so that a repeated request starts one run. */
  readonly run: string;
  readonly flow: string;
  readonly flowVersion: number;
  readonly planHash: string;
  readonly initialState: string;
  readonly environment: string;
  readonly mode: 'live' | 'shadow';
  readonly input: JsonObject;
  readonly principal: Principal;
  readonly trace: Trace | null;
  /** How long to wait for the run to settle, milliseconds. */
  readonly waitMs: number;
}

export type StartOutcome =
  | { readonly status: 'settled' | 'executing' | 'accepted' }
  /** Refused before anything was stored. */
  | { readonly status: 'refused'; readonly refusal: Refusal }
  | {
      readonly status: 'unavailable';
      readonly code: 'AUDIT_UNAVAILABLE' | 'ENGINE_UNAVAILABLE';
      /** As that of a `MessageOutcome`. */
      readonly message?: string;
    };

/** Whether the run has room for the submit once it has taken what waits for it, found on paper. */
export interface Foreseen {
  /** The step of the run after which it was found. */
  readonly rev: number;
  /** The messages without an answer after which it was found, in their order. */
  readonly waiting: readonly string[];
  /** Null: it has. */
  readonly refusal: Refusal | null;
}

export interface SubmitRequest extends Asking {
  /**
   * Asked where the request's own size is in order; what it finds counts if it is true still, before anything is stored.
   * Null: the run says, however it stands. `refs`: as large as the references to its values will be. `signal` aborted: nobody waits any
   * more.
   */
  readonly foresee?: (refs: readonly PayloadRef[], signal: AbortSignal) => Promise<Foreseen | null>;
  readonly run: string;
  readonly messageId: string;
  readonly transition: string;
  readonly arguments: JsonObject;
  readonly expectedVersion: number | null;
  readonly principal: Principal;
  readonly trace: Trace | null;
  readonly waitMs: number;
}

export type MessageOutcome =
  /** `by`: `door` if it was refused by what the store knew, before anything was stored, so that the run has no record of it. */
  | { readonly status: 'answered'; readonly answer: Answer; readonly by: 'run' | 'door' }
  /** Durable, but not answered within `waitMs`. */
  | { readonly status: 'executing'; readonly messageId: string }
  | {
      readonly status: 'unavailable';
      readonly code: 'AUDIT_UNAVAILABLE' | 'ENGINE_UNAVAILABLE';
      /** Why nothing of the request is kept, though the store answers; absent: the store or the engine does not. */
      readonly message?: string;
    };

export interface DecideRequest extends Asking {
  readonly run: string;
  readonly decisionId: string;
  readonly approval: string;
  readonly decision: 'approve' | 'deny';
  readonly digest: string;
  readonly reason: string | null;
  readonly principal: Principal;
  readonly via: DecisionDoor;
  /** How long to wait for the run's answer; 3 seconds by default. The message is durable either way. */
  readonly waitMs?: number;
}

export interface OperateRequest extends Asking {
  readonly run: string;
  readonly messageId: string;
  readonly reason: string;
  readonly principal: Principal;
  readonly waitMs: number;
}

/** Hides Temporal. Every method stores what must be durable in Postgres before it sends. */
export interface RunClient {
  start(request: StartRequest): Promise<StartOutcome>;
  /** Starts a run and submits, in one request to Temporal; `first.run` is the run that is started. `unavailable`: nothing was started. */
  startWithSubmit(request: StartRequest, first: SubmitRequest): Promise<MessageOutcome>;
  submit(request: SubmitRequest): Promise<MessageOutcome>;
  decide(request: DecideRequest): Promise<MessageOutcome>;
  cancel(request: OperateRequest): Promise<MessageOutcome>;
  retry(request: OperateRequest): Promise<MessageOutcome>;
  /**
   * Calls `look` now and after each step of the run, until it finds something, the time is up, or `signal` says that nobody waits any
   * more. The store wakes it; in between it asks nothing.
   */
  watch(
    run: string,
    look: () => Promise<boolean>,
    until: { readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<void>;
  /** The run's history as Temporal has it, as JSON; null if Temporal has none. */
  history(run: string): Promise<{ readonly events: readonly Json[] } | null>;
  /** Replays the run's histories on this build's kernel and compares them with the store. `busy`: too many replays wait. */
  replay(run: string): Promise<
    | {
        readonly ok: boolean;
        readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
      }
    | 'busy'
  >;
  /** Whether Temporal answers, and whether a worker polls. */
  health(): Promise<{ readonly temporal: boolean; readonly worker: boolean }>;
  close(): Promise<void>;
}
