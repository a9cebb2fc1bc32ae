import {
  ActivityCancellationType,
  ApplicationFailure,
  CancellationScope,
  allHandlersFinished,
  condition,
  continueAsNew,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { Arrival, KernelEffect, RunActivities, Stepped } from '../activities/types.js';
import type { Answer, RunState } from '../engine/state.js';
import * as messages from './messages.js';
import type { Reply, RunInput, RunResult } from './messages.js';

/** Arrivals taken in one policy check: a flood costs one history event per so many. */
const batchSize = 50;
/** Arrivals kept while one check runs. What comes above it is answered as refused, and is not kept. */
const queueLimit = 5_000;
/** Over an executor's own timeout: its two transactions, and its clean-up. */
const activityMarginMs = 20_000;

const { step } = proxyLocalActivities<RunActivities>({
  startToCloseTimeout: '15s',
  localRetryThreshold: '1 minute',
  retry: { initialInterval: '100ms', backoffCoefficient: 2, maximumInterval: '3s' },
});

/** What one execution keeps besides the run's state. */
interface Kernel {
  state: RunState | null;
  rev: number;
  head: string;
  closed: boolean;
  refused: string | null;
  readonly queue: { readonly number: number; readonly arrival: Arrival }[];
  arrived: number;
  /** By arrival number: the message whose answer it waits for, or the refusal itself. */
  readonly taken: Map<number, { readonly id: string } | Reply>;
  readonly answers: Map<string, Answer>;
  readonly timers: Map<string, CancellationScope>;
  /** Results of executors that are not applied yet, by rev. */
  readonly settled: Map<number, Stepped>;
  /** Arrivals that an update's handler waits for. */
  readonly awaited: Set<number>;
  executing: CancellationScope | null;
}

/**
 * The kernel: it orders what happens to one run and decides nothing. Every arrival goes through the
 * policy check (a local activity), which verifies, decides and records in one transaction; effects
 * are regular activities that settle themselves. Handlers only queue.
 */
export async function run(input: RunInput): Promise<RunResult> {
  const kernel = makeKernel(input);
  // Before the handlers, which take at once what came before the first task: a run begins with its start.
  if (input.carried === null) push(kernel, { kind: 'start', raw: input.start });
  handleMessages(kernel);
  void CancellationScope.current().cancelRequested.catch(() => {
    push(kernel, { kind: 'message', name: 'temporal.cancel', raw: null });
  });
  return CancellationScope.nonCancellable(() => keep(kernel, input));
}

/** Temporal's own cancel request carries no attestation: it is recorded as refused, and the run goes on. */
async function keep(kernel: Kernel, input: RunInput): Promise<RunResult> {
  if (input.carried !== null) rearm(kernel, input.carried.state);
  while (!kernel.closed) {
    await condition(() => hasWork(kernel) || mayContinueAsNew(kernel));
    if (hasWork(kernel)) await advance(kernel);
    else await carryOn(kernel, input);
  }
  await drain(kernel);
  if (kernel.refused !== null) throw ApplicationFailure.nonRetryable(kernel.refused, 'START_REFUSED');
  const { state } = kernel;
  return {
    status: state?.status ?? 'failed',
    state: state?.state ?? '',
    version: state?.version ?? 0,
    head: kernel.head,
  };
}

function makeKernel(input: RunInput): Kernel {
  if (input.kernel !== messages.kernelVersion) {
    throw ApplicationFailure.nonRetryable(
      `this worker has no kernel of version ${String(input.kernel)}`,
      'KERNEL_VERSION',
    );
  }
  return {
    state: input.carried?.state ?? null,
    rev: input.carried?.rev ?? 0,
    head: '',
    closed: false,
    refused: null,
    queue: [],
    arrived: 0,
    taken: new Map(),
    answers: new Map(),
    timers: new Map(),
    settled: new Map(),
    awaited: new Set(),
    executing: null,
  };
}

function push(kernel: Kernel, arrival: Arrival): number {
  kernel.arrived += 1;
  if (kernel.queue.length < queueLimit) kernel.queue.push({ number: kernel.arrived, arrival });
  return kernel.arrived;
}

function reply(kernel: Kernel, number: number, taken: { readonly id: string } | Reply): void {
  if (kernel.awaited.has(number)) kernel.taken.set(number, taken);
}

function refusedAs(reason: string): Reply {
  return { status: 'message_refused', reason };
}

function handleMessages(kernel: Kernel): void {
  const signals = [messages.submitSignal, messages.decideSignal, messages.cancelSignal, messages.retrySignal];
  for (const signal of signals) {
    setHandler(signal, (raw: unknown) => {
      push(kernel, { kind: 'message', name: signal.name, raw: raw ?? null });
    });
  }
  const updates = [messages.submitUpdate, messages.decideUpdate, messages.cancelUpdate, messages.retryUpdate];
  for (const update of updates) {
    setHandler(update, async (raw: unknown): Promise<Reply> => {
      if (kernel.queue.length >= queueLimit) return refusedAs('queue_full');
      const number = push(kernel, { kind: 'message', name: update.name, raw: raw ?? null });
      kernel.awaited.add(number);
      await condition(() => replyTo(kernel, number) !== null);
      const said = replyTo(kernel, number) ?? refusedAs('unanswered');
      kernel.awaited.delete(number);
      kernel.taken.delete(number);
      return said;
    });
  }
  setHandler(messages.stateQuery, () => ({
    run: workflowInfo().workflowId,
    state: kernel.state?.state ?? '',
    status: kernel.state?.status ?? 'running',
    version: kernel.state?.version ?? 0,
    rev: kernel.rev,
    head: kernel.head,
  }));
}

/** The main loop stores answers under message ids; a handler whose id is known waits for that answer. */
function replyTo(kernel: Kernel, number: number): Reply | null {
  const taken = kernel.taken.get(number);
  if (taken === undefined) return null;
  return 'status' in taken ? taken : (kernel.answers.get(taken.id) ?? null);
}

/** One step: an executor's own, or a policy check over what has arrived. */
async function advance(kernel: Kernel): Promise<void> {
  const settled = kernel.settled.get(kernel.rev + 1);
  if (settled !== undefined) return apply(kernel, settled, []);
  const batch = kernel.queue.splice(0, batchSize);
  const arrivals = batch.map((one) => one.arrival);
  const result = await step({
    run: workflowInfo().workflowId,
    rev: kernel.rev + 1,
    state: kernel.state,
    arrivals,
  });
  switch (result.status) {
    case 'stepped':
      return apply(kernel, result, batch);
    case 'behind':
      kernel.queue.unshift(...batch);
      return condition(() => kernel.settled.has(kernel.rev + 1));
    case 'refused':
      kernel.closed = true;
      kernel.refused = result.reason;
      for (const one of batch) reply(kernel, one.number, refusedAs(result.reason));
  }
}

function apply(kernel: Kernel, result: Stepped, batch: Kernel['queue']): void {
  kernel.settled.delete(result.rev);
  kernel.rev = result.rev;
  kernel.head = result.head;
  kernel.state = { ...(kernel.state ?? {}), ...result.changed } as RunState;
  // A step that ran before a worker died may have taken fewer arrivals than are here now.
  kernel.queue.unshift(...batch.filter((_, index) => result.taken[index]?.kind === 'again'));
  for (const [index, one] of batch.entries()) {
    const taken = result.taken[index];
    if (taken?.kind === 'message') reply(kernel, one.number, { id: taken.id });
    else if (taken?.kind !== 'again')
      reply(kernel, one.number, refusedAs(taken?.kind === 'refused' ? taken.reason : 'none'));
  }
  for (const { id, answer } of result.answers) kernel.answers.set(id, answer);
  for (const effect of result.effects) perform(kernel, effect);
  // Cancelling ends a wait between attempts; an attempt under way is not cut, its outcome comes first.
  if (kernel.state.cancelRequested !== null) kernel.executing?.cancel();
}

function perform(kernel: Kernel, effect: KernelEffect): void {
  switch (effect.kind) {
    case 'execute':
      void execute(kernel, effect);
      break;
    case 'arm':
      arm(kernel, effect.approval, effect.at, {
        kind: 'deadline',
        approval: effect.approval,
        at: effect.at,
      });
      break;
    case 'arm_run':
      arm(kernel, '', effect.at, { kind: 'timeout' });
      break;
    case 'disarm':
      kernel.timers.get(effect.approval)?.cancel();
      kernel.timers.delete(effect.approval);
      break;
    case 'close':
      kernel.closed = true;
  }
}

/** One durable timer per gate, to an absolute time. */
function arm(kernel: Kernel, id: string, at: number, arrival: Arrival): void {
  kernel.timers.get(id)?.cancel();
  const scope = new CancellationScope();
  kernel.timers.set(id, scope);
  void scope.run(async () => {
    try {
      await sleep(Math.max(at - Date.now(), 1));
      push(kernel, arrival);
    } catch (error) {
      if (!isCancellation(error)) throw error;
    }
  });
}

/**
 * Runs until the effect's outcome is recorded. Attempts and delays are the activity's decision,
 * carried by Temporal's retry; without an end here, since a lost worker is not a failed attempt.
 */
async function execute(
  kernel: Kernel,
  effect: { readonly action: string; readonly timeoutMs: number },
): Promise<void> {
  const { execute: act } = proxyActivities<RunActivities>({
    startToCloseTimeout: effect.timeoutMs + activityMarginMs,
    heartbeatTimeout: '5s',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '250ms', backoffCoefficient: 2, maximumInterval: '5s' },
  });
  const scope = new CancellationScope();
  kernel.executing = scope;
  try {
    const result = await scope.run(() => act({ run: workflowInfo().workflowId, action: effect.action }));
    kernel.settled.set(result.rev, result);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    push(kernel, { kind: 'abandoned', action: effect.action });
  } finally {
    if (kernel.executing === scope) kernel.executing = null;
  }
}

