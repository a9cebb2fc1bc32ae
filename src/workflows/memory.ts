import type {
  Arrival,
  ExecuteInput,
  Execution,
  StepInput,
  StepResult,
  Stepped,
} from '../activities/types.js';
import type { HistoryLength } from './history.js';
import type { Known } from './messages.js';

// What the kernel keeps while a history lasts: its ports, what has arrived, and what is under way.

/** What the kernel asks of its surroundings: of Temporal, or of a test. */
export interface Ports {
  readonly run: string;
  readonly now: () => number;
  readonly until: (condition: () => boolean) => Promise<void>;
  /** Takes a step. Rejects when it has thrown as often as it may on this input. */
  readonly step: (input: StepInput) => Promise<StepResult>;
  readonly execute: (input: ExecuteInput, timeoutMs: number) => Running;
  readonly startTimer: (ms: number, fire: () => void) => Timer;
  readonly historyLength: () => HistoryLength;
}

export interface Running {
  /** Rejects when no outcome will come. */
  readonly result: Promise<Stepped>;
  /** No further attempt is begun; one under way is not cut off. */
  readonly cancel: () => void;
}

export interface Timer {
  readonly cancel: () => void;
}

/** All that the kernel keeps of its run while a history lasts. */
export interface Memory {
  readonly ports: Ports;
  /** The kernel version that this history was begun with. */
  readonly version: number;
  known: Known;
  /** What has arrived and was not taken. Not bounded, so that nothing is dropped and replays do not differ: the server bounds the signals of a history. */
  queue: Arrival[];
  /** How many of the next arrivals are taken each in a step of its own, since a step over several of them failed. */
  oneAtATime: number;
  running: (Execution & Running) | null;
  /** Results of executions that are not applied yet. */
  settled: readonly Stepped[];
  timer: { readonly at: number; readonly handle: Timer } | null;
  /** The time that the timer last fired for. */
  firedFor: number | null;
  /** How many signals this history has had. */
  signals: number;
}

export function push(memory: Memory, arrival: Arrival): void {
  memory.queue.push(arrival);
}

export function hasWork({ queue, settled }: Memory): boolean {
  return queue.length > 0 || settled.length > 0;
}

export function isClosed({ status }: Known): boolean {
  return status === 'completed' || status === 'cancelled' || status === 'failed' || status === 'timed_out';
}
