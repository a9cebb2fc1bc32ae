import { ApplicationFailure } from '@temporalio/activity';
import type { Executing } from '../../engine/state.js';
import type { Tx } from '../../db/index.js';
import { leasedFor, startAttempt, takeOverAttempt, type Holder, type Lease } from '../../store/actions.js';
import type { NextAttempt } from './attempts.js';
import type { Surroundings } from '../retry-while-unavailable.js';

// One attempt of an effect at a time, whoever asks for it: the one under way is leased to the execution that makes it,
// behind the lock on its run. Temporal alone does not see to that: who may write to it can have another workflow of the
// run's name ask, and a reset asks again beside what the workflow before had begun.

/** Over an executor's own time-out: what its end, and its two transactions, may take. */
export const marginMs = 20_000;
/** How often another execution looks whether the one under way has ended. */
const lookAgainMs = 2_000;

/** What another execution is told: it is tried again until the attempt has ended or its lease has. */
export const attemptUnderWay = 'ATTEMPT_UNDER_WAY';

export function leaseMs({ reliability }: Executing): number {
  return reliability.timeoutMs + marginMs;
}

/**
 * Null: this execution may make an attempt. An attempt that another process makes stands in its way as long as that process
 * lives, also where Temporal has lost contact with it.
 */
export async function findOtherUnderWay(
  tx: Tx,
  { action }: Executing,
  holder: Holder,
): Promise<ApplicationFailure | null> {
  const ms = await leasedFor(tx, action.idempotencyKey, holder);
  return ms === null ? null : makeUnderWayFailure(action.transition, ms);
}

/** Executions under way in this process, by process and action; each says whether it has taken longer than it may. */
const here = new Map<string, () => boolean>();

/**
 * One try at a time of an action in this process. Temporal makes another of the same execution when it has not heard of the
 * one before, and a process that was busy has not lost what it had begun. One that takes longer than it may counts as lost:
 * `onLost` is told, and the next try goes on as after the death of a worker.
 */
export async function runAloneHere<T>(
  action: string,
  { process, isLate }: Pick<Surroundings, 'process' | 'isLate'>,
  onLost: () => void,
  run: () => Promise<T>,
): Promise<T> {
  const own = `${process} ${action}`;
  const before = here.get(own);
  if (before?.() === false) throw makeUnderWayFailure(action, lookAgainMs);
  if (before !== undefined) onLost();
  here.set(own, isLate);
  try {
    return await run();
  } finally {
    if (here.get(own) === isLate) here.delete(own);
  }
}

function makeUnderWayFailure(what: string, ms: number): ApplicationFailure {
  return ApplicationFailure.create({
    message: `another execution makes an attempt of \`${what}\`, for ${ms} ms at most`,
    type: attemptUnderWay,
    nonRetryable: false,
    category: 'BENIGN',
    nextRetryDelay: Math.max(Math.min(ms, lookAgainMs), 1),
  });
}

/** Recorded before the call: the attempt, and whose it is. */
export async function leaseAttempt(
  tx: Tx,
  executing: Executing,
  { attempt, position: executor, resumed }: Extract<NextAttempt, { kind: 'attempt' }>,
  { owner, process }: Holder,
  startedAt: string,
): Promise<void> {
  const { id: action, idempotencyKey } = executing.action;
  const lease: Lease = { owner, process, leaseMs: leaseMs(executing) };
  if (resumed) await takeOverAttempt(tx, { action, attempt }, lease);
  else await startAttempt(tx, { action, attempt, executor, idempotencyKey, startedAt }, lease);
}
