import type { Answer, Effect, RunState } from '../engine/state.js';

// What passes between the kernel and its hands. Everything here stands in Temporal's history, so it
// holds no arguments, no outputs and no secrets beyond what the run's state needs.

export type Arrival =
  | { readonly kind: 'start'; readonly raw: unknown }
  | { readonly kind: 'message'; readonly name: string; readonly raw: unknown }
  /** `at`: the moment that its timer was armed to. */
  | { readonly kind: 'deadline'; readonly approval: string; readonly at: number }
  | { readonly kind: 'timeout' }
  /** Cancelled between two attempts of an executor. */
  | { readonly kind: 'abandoned'; readonly action: string };

export interface StepInput {
  readonly run: string;
  /** The step that this is: one more than the last that the kernel knows. */
  readonly rev: number;
  /** Null before the first step. */
  readonly state: RunState | null;
  readonly arrivals: readonly Arrival[];
}

/** For each arrival, in order: whose answer it waits for, or why it was refused. */
export type Taken =
  | { readonly kind: 'message'; readonly id: string }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'none' }
  /** Not part of this step, which had run before: comes with the next one. */
  | { readonly kind: 'again' };

export type KernelEffect =
  | Exclude<Effect, { kind: 'answer' } | { kind: 'execute' }>
  | { readonly kind: 'execute'; readonly action: string; readonly timeoutMs: number };

export interface Stepped {
  readonly status: 'stepped';
  readonly rev: number;
  /** Top-level keys of the state that changed. */
  readonly changed: Partial<RunState>;
  readonly effects: readonly KernelEffect[];
  readonly taken: readonly Taken[];
  /** Answers of messages that are no longer remembered, or of duplicates. */
  readonly answers: readonly { readonly id: string; readonly answer: Answer }[];
  /** Head of the run's audit chain after this step, `sha256:<hex>`. */
  readonly head: string;
}

export type StepResult =
  | Stepped
  /** An executor has settled this rev already: apply its result first, then step again. */
  | { readonly status: 'behind' }
  /** The first step of a run that may not exist: unattested, withdrawn or unknown to the store. */
  | { readonly status: 'refused'; readonly reason: string };

export interface ExecuteInput {
  readonly run: string;
  readonly action: string;
}

/** The hands of a run. `step` is a local activity, `execute` a regular one. */
export interface RunActivities {
  step(input: StepInput): Promise<StepResult>;
  execute(input: ExecuteInput): Promise<Stepped>;
}
