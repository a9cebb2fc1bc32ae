import { ApplicationFailure } from '@temporalio/activity';
import type { Executing } from '../../engine/state.js';
import type { Tx } from '../../db/index.js';
import {
  leasedFor,
  startAttempt,
  takeOverAttempt,
  type Holder,
  type Lease,
} from '../../store/runs/actions.js';
import type { NextAttempt } from './attempts.js';
import type { Surroundings } from '../retry-while-unavailable.js';

// One attempt of an effect at a time: the attempt under way is leased to the execution that makes it, behind the lock on its
// run. Temporal alone does not ensure that: whoever may write to it can have another workflow of the run's name ask, and after a
// reset a workflow asks again beside what the workflow before it has begun.

/** How long the end of a call and the two transactions of an execution may take, beyond the executor's time-out. */
export const marginMs = 20_000;
/** How often a waiting execution looks whether the attempt under way has ended. */
const lookAgainMs = 2_000;

/** The type of the failure of an execution that has to wait: it is tried again until the attempt or its lease has ended. */
export const attemptUnderWay = 'ATTEMPT_UNDER_WAY';

export function leaseMs({ reliability }: Executing): number {
  return reliability.timeoutMs + marginMs;
}

/**
 * The failure of an execution that has to wait for another's attempt; null: it may make an attempt. An attempt of another process
 * is in its way as long as that process lives, even if Temporal has lost contact with it.
 */
export async function findOtherUnderWay(
  tx: Tx,
  { action }: Executing,
  holder: Holder,
): Promise<ApplicationFailure | null> {
  const ms = await leasedFor(tx, action.idempotencyKey, holder);
  return ms === null ? null : makeUnderWayFailure(action.transition, ms);
}

/** Executions under way in this process, by process and action; the function says whether an execution has taken longer than it may. */
const underWayHere = new Map<string, () => boolean>();

/**
 * One try of an action at a time in this process. Temporal begins another try of an execution when it has not heard of the try
 * before, which a busy process has not lost. A try that takes longer than it may counts as lost: `onLost` is called, and the next
 * try goes on as after the death of a worker.
 */
export async function runAloneHere<T>(
  action: string,
  { process, isLate }: Pick<Surroundings, 'process' | 'isLate'>,
  onLost: () => void,
  run: () => Promise<T>,
): Promise<T> {
  const key = `${process} ${action}`;
  const before = underWayHere.get(key);
  if (before?.() === false) throw makeUnderWayFailure(action, lookAgainMs);
  if (before !== undefined) onLost();
  underWayHere.set(key, isLate);
  try {
    return await run();
  } finally {
    if (underWayHere.get(key) === isLate) underWayHere.delete(key);
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

/** Records, before the call, the attempt and who makes it. */
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
