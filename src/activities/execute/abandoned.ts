import type { Executing, Outcome, RunState } from '../../engine/state.js';
import type { Fact } from '../../model/records.js';
import type { Tx } from '../../db/index.js';
import { findEarlierEffect, finishAttempt, listAttempts, type AttemptRow } from '../../store/runs/actions.js';
import { makeAttemptFact } from './attempt-facts.js';
import { outcomeOfAbandoned } from './attempts.js';

// How an effect ends that will have no outcome any more.

export interface Abandoned {
  readonly result: Exclude<Outcome, { status: 'succeeded' }>;
  /** The record of that end in the run's chain: each effect that was begun has an end there. */
  readonly fact: (executing: Executing) => Fact;
}

export function keyedEffectOf({ action }: Executing): KeyedEffect {
  return { action: action.id, key: action.idempotencyKey };
}

export const unknownEnd = {
  outcome: 'unknown',
  errorClass: 'unknown_outcome',
  effectPossible: true,
  nextAt: null,
} as const;

/** `key`: the idempotency key, which earlier actions share where this action repeats them; null: the run no longer knows it. */
export interface KeyedEffect {
  readonly action: string;
  readonly key: string | null;
}

/**
 * Ends an effect without an outcome. An attempt that was begun and did not end stays unknown. Its call may still run, so it stays
 * leased as long as its process lives. `why`: why no further attempt is made; null: because the run is to end.
 */
export async function abandon(
  tx: Tx,
  { action, key }: KeyedEffect,
  attempts: readonly AttemptRow[],
  why: string | null,
  time: string,
): Promise<Abandoned> {
  const earlier = key === null ? 'none' : await findEarlierEffect(tx, key, { action, attempt: 0 });
  const result = outcomeOfAbandoned(attempts, why, earlier);
  const { status, attempt, message } = result;
  if (attempts.at(-1)?.outcome === null)
    await finishAttempt(tx, { ...unknownEnd, action, attempt, finishedAt: time }, null);
  return {
    result,
    fact: (executing) => makeAttemptFact(executing, attempt, `executor.${status}`, time, { message }),
  };
}

/** Ends the attempt under way of a run that is given up. Its outcome is unknown, and so is the outcome of later failures under its key. */
export async function giveUpAttempt(
  tx: Tx,
  { executing }: RunState,
  why: string,
  time: string,
): Promise<Fact[]> {
  if (executing === null) return [];
  const attempts = await listAttempts(tx, executing.action.id);
  if (attempts.at(-1)?.outcome !== null) return [];
  return [(await abandon(tx, keyedEffectOf(executing), attempts, why, time)).fact(executing)];
}
