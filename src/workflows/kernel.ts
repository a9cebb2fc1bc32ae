import type { Arrival, Execution, StepInput, StepResult, Stepped } from '../activities/types.js';
import { makeGarbage, readSignal } from './bell.js';
import {
  carryOver,
  isFull,
  isHandedOver,
  arrivalsLeftBehind,
  mayContinue,
  mayWaitElsewhere,
} from './hand-over.js';
import { hasWork, isClosed, push, type Memory, type Ports, type Running } from './memory.js';
import type { Carried, Known, RunInput, RunResult, StateView } from './messages.js';
import { firstPauseMs, lengthenPause, pause, setTimer } from './timer.js';
import { looksAfterRestoreSince } from './versions.js';

// The kernel: it orders what happens to one run and decides nothing. It does not know Temporal: `run.ts` gives it its ports, and
// so do its tests. The table in docs/reliability.md says what can fail at each of its awaits, and what it does then.

/** How a history ends. */
export type HistoryEnd =
  | { readonly kind: 'closed'; readonly result: RunResult }
  | { readonly kind: 'refused'; readonly reason: string }
  /** The run goes on in another history. */
  | { readonly kind: 'continue'; readonly carried: Carried };

export interface Kernel {
  /** Takes a signal with one of our names. Never throws. */
  readonly onSignal: (name: string, raw: unknown) => void;
  readonly onWake: () => void;
  /** Takes a cancel request of Temporal's own. It is not signed, so it is recorded as refused, and the run goes on. */
  readonly onCancelRequest: () => void;
  readonly view: () => StateView;
  readonly runToHistoryEnd: () => Promise<HistoryEnd>;
}

/** Most arrivals that a step takes, so that a flood of them costs few events of the history. */
const batchSize = 50;
const longestReason = 300;
/** So many failures of the kernel's own code in a row, and the workflow itself ends. */
const mostFailures = 3;

const nothingKnown: Known = {
  rev: 0,
  digest: null,
  head: '',
  state: '',
  status: 'running',
  version: 0,
  wakeAt: null,
};

export function makeKernel(input: RunInput, ports: Ports): Kernel {
  const known = input.carried ?? nothingKnown;
  const startArrivals: Arrival[] = known.rev === 0 ? [{ kind: 'message', bell: input.start }] : [];
  const memory: Memory = {
    ports,
    version: input.kernel,
    known,
    // A run begins with its start, whatever came before its first task.
    queue: [...startArrivals, ...arrivalsLeftBehind(input.carried)],
    oneAtATime: 0,
    running: null,
    settled: [],
    timer: null,
    firedFor: null,
    signals: 0,
  };
  const onSignal = (arrival: Arrival): void => {
    memory.signals += 1;
    push(memory, arrival);
  };
  return {
    onSignal: (name, raw) => onSignal(readSignal(name, raw)),
    onWake: () => onSignal({ kind: 'look' }),
    onCancelRequest: () => push(memory, makeGarbage('temporal.cancel', 'unsigned')),
    view: () => viewOf(memory),
    runToHistoryEnd: () => runToHistoryEnd(memory),
  };
}

function viewOf({ ports, known: { state, status, version, rev, head } }: Memory): StateView {
  return { run: ports.run, state, status, version, rev, head };
}

async function runToHistoryEnd(memory: Memory): Promise<HistoryEnd> {
  const { ports } = memory;
  setTimer(memory);
  for (let failures = 0; ;) {
    await ports.until(() => hasWork(memory) || mayContinue(memory));
    if (mayContinue(memory) && (!hasWork(memory) || isFull(memory)))
      return { kind: 'continue', carried: carryOver(memory) };
    try {
      const end = await advance(memory);
      if (end !== null) return end;
      // Asked only between steps: tasks come and go while a step goes on, and a replay sees the length at the last of them.
      if (mayContinue(memory) && isHandedOver(memory))
        return { kind: 'continue', carried: carryOver(memory) };
      failures = 0;
    } catch (error) {
      failures += 1;
      if (failures >= mostFailures) throw error;
      const result = await giveUp(memory, [], error);
      if (result?.status === 'stepped') applyStep(memory, result);
    }
  }
}

/** Takes a step: a policy check over what has arrived, or, where nothing has, the step of an execution that has ended. */
async function advance(memory: Memory): Promise<HistoryEnd | null> {
  if (memory.queue.length === 0 && applySettled(memory) === 'done') return findClosedEnd(memory);
  const batch = takeBatch(memory);
  const result = await takeStep(memory, batch);
  if (result === null) return null;
  if (result.status === 'refused') return { kind: 'refused', reason: result.reason };
  const waiting = [...batch, ...memory.queue];
  memory.queue = arrivalsLeftBy(waiting, result);
  memory.oneAtATime = Math.max(memory.oneAtATime - (waiting.length - memory.queue.length), 0);
  applyStep(memory, result);
  return findClosedEnd(memory);
}

/**
 * What waits after a step: of the arrivals that it was given those that it has left, and all that it was not given.
 * For example: it was given A, B and C and took A and C, and D came meanwhile. Then B and D wait.
 *
 * The step itself says how many it was given, since a replay may differ. When a task ran out of time while its step was under
 * way, Temporal delivers to a replay at once what it had delivered in parts: the first time A was given and B came meanwhile; in
 * the replay A and B are given, but the recorded step says 1, so B waits as it did, and the same steps follow. Where the step was
 * given more than was taken off the queue here, the rest of them is at the front of the queue.
 */
function arrivalsLeftBy(waiting: readonly Arrival[], { left, given }: Stepped): Arrival[] {
  return [...left.flatMap((index) => waiting[index] ?? []), ...waiting.slice(given)];
}