function rearm(kernel: Kernel, state: RunState): void {
  for (const approval of state.approvals) {
    if (approval.status !== 'open' && approval.status !== 'escalated') continue;
    const { id, timer: at } = approval;
    arm(kernel, id, at, { kind: 'deadline', approval: id, at });
  }
  if (state.deadline !== null) arm(kernel, '', state.deadline, { kind: 'timeout' });
}

function hasWork(kernel: Kernel): boolean {
  return kernel.queue.length > 0 || kernel.settled.has(kernel.rev + 1);
}

function mayContinueAsNew(kernel: Kernel): boolean {
  const idle = kernel.queue.length === 0 && kernel.state !== null && kernel.state.executing === null;
  return !kernel.closed && idle && workflowInfo().continueAsNewSuggested && allHandlersFinished();
}

async function carryOn(kernel: Kernel, input: RunInput): Promise<void> {
  if (kernel.state === null) return;
  await continueAsNew<typeof run>({
    kernel: input.kernel,
    start: input.start,
    carried: { state: kernel.state, rev: kernel.rev },
  });
}

/** Whoever is still waiting gets an answer before the run ends. */
async function drain(kernel: Kernel): Promise<void> {
  do {
    while (kernel.refused === null && kernel.queue.length > 0) await advance(kernel);
    for (const one of kernel.queue.splice(0))
      reply(kernel, one.number, refusedAs(kernel.refused ?? 'closed'));
    await condition(() => allHandlersFinished() || kernel.queue.length > 0);
  } while (kernel.queue.length > 0);
}
