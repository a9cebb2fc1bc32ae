import type { Executing, Outcome, RunState } from '../engine/state.js';
import type { Fact } from '../model/records.js';
import type { Tx } from '../db/index.js';
import { finishAttempt, listAttempts, type AttemptRow } from '../store/actions.js';
import { attemptFact } from './attempt-facts.js';
import { abandonedOutcome } from './attempts.js';

// What becomes of an effect of which no outcome will come any more.

export interface Abandoned {
  readonly result: Exclude<Outcome, { status: 'succeeded' }>;
  /** What its chain says of it: each effect that was begun has an end there. */
  readonly fact: (executing: Executing) => Fact;
}

export const unknownEnd = {
  outcome: 'unknown',
  errorClass: 'unknown_outcome',
  effectPossible: true,
  nextAt: null,
} as const;

/**
 * An attempt that was begun and did not end stays unknown. Nobody has ended its call: it is leased as long as its process
 * lives. `why`: no further one was made; null: the run is to end.
 */
export async function abandon(
  tx: Tx,
  action: string,
  attempts: readonly AttemptRow[],
  why: string | null,
  time: string,
): Promise<Abandoned> {
  const result = abandonedOutcome(attempts, why);
  const { status, attempt, message } = result;
  if (attempts.at(-1)?.outcome === null)
    await finishAttempt(tx, { ...unknownEnd, action, attempt, finishedAt: time }, null);
  return {
    result,
    fact: (executing) => attemptFact(executing, attempt, `executor.${status}`, time, { message }),
  };
}

/** Of what a run executes that is given up: its attempt under way is unknown from here on, and whatever fails under its key later. */
export async function giveUpAttempt(
  tx: Tx,
  { executing }: RunState,
  why: string,
  time: string,
): Promise<Fact[]> {
  if (executing === null) return [];
  const { id } = executing.action;
  const attempts = await listAttempts(tx, id);
  if (attempts.at(-1)?.outcome !== null) return [];
  return [(await abandon(tx, id, attempts, why, time)).fact(executing)];
}
