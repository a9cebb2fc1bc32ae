import { hasEffect } from '../../executors/index.js';
import type { Executor } from '../../engine/plan.js';
import type { Executing, RunState } from '../../engine/state.js';
import { buildCall, runCall } from '../../executors/index.js';
import type { ExecutorResult, RunContext } from '../../executors/types.js';
import type { Connection, PolicySet } from '../../model/policy-set.js';
import type { RunRow } from '../../store/runs/runs.js';
import type { NextAttempt } from './attempts.js';
import { findUsedConnection } from '../step/kit.js';

/** What is called. Read once, when the approval is checked: a reload of the policies before the call does not change it. */
export interface Target {
  readonly connection: Connection | null;
  readonly baseDirectory: string;
}

export function targetOf(policySet: PolicySet, executor: Executor, environment: string): Target {
  const { baseDirectory } = policySet;
  if (!('connection' in executor)) return { connection: null, baseDirectory };
  return { connection: findUsedConnection(policySet, executor.connection, environment), baseDirectory };
}

/** What the call uses: all of it was read in the transaction that has recorded the intent. */
interface CallInput {
  readonly row: RunRow;
  readonly run: RunState;
  readonly executing: Executing;
  readonly next: Extract<NextAttempt, { kind: 'attempt' }>;
  readonly target: Target;
}

/** Makes the single call of an attempt. */
export async function performCall(
  { row, run, executing, next, target }: CallInput,
  shutdown: AbortSignal,
): Promise<ExecutorResult> {
  const { action } = executing;
  const built = buildCall(
    next.executor,
    { arguments: action.arguments, context: run.context, input: run.input },
    executing.at,
    executing,
  );
  if (built.status !== 'built') return { status: 'failed', errorClass: 'permanent', message: built.message };
  const effect = hasEffect(executing, next.executor);
  if (run.mode === 'shadow' && effect)
    return { status: 'succeeded', output: null, response: null, evidence: [] };
  if ('connection' in next.executor && target.connection === null) {
    return {
      status: 'failed',
      errorClass: 'permanent',
      message: `environment \`${row.environment}\` has no connection \`${next.executor.connection}\``,
    };
  }
  const context: RunContext = {
    idempotencyKey:
      'idempotencyKey' in next.executor && next.executor.idempotencyKey ? action.idempotencyKey : null,
    timeoutMs: executing.reliability.timeoutMs,
    signal: shutdown,
    hasEffect: effect,
    ...target,
  };
  return runCall(built.call, context);
}
