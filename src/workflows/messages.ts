import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Answer, RunState } from '../engine/state.js';
import type { AttestedMessage } from '../model/message.js';

// What a run takes. Updates and signals carry the same names (API.md); both are deduplicated on the
// message's own id, and neither is acted on before the policy check has verified its attestation.

export const messageNames = ['submit', 'decide', 'cancel', 'retry'] as const;
export type MessageName = (typeof messageNames)[number];

/** Version of the kernel that a run was started with; old branches stay. */
export const kernelVersion = 1;

export interface RunInput {
  readonly kernel: number;
  readonly start: AttestedMessage;
  /** What continue-as-new carries over. */
  readonly carried: Carried | null;
}

export interface Carried {
  readonly state: RunState;
  readonly rev: number;
}

export interface RunResult {
  readonly status: string;
  readonly state: string;
  readonly version: number;
  /** Head of the run's audit chain, `sha256:<hex>`. */
  readonly head: string;
}

/** Refused before it meant anything: not attested for this run. */
export interface MessageRefused {
  readonly status: 'message_refused';
  readonly reason: string;
}

export type Reply = Answer | MessageRefused;

export interface StateView {
  readonly run: string;
  readonly state: string;
  readonly status: string;
  readonly version: number;
  readonly rev: number;
  readonly head: string;
}

export const submitUpdate = defineUpdate<Reply, [unknown]>('submit');
export const decideUpdate = defineUpdate<Reply, [unknown]>('decide');
export const cancelUpdate = defineUpdate<Reply, [unknown]>('cancel');
export const retryUpdate = defineUpdate<Reply, [unknown]>('retry');
export const submitSignal = defineSignal<[unknown]>('submit');
export const decideSignal = defineSignal<[unknown]>('decide');
export const cancelSignal = defineSignal<[unknown]>('cancel');
export const retrySignal = defineSignal<[unknown]>('retry');
export const stateQuery = defineQuery<StateView>('state');