/** The end of the history of a closed run; null: the run is not closed, or something waits that it still has to answer. */
function findClosedEnd(memory: Memory): HistoryEnd | null {
  if (!isClosed(memory.known) || hasWork(memory)) return null;
  const { status, state, version, head } = memory.known;
  return { kind: 'closed', result: { status, state, version, head } };
}

function takeBatch(memory: Memory): readonly Arrival[] {
  const size = memory.oneAtATime > 0 ? 1 : batchSize;
  const batch = memory.queue.slice(0, size);
  memory.queue = memory.queue.slice(size);
  return batch;
}

/**
 * Applies the result of an execution, which is the step that the store has made of it: in its turn, and once. Where another step
 * has its number already, the store has been restored since and goes on from an earlier step: a look at the store brings its state.
 * `look`: nothing was applied, and a look at the store waits in the queue for the next step.
 */
function applySettled(memory: Memory): 'done' | 'look' {
  const { known, settled, version } = memory;
  if (version >= looksAfterRestoreSince && settled.some(({ rev }) => rev <= known.rev))
    push(memory, { kind: 'look' });
  memory.settled = settled.filter((result) => result.rev > known.rev);
  const next = memory.settled.find((result) => result.rev === known.rev + 1);
  if (next !== undefined) {
    memory.settled = memory.settled.filter((result) => result !== next);
    applyStep(memory, next);
    return 'done';
  }
  // The result builds on a step that only the store knows: a look at the store brings that step.
  if (memory.settled.length > 0 && memory.queue.length === 0) push(memory, { kind: 'look' });
  return memory.queue.length === 0 ? 'done' : 'look';
}

type TakenStep = Exclude<StepResult, { status: 'waiting' }>;

/** Takes a step over these arrivals. Null: they are back in the queue; where a step over several of them failed, they are taken one at a time from now on. */
async function takeStep(memory: Memory, batch: readonly Arrival[]): Promise<TakenStep | null> {
  let result: TakenStep | null;
  try {
    result = await waitForStore(memory, batch, null);
  } catch (error) {
    if (batch.length > 1) memory.oneAtATime = batch.length;
    result = batch.length > 1 ? null : await giveUp(memory, batch, error);
  }
  if (result === null) memory.queue = [...batch, ...memory.queue];
  return result;
}

/**
 * Makes the run stuck over what cannot be taken: recorded, shown, and left to an operator. Where even that cannot be written it
 * is tried again until a worker can write it; the worker logs and counts each failure.
 */
async function giveUp(memory: Memory, batch: readonly Arrival[], error: unknown): Promise<TakenStep | null> {
  const reason = reasonOf(error);
  for (let pauseMs = firstPauseMs; ; pauseMs = lengthenPause(memory, pauseMs)) {
    try {
      return await waitForStore(memory, batch, reason);
    } catch {
      if (isFull(memory)) return null;
      await pause(memory, pauseMs);
    }
  }
}

function reasonOf(error: unknown): string {
  const cause: unknown = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, longestReason).toWellFormed();
}

/** The reason of anything that was thrown. Never throws itself. */
function toReadableText(error: unknown): string {
  try {
    return reasonOf(error);
  } catch {
    return 'an error that cannot be read';
  }
}

function inputOf({ ports, known }: Memory, arrivals: readonly Arrival[], gaveUp: string | null): StepInput {
  return { run: ports.run, rev: known.rev + 1, builtOn: known.digest, arrivals, gaveUp };
}

/** Repeats the step while the store does not answer. Null: the next history goes on waiting. */
async function waitForStore(
  memory: Memory,
  batch: readonly Arrival[],
  gaveUp: string | null,
): Promise<TakenStep | null> {
  for (let pauseMs = firstPauseMs; ; pauseMs = lengthenPause(memory, pauseMs)) {
    const result = await memory.ports.step(inputOf(memory, batch, gaveUp));
    if (result.status !== 'waiting') return result;
    // Not before it has waited here, so that histories never follow one another without a pause; and not a step that gives up, since
    // the next history would not know of it.
    const mayLeave = gaveUp === null && pauseMs > firstPauseMs && mayWaitElsewhere(memory, batch);
    if (isFull(memory) || mayLeave) return null;
    await pause(memory, pauseMs);
  }
}

function applyStep(memory: Memory, result: Stepped): void {
  const { rev, digest, head, state, runStatus: status, version, wakeAt, isForked } = result;
  if (rev < memory.known.rev && !isForked) return;
  memory.known = { rev, digest, head, state, status, version, wakeAt };
  memory.settled = isForked ? [] : memory.settled.filter((other) => other.digest !== digest);
  setTimer(memory);
  followExecution(memory, result);
}

/** Starts the effect that the store says is under way; ends the wait between its attempts when the run is to end. */
function followExecution(memory: Memory, { execution, cancelling }: Stepped): void {
  if (execution?.action !== memory.running?.action) {
    memory.running = execution === null ? null : startEffect(memory, execution);
  }
  if (cancelling) memory.running?.cancel();
}

function startEffect(memory: Memory, execution: Execution): Execution & Running {
  const { action, timeoutMs } = execution;
  const running = { ...execution, ...memory.ports.execute({ run: memory.ports.run, action }, timeoutMs) };
  running.result.then(
    (result) => {
      // Where the store has ended the effect, it has decided how: an outcome that comes later is not applied.
      if (memory.running === running) memory.settled = [...memory.settled, result];
    },
    (error: unknown) => {
      // The store knows which attempt was begun, and so what is known of the effect. An effect that the store has ended is not reported.
      if (memory.running === running)
        push(memory, { kind: 'abandoned', action, reason: toReadableText(error) });
    },
  );
  return running;
}
