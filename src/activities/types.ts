import type { RunStatus } from '../engine/state.js';
import type { Bell, MessageRefusal } from '../model/message.js';

// What passes between the kernel and its activities. All of it is kept in Temporal's history: it is small, of constant size, and
// contains nothing that a caller wrote.

export type Arrival =
  | { readonly kind: 'message'; readonly bell: Bell }
  /** A signal that is no bell of ours; `name` of at most 40 characters. */
  | { readonly kind: 'garbage'; readonly name: string; readonly reason: MessageRefusal }
  /** Somebody says that there is something in the store: the signal `wake`. */
  | { readonly kind: 'look' }
  /** The run's timer has fired: the step finds out what is due. */
  | { readonly kind: 'time' }
  /**
   * An execution ended without an outcome: cancelled before its next attempt, lost with its worker, or failed in our own
   * code. `reason` of at most 300 characters; absent: from a kernel of before there were reasons.
   */
  | { readonly kind: 'abandoned'; readonly action: string; readonly reason?: string };

export interface StepInput {
  readonly run: string;
  /** The number of this step: that of the last step that the kernel knows, plus 1. */
  readonly rev: number;
  /** Digest of the document that the step builds on, `sha256:<hex>`; null before the first step. */
  readonly builtOn: string | null;
  readonly arrivals: readonly Arrival[];
  /** Why these arrivals could not be taken: the run is made stuck over them. Null: an ordinary step. */
  readonly gaveUp: string | null;
}

/** An effect that the kernel starts and waits for. */
export interface Execution {
  readonly action: string;
  /** Time-out of one attempt, milliseconds. */
  readonly timeoutMs: number;
}

/** What the kernel knows of its run after a step. */
export interface Stepped {
  readonly status: 'stepped';
  readonly rev: number;
  /** Digest of the run's document, `sha256:<hex>`. */
  readonly digest: string;
  /** Head of the run's audit chain, `sha256:<hex>`. */
  readonly head: string;
  readonly state: string;
  readonly runStatus: RunStatus;
  readonly version: number;
  /** Epoch milliseconds of the run's next deadline; null: it has none. */
  readonly wakeAt: number | null;
  /** The effect under way; null: none. */
  readonly execution: Execution | null;
  /** The run was cancelled: no further attempt of its effect is waited for. (No wait goes beyond the run's own time.) */
  readonly cancelling: boolean;
  /** How many arrivals this step was given. */
  readonly given: number;
  /** The indexes of those arrivals that the step had not taken when it ran before: they come with the next step. */
  readonly left: readonly number[];
  /** The store and the history disagreed about the past of the run: the store's counts from here on, and the run is stuck. */
  readonly isForked: boolean;
}

export type StepResult =
  | Stepped
  /** The store does not answer: the kernel asks for the same step again, later. */
  | { readonly status: 'waiting' }
  /** The first step of a run that may not exist: unattested, withdrawn or unknown to the store. */
  | { readonly status: 'refused'; readonly reason: string };

export interface ExecuteInput {
  readonly run: string;
  readonly action: string;
}

/** The activities of a run. `step` is a local activity, `execute` a regular one. */
export interface RunActivities {
  step(input: StepInput): Promise<StepResult>;
  execute(input: ExecuteInput): Promise<Stepped>;
}
