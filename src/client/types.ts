import type { Tx } from '../db/index.js';
import type { Answer, Refusal } from '../engine/state.js';
import type { Json, JsonObject } from '../model/json.js';
import type { DecisionDoor } from '../model/message.js';
import type { Principal } from '../model/principal.js';

/** The agent's reasoning, stored verbatim under the run's trace id, never in Temporal's history. */
export interface Trace {
  readonly prompt?: string | undefined;
  readonly response?: string | undefined;
  readonly model?: string | undefined;
  readonly parameters?: Json | undefined;
  readonly messages?: Json | undefined;
}

/** What every request has. */
export interface Asking {
  /** Called in the transaction that keeps the request; throws where another attempt of the same request has taken it over. */
  readonly whileOurs?: (tx: Tx) => Promise<void>;
}

export interface StartRequest extends Asking {
  /**
   * Called in the transaction that keeps the start, behind what it waits for; throws where it may not begin any more. What is
   * committed between that and the start's own end is not seen.
   */
  readonly mayBegin?: (tx: Tx) => Promise<void>;
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
  /** At the door: nothing was stored. */
  | { readonly status: 'refused'; readonly refusal: Refusal }
  | { readonly status: 'unavailable'; readonly code: 'AUDIT_UNAVAILABLE' | 'ENGINE_UNAVAILABLE' };

export interface SubmitRequest extends Asking {
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
  /** `door`: by what the store knew before anything was stored, so that the run has no record of it. */
  | { readonly status: 'answered'; readonly answer: Answer; readonly by: 'run' | 'door' }
  /** Durable, and not answered within waitMs. */
  | { readonly status: 'executing'; readonly messageId: string }
  | {
      readonly status: 'unavailable';
      readonly code: 'AUDIT_UNAVAILABLE' | 'ENGINE_UNAVAILABLE';
      /** Where more is known than that the store or the engine does not answer. */
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
  /** Both in one request to the engine; `first.run` is the run that is started. `unavailable`: nothing was started. */
  startWithSubmit(request: StartRequest, first: SubmitRequest): Promise<MessageOutcome>;
  submit(request: SubmitRequest): Promise<MessageOutcome>;
  decide(request: DecideRequest): Promise<MessageOutcome>;
  cancel(request: OperateRequest): Promise<MessageOutcome>;
  retry(request: OperateRequest): Promise<MessageOutcome>;
  /**
   * Looks, and looks again whenever the run has taken a step, until `look` finds something, the time is
   * up or `signal` says that nobody waits any more. Woken by the store, without asking it meanwhile.
   */
  watch(
    run: string,
    look: () => Promise<boolean>,
    until: { readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<void>;
  /** Temporal's own history as JSON, `{events}`; null when Temporal has none. */
  history(run: string): Promise<{ readonly events: readonly Json[] } | null>;
  /** Replays that history against the current kernel and compares it with the store. `busy`: too many wait. */
  replay(run: string): Promise<
    | {
        readonly ok: boolean;
        readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail: string }[];
      }
    | 'busy'
  >;
  /** Does Temporal answer, and does a worker poll? */
  health(): Promise<{ readonly temporal: boolean; readonly worker: boolean }>;
  close(): Promise<void>;
}
