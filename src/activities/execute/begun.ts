import { ApplicationFailure } from '@temporalio/activity';
import { hasEffect } from '../../executors/index.js';
import type { Executing, Outcome } from '../../engine/state.js';
import type { ExecutorResult } from '../../executors/types.js';
import type { Tx } from '../../db/index.js';
import { findEarlierEffect, type EarlierEffect, type Holder } from '../../store/actions.js';
import type { RunRow } from '../../store/runs.js';
import type { NextAttempt } from './attempts.js';
import type { Target } from './call.js';
import type { ActivityDeps } from '../deps.js';
import { isAsWritten, loadRun, type LoadedRun } from '../step/document.js';
import type { Stepped } from '../types.js';

// What an attempt's beginning and its end have in common.

export interface Begun {
  readonly kind: 'begun';
  readonly row: RunRow;
  readonly loaded: LoadedRun;
  readonly executing: Executing;
  readonly next: Extract<NextAttempt, { kind: 'attempt' }>;
  readonly target: Target;
  readonly startedAt: string;
  readonly holder: Holder;
}

export type Held = Pick<Begun, 'row' | 'loaded' | 'executing'>;

export type Settled = { readonly kind: 'settled'; readonly result: Stepped };

/** Nothing is built on a document that somebody has changed: the next step makes its run stuck. */
export async function loadUnchanged(deps: ActivityDeps, tx: Tx, row: RunRow): Promise<LoadedRun | null> {
  if (isAsWritten(row)) return loadRun(deps, tx, row);
  const message = `the document of run \`${row.id}\` is not the one that its step ${row.rev} wrote`;
  throw ApplicationFailure.nonRetryable(message, 'DOCUMENT_CHANGED');
}

/** `before`: what other attempts under its key may have done, of which this one says nothing. */
export function outcomeOf(
  { errorClass, message, effectPossible, effectInDoubt }: Extract<ExecutorResult, { status: 'failed' }>,
  attempt: number,
  before: EarlierEffect,
): Exclude<Outcome, { status: 'succeeded' }> {
  const isPossible = effectPossible === true || effectInDoubt === true || before !== 'none';
  return errorClass === 'unknown_outcome'
    ? { status: 'unknown', message, attempt }
    : {
        status: 'failed',
        errorClass,
        message,
        attempt,
        ...(isPossible ? { effectPossible: true } : {}),
      };
}

/** What other attempts under the key of this one may have done, this one before it was resumed included. */
export async function findEffectBefore(
  tx: Tx,
  executing: Executing,
  next: Begun['next'],
): Promise<EarlierEffect> {
  if (next.resumed && hasEffect(executing, next.executor)) return 'possible';
  const { id: action, idempotencyKey } = executing.action;
  return findEarlierEffect(tx, idempotencyKey, { action, attempt: next.attempt });
}

export function makeNotExecutingFailure(run: string, action: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`run \`${run}\` does not execute \`${action}\``, 'NOT_EXECUTING');
}
