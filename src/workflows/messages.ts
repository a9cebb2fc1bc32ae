import { defineQuery, defineSignal } from '@temporalio/workflow';
import type { RunStatus } from '../engine/state.js';
import type { Bell } from '../model/message.js';

// What reaches a run by Temporal. A signal is a bell: it names a message of the store, which alone says what was asked
// and what it is answered (docs/spec/temporal.md). There are no updates.

export interface RunInput {
  readonly kernel: number;
  readonly start: Bell;
  /** What continue-as-new carries over; null: the run begins. */
  readonly carried: Carried | null;
}

export interface Carried extends Known {
  /** Signals that no step has taken were left behind. What the service has asked by them is in the store. */
  readonly dropped: boolean;
  /** The first bells among those signals, each once; at most `mostCarriedBells`. */
  readonly bells?: readonly Bell[];
  /** There were other signals among them; absent: an earlier build does not say. */
  readonly unread?: boolean;
}

/** All that a workflow knows of its run. The store has the rest. */
export interface Known {
  readonly rev: number;
  /** Digest of the run's document, `sha256:<hex>`; null before the first step. */
  readonly digest: string | null;
  /** Head of the run's audit chain, `sha256:<hex>`; empty before the first step. */
  readonly head: string;
  readonly state: string;
  readonly status: RunStatus;
  readonly version: number;
  /** Epoch milliseconds of the run's next deadline; null: it has none. */
  readonly wakeAt: number | null;
}

export interface RunResult {
  readonly status: string;
  readonly state: string;
  readonly version: number;
  /** Head of the run's audit chain, `sha256:<hex>`. */
  readonly head: string;
}

export interface StateView {
  readonly run: string;
  readonly state: string;
  readonly status: string;
  readonly version: number;
  readonly rev: number;
  readonly head: string;
}

export const submitSignal = defineSignal<[unknown]>('submit');
export const decideSignal = defineSignal<[unknown]>('decide');
export const cancelSignal = defineSignal<[unknown]>('cancel');
export const retrySignal = defineSignal<[unknown]>('retry');
/** Asks the run to look at the store. Harmless, whoever sends it. */
export const wakeSignal = defineSignal('wake');
export const stateQuery = defineQuery<StateView>('state');
