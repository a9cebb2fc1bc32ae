import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/activity';
import type { ActivityDeps } from '../src/activities/deps.js';
import { attemptFailed, execute } from '../src/activities/execute/execute.js';
import { attemptUnderWay } from '../src/activities/execute/leases.js';
import { step } from '../src/activities/step/step.js';
import type { ExecuteInput, StepInput, StepResult, Stepped } from '../src/activities/types.js';
import { makeKernel, type HistoryEnd, type Kernel } from '../src/workflows/kernel.js';
import type { Ports } from '../src/workflows/memory.js';
import type { RunInput } from '../src/workflows/messages.js';

// Runs the product's own kernel with the product's own activities, in this process and without Temporal.

export interface LocalKernel extends Kernel {
  readonly ended: Promise<HistoryEnd>;
  /** Resolves once the run has nothing to do until something arrives. */
  settled(): Promise<void>;
}

export interface LocalSurroundings {
  readonly step?: (input: StepInput, go: () => Promise<StepResult>) => Promise<StepResult>;
}

const retriedFailures: readonly string[] = [attemptFailed, attemptUnderWay];

/** Tries an execution again after each failure that another attempt follows, as Temporal does, until it is cancelled. */
async function executeWithRetries(
  deps: ActivityDeps,
  given: ExecuteInput,
  cancelled: AbortSignal,
): Promise<Stepped> {
  const owner = randomUUID();
  const around = {
    owner,
    process: 'here',
    tries: 1,
    shutdown: new AbortController().signal,
    allow: () => undefined,
    isLate: () => false,
  };
  for (;;) {
    try {
      return await execute(deps, given, around);
    } catch (error) {
      if (!(error instanceof ApplicationFailure) || !retriedFailures.includes(error.type ?? '')) throw error;
      await wait(Number(error.nextRetryDelay), undefined, { signal: cancelled });
    }
  }
}

export function runKernel(
  deps: ActivityDeps,
  run: string,
  input: RunInput,
  around: LocalSurroundings = {},
): LocalKernel {
  const conditions = new Set<() => void>();
  let busy = 0;
  const checkConditions = (): void => {
    for (const check of [...conditions]) check();
  };
  const runAsBusy = async <T>(act: () => Promise<T>): Promise<T> => {
    busy += 1;
    try {
      return await act();
    } finally {
      busy -= 1;
      setImmediate(checkConditions);
    }
  };
  const ports: Ports = {
    run,
    now: () => Date.now(),
    until: (isTrue) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!isTrue()) return;
          conditions.delete(check);
          resolve();
        };
        conditions.add(check);
        check();
      }),
    step: (given) => runAsBusy(() => around.step?.(given, () => step(deps, given)) ?? step(deps, given)),
    execute: (given) => {
      const cancelled = new AbortController();
      return {
        result: runAsBusy(() => executeWithRetries(deps, given, cancelled.signal)),
        cancel: () => cancelled.abort(),
      };
    },
    startTimer: (ms, fire) => {
      const timer = setTimeout(
        () => {
          fire();
          checkConditions();
        },
        Math.min(ms, 2 ** 31 - 1),
      );
      timer.unref();
      return { cancel: () => clearTimeout(timer) };
    },
    historyLength: () => 'short',
  };
  const kernel = makeKernel(input, ports);
  const arriving =
    <A extends unknown[]>(on: (...given: A) => void) =>
    (...given: A): void => {
      on(...given);
      checkConditions();
    };
  return {
    ...kernel,
    onSignal: arriving(kernel.onSignal),
    onWake: arriving(kernel.onWake),
    onCancelRequest: arriving(kernel.onCancelRequest),
    ended: kernel.runToHistoryEnd(),
    settled: async () => {
      for (let calm = 0; calm < 3; calm = busy === 0 ? calm + 1 : 0)
        await new Promise((resolve) => setImmediate(resolve));
    },
  };
}
