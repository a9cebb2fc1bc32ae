import {
  ActivityCancellationType,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { RunActivities } from '../activities/types.js';
import { isId } from '../model/names/ids.js';
import { areCarriedBells, readBell } from './bell.js';
import { measureHistory } from './history.js';
import { makeKernel } from './kernel.js';
import type { Ports, Running, Timer } from './memory.js';
import * as messages from './messages.js';
import type { Known, RunInput, RunResult } from './messages.js';
import { kernelVersion, oldestKernelVersion } from './versions.js';

// Temporal's side of the kernel: signals, timers, activities, and a history that follows another.

/**
 * How long an execution may wait for the store once its call has ended. The call itself ends by its own time-out; a worker that is
 * lost is known by its heartbeats, which also stop when an execution takes longer than it may.
 */
const storeAwayMs = 24 * 3_600_000;

/** A step that throws three times on the same input is given up. A store that is away is no failure: the step answers `waiting`. */
const { step } = proxyLocalActivities<RunActivities>({
  startToCloseTimeout: '30s',
  localRetryThreshold: '1 minute',
  retry: { initialInterval: '100ms', backoffCoefficient: 2, maximumInterval: '3s', maximumAttempts: 3 },
});

export async function run(input: RunInput): Promise<RunResult> {
  const known = readInput(input);
  const kernel = makeKernel(known, makePorts(known.kernel));
  const signals = [messages.submitSignal, messages.decideSignal, messages.cancelSignal, messages.retrySignal];
  for (const signal of signals)
    setHandler(signal, (raw: unknown) => {
      kernel.onSignal(signal.name, raw);
    });
  setHandler(messages.wakeSignal, kernel.onWake);
  setHandler(messages.stateQuery, kernel.view);
  void CancellationScope.current().cancelRequested.catch(kernel.onCancelRequest);
  const end = await CancellationScope.nonCancellable(() => kernel.runToHistoryEnd().catch(failWorkflow));
  switch (end.kind) {
    case 'closed':
      return end.result;
    case 'refused':
      throw ApplicationFailure.nonRetryable(end.reason, 'START_REFUSED');
    case 'continue':
      return continueAsNew<typeof run>({
        ...known,
        kernel: kernelVersion,
        carried: end.carried,
      });
  }
}

/** Fails the workflow, which is seen: a plain error would fail its tasks for ever. */
function failWorkflow(error: unknown): never {
  throw ApplicationFailure.nonRetryable(
    `the kernel failed: ${error instanceof Error ? error.message : String(error)}`,
    'KERNEL_FAILED',
  );
}

/** Reads input of any shape: anybody who may write to the namespace can start a workflow of any type and id with anything. */
function readInput(raw: unknown): RunInput {
  const { workflowType, workflowId } = workflowInfo();
  if (workflowType !== 'run' || !isId('run', workflowId))
    throw ApplicationFailure.nonRetryable(
      'this workflow is no run: its type or its id is not ours',
      'START_REFUSED',
    );
  const input = (typeof raw === 'object' && raw !== null ? raw : {}) as Partial<RunInput>;
  const { kernel } = input;
  if (!isSupported(kernel)) {
    const version = typeof kernel === 'number' ? `version ${kernel}` : 'a version that is no number';
    throw ApplicationFailure.nonRetryable(`this worker has no kernel of ${version}`, 'KERNEL_VERSION');
  }
  const start = readBell(input.start);
  const carried = input.carried ?? null;
  if (start === null || (carried !== null && !isCarriedOver(carried)))
    throw ApplicationFailure.nonRetryable('the input of this workflow is not one of ours', 'START_REFUSED');
  return { kernel, start, carried };
}

function isSupported(kernel: unknown): kernel is number {
  return (
    Number.isSafeInteger(kernel) && Number(kernel) >= oldestKernelVersion && Number(kernel) <= kernelVersion
  );
}

/** The store is asked with these: it takes no text with a NUL, and no number that is far below zero. */
const digestText = /^sha256:[0-9a-f]{64}$/;
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;

/** Is it what a history of ours hands over to the next? */
function isCarriedOver(raw: unknown): raw is Known {
  if (typeof raw !== 'object' || raw === null) return false;
  const { rev, digest, head, state, status, version, wakeAt, bells } = raw as Readonly<
    Record<string, unknown>
  >;
  const numbers = [version, ...(wakeAt === null ? [] : [wakeAt])];
  const texts = [head, state, status];
  return (
    isCount(rev) &&
    numbers.every(Number.isSafeInteger) &&
    texts.every((text) => typeof text === 'string') &&
    (digest === null || (typeof digest === 'string' && digestText.test(digest))) &&
    (bells === undefined || areCarriedBells(bells))
  );
}

function makePorts(version: number): Ports {
  return {
    run: workflowInfo().workflowId,
    now: () => Date.now(),
    until: (isTrue) => condition(isTrue),
    step,
    execute: startExecution,
    startTimer,
    historyLength: () => {
      const { continueAsNewSuggested, historyLength } = workflowInfo();
      return measureHistory(historyLength, continueAsNewSuggested, version);
    },
  };
}

/**
 * Executes an effect until its outcome is recorded. The activity decides on attempts and delays, which are Temporal's retries;
 * their number has no limit here, since a lost worker is not a failed attempt.
 */
function startExecution(input: Parameters<RunActivities['execute']>[0], timeoutMs: number): Running {
  const { execute: act } = proxyActivities<RunActivities>({
    startToCloseTimeout: timeoutMs + storeAwayMs,
    heartbeatTimeout: '5s',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '250ms', backoffCoefficient: 2, maximumInterval: '5s' },
  });
  const scope = new CancellationScope();
  return {
    result: scope.run(() => act(input)),
    cancel: () => {
      scope.cancel();
    },
  };
}

function startTimer(ms: number, fire: () => void): Timer {
  const scope = new CancellationScope();
  void scope.run(async () => {
    try {
      await sleep(ms);
      fire();
    } catch (error) {
      if (!isCancellation(error)) throw error;
    }
  });
  return {
    cancel: () => {
      scope.cancel();
    },
  };
}
