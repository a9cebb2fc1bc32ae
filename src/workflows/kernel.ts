import type {
  Arrival,
  ExecuteInput,
  Execution,
  StepInput,
  StepResult,
  Stepped,
} from '../activities/types.js';
import type { Bell } from '../model/message.js';
import { garbage, mostCarriedBells, readSignal } from './bell.js';
import type { HistoryLength } from './history.js';
import { looksAfterRestoreSince } from './versions.js';
import type { Carried, Known, RunInput, RunResult, StateView } from './messages.js';

// The kernel: it orders what happens to one run and decides nothing. It knows no Temporal: `run.ts` gives it its ports,
// and so do its tests. What can fail at each of its awaits, and what it does then, is docs/reliability.md's table.

/** What the kernel has its surroundings do. */
export interface Ports {
  readonly run: string;
  readonly now: () => number;
  readonly until: (condition: () => boolean) => Promise<void>;
  /** Rejects when it threw as often as it may on this input. */
  readonly step: (input: StepInput) => Promise<StepResult>;
  readonly execute: (input: ExecuteInput, timeoutMs: number) => Running;
  readonly startTimer: (ms: number, fire: () => void) => Timer;
  readonly historyLength: () => HistoryLength;
}

export interface Running {
  /** Rejects when no outcome will come. */
  readonly result: Promise<Stepped>;
  /** No further attempt is begun; one under way is not cut off. */
  readonly cancel: () => void;
}

export interface Timer {
  readonly cancel: () => void;
}

export type Ended =
  | { readonly kind: 'closed'; readonly result: RunResult }
  | { readonly kind: 'refused'; readonly reason: string }
  /** Goes on in another history. */
  | { readonly kind: 'continue'; readonly carried: Carried };

export interface Kernel {
  /** A signal of one of our names. Never throws. */
  readonly onSignal: (name: string, raw: unknown) => void;
  readonly onWake: () => void;
  /** Temporal's own request to cancel carries no attestation: recorded as refused, and the run goes on. */
  readonly onCancelRequest: () => void;
  readonly view: () => StateView;
  readonly keep: () => Promise<Ended>;
}

/** Arrivals taken in one step: a flood costs one history event per so many. */
const batchSize = 50;
const firstPauseMs = 1_000;
const longestPauseMs = 30_000;
/** A timer that fired before the store's clock agreed is not set for a moment that has passed. */
const soonestAgainMs = 500;
/** Temporal counts a timer's nanoseconds in 64 bits: a moment that is further away is looked at again on the way. */
const longestTimerMs = 365 * 24 * 3_600_000;
const longestReason = 300;
/** Failures of the kernel's own code in a row before the workflow itself ends. */
const mostFailures = 3;
/** The server takes 10,000 signals a history. From the first number on another history follows once what waits can be left to it; from the second at once. */
const manySignals = 8_000;
const mostSignals = 9_000;

interface Memory {
  readonly ports: Ports;
  /** That this history was begun with. */
  readonly version: number;
  known: Known;
  queue: Arrival[];
  /** Arrivals that are taken one at a time, since a step over several of them failed. */
  careful: number;
  running: (Execution & Running) | null;
  /** Results of executions that are not applied yet. */
  settled: readonly Stepped[];
  timer: { readonly at: number; readonly handle: Timer } | null;
  /** The time that the timer last fired for. */
  firedFor: number | null;
  /** Of this history. */
  signals: number;
}

const unborn: Known = {
  ...{ rev: 0, digest: null, head: '', state: '', status: 'running', version: 0, wakeAt: null },
};

export function makeKernel(input: RunInput, ports: Ports): Kernel {
  const start: Arrival = { kind: 'message', bell: input.start };
  const known = input.carried ?? unborn;
  const first: Arrival[] = known.rev === 0 ? [start] : [];
  const memory: Memory = {
    ports,
    version: input.kernel,
    known,
    // A run begins with its start, whatever came before its first task.
    queue: [...first, ...leftBehind(input.carried)],
    ...{ careful: 0, running: null, settled: [], timer: null, firedFor: null, signals: 0 },
  };
  const onSignal = (arrival: Arrival): void => {
    memory.signals += 1;
    push(memory, arrival);
  };
  return {
    onSignal: (name, raw) => onSignal(readSignal(name, raw)),
    onWake: () => onSignal({ kind: 'look' }),
    onCancelRequest: () => push(memory, garbage('temporal.cancel', 'unsigned')),
    view: () => viewOf(memory),
    keep: () => keep(memory),
  };
}

function viewOf({ ports, known: { state, status, version, rev, head } }: Memory): StateView {
  return { run: ports.run, state, status, version, rev, head };
}

/** As many as the server takes signals of one history: no arrival is dropped, and so no two replays differ. */
function push(memory: Memory, arrival: Arrival): void {
  memory.queue.push(arrival);
}

async function keep(memory: Memory): Promise<Ended> {
  const { ports } = memory;
  setTimer(memory);
  for (let failures = 0; ;) {
    await ports.until(() => hasWork(memory) || mayContinue(memory));
    if (mayContinue(memory) && (!hasWork(memory) || isFull(memory))) return carryOver(memory);
    try {
      const ended = await advance(memory);
      if (ended !== null) return ended;
      // Only here: while a step goes on, tasks come and go, and a replay sees the length that the last of them saw.
      if (mayContinue(memory) && isHandedOver(memory)) return carryOver(memory);
      failures = 0;
    } catch (error) {
      failures += 1;
      if (failures >= mostFailures) throw error;
      const result = await giveUp(memory, [], error);
      if (result?.status === 'stepped') apply(memory, result);
    }
  }
}

/** What was asked and still waits is in the store, where the next history looks first. A bell of nothing there is refused there. */
function carryOver(memory: Memory): Ended {
  const { known, queue } = memory;
  const dropped = hasWork(memory);
  if (!dropped) return { kind: 'continue', carried: { ...known, dropped } };
  const distinct = new Map<string, Bell>();
  // A run that has not begun finds its start again by itself.
  for (const arrival of queue)
    if (arrival.kind === 'message' && arrival.bell.kind !== 'start')
      distinct.set(JSON.stringify(arrival.bell), arrival.bell);
  const bells = [...distinct.values()].slice(0, mostCarriedBells);
  const unread = bells.length < distinct.size || queue.some(({ kind }) => kind === 'garbage');
  return { kind: 'continue', carried: { ...known, dropped, bells, unread } };
}

/** With what the history before has left: that some of it was read by nobody is recorded. One of an earlier build does not say. */
function leftBehind(carried: Carried | null): Arrival[] {
  if (carried === null || !carried.dropped) return [];
  const bells = (carried.bells ?? []).map((bell) => ({ kind: 'message', bell }) as const);
  return [{ kind: 'look' }, ...bells, ...(carried.unread === false ? [] : [garbage('overflow', 'unread')])];
}

function hasWork({ queue, settled }: Memory): boolean {
  return queue.length > 0 || settled.length > 0;
}

function mayContinue(memory: Memory): boolean {
  const { known, running, settled, signals, ports } = memory;
  // An effect under way is part of this history, however long it gets.
  const isIdle = !isClosed(known) && running === null && settled.every(({ rev }) => rev <= known.rev);
  return isIdle && (signals >= manySignals || ports.historyLength() !== 'short');
}

/**
 * All that waits is carried to the next history. The server takes no end of a history beside a signal that has just come,
 * and the task after it replays all of it: a run that is asked without a pause would pay that with each request.
 */
function isHandedOver({ queue }: Memory): boolean {
  return queue.length <= mostCarriedBells && queue.every(({ kind }) => kind !== 'garbage');
}

function isFull(memory: Memory): boolean {
  return mayContinue(memory) && (memory.signals >= mostSignals || memory.ports.historyLength() === 'full');
}

function isClosed({ status }: Known): boolean {
  return status === 'completed' || status === 'cancelled' || status === 'failed' || status === 'timed_out';
}

/** One step: a policy check over what has arrived, or where nothing has, an execution's own. */
async function advance(memory: Memory): Promise<Ended | null> {
  if (memory.queue.length === 0 && applySettled(memory)) return ended(memory);
  const batch = takeBatch(memory);
  const result = await takeStep(memory, batch);
  if (result === null) return null;
  if (result.status === 'refused') return { kind: 'refused', reason: result.reason };
  const waiting = [...batch, ...memory.queue];
  memory.queue = leftOf(waiting, result);
  memory.careful = Math.max(memory.careful - (waiting.length - memory.queue.length), 0);
  apply(memory, result);
  return ended(memory);
}

/**
 * What a step has not taken comes with the next one. Temporal delivers to a replay at once what it had delivered in
 * parts, when a task ran out of time while its step was under way: the step says how many arrivals it was given, and the
 * rest waits here as it waited there; where it was given more than one at a time here, they are taken with it. So the same
 * steps follow.
 */
function leftOf(waiting: readonly Arrival[], { left, given }: Stepped): Arrival[] {
  return [...left.flatMap((index) => waiting[index] ?? []), ...waiting.slice(given)];
}

function ended(memory: Memory): Ended | null {
  if (!isClosed(memory.known) || hasWork(memory)) return null;
  const { status, state, version, head } = memory.known;
  return { kind: 'closed', result: { status, state, version, head } };
}

function takeBatch(memory: Memory): readonly Arrival[] {
  const size = memory.careful > 0 ? 1 : batchSize;
  const batch = memory.queue.slice(0, size);
  memory.queue = memory.queue.slice(size);
  return batch;
}

/**
 * An execution's result is the step that the store made of it: applied in its turn, once. Where another step is known under
 * its number, the store has been restored since, and goes on from an earlier step: looking there brings what it came to.
 */
function applySettled(memory: Memory): boolean {
  const { known, settled, version } = memory;
  if (settled.length === 0) return false;
  if (version >= looksAfterRestoreSince && settled.some(({ rev }) => rev <= known.rev))
    push(memory, { kind: 'look' });
  memory.settled = settled.filter((result) => result.rev > known.rev);
  const next = memory.settled.find((result) => result.rev === known.rev + 1);
  if (next !== undefined) {
    memory.settled = memory.settled.filter((result) => result !== next);
    apply(memory, next);
    return true;
  }
  // It builds on a step of which only the store knows: looking there brings that step.
  if (memory.settled.length > 0 && memory.queue.length === 0) push(memory, { kind: 'look' });
  return memory.settled.length === 0 && memory.queue.length === 0;
}

type Taken = Exclude<StepResult, { status: 'waiting' }>;

/** Null: they are back in the queue. A step over several that failed is taken over one at a time from here on. */
async function takeStep(memory: Memory, batch: readonly Arrival[]): Promise<Taken | null> {
  let result: Taken | null;
  try {
    result = await patiently(memory, () => memory.ports.step(inputOf(memory, batch, null)));
  } catch (error) {
    if (batch.length > 1) memory.careful = batch.length;
    result = batch.length > 1 ? null : await giveUp(memory, batch, error);
  }
  if (result === null) memory.queue = [...batch, ...memory.queue];
  return result;
}

/**
 * The run is made stuck over what cannot be taken: recorded, shown, and for an operator to go on with. Where even that
 * cannot be written it is tried again, each failure logged and counted by the worker, until a worker can.
 */
async function giveUp(memory: Memory, batch: readonly Arrival[], error: unknown): Promise<Taken | null> {
  const reason = reasonOf(error);
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      return await patiently(memory, () => memory.ports.step(inputOf(memory, batch, reason)));
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

/** Total: the run hears of it, whatever it was that was thrown. */
function readable(error: unknown): string {
  try {
    return reasonOf(error);
  } catch {
    return 'an error that cannot be read';
  }
}

function inputOf({ ports, known }: Memory, arrivals: readonly Arrival[], gaveUp: string | null): StepInput {
  return { run: ports.run, rev: known.rev + 1, builtOn: known.digest, arrivals, gaveUp };
}

/** A store that does not answer is waited for while it lasts. Null: in another history, since this one is full. */
async function patiently(memory: Memory, step: () => Promise<StepResult>): Promise<Taken | null> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    const result = await step();
    if (result.status !== 'waiting') return result;
    if (isFull(memory)) return null;
    await pause(memory, pauseMs);
  }
}

async function pause({ ports }: Memory, ms: number): Promise<void> {
  let over = false;
  ports.startTimer(ms, () => {
    over = true;
  });
  await ports.until(() => over);
}

function apply(memory: Memory, result: Stepped): void {
  const { rev, digest, head, state, runStatus: status, version, wakeAt, isForked } = result;
  if (rev < memory.known.rev && !isForked) return;
  memory.known = { rev, digest, head, state, status, version, wakeAt };
  memory.settled = isForked ? [] : memory.settled.filter((other) => other.digest !== digest);
  setTimer(memory);
  seeThrough(memory, result);
}

/** One durable timer a run, for the next moment at which time has something to say to it. */
function setTimer(memory: Memory): void {
  const { ports, known, timer, firedFor } = memory;
  const at = isClosed(known) ? null : known.wakeAt;
  if (timer !== null && timer.at === at) return;
  timer?.handle.cancel();
  memory.timer = null;
  if (at === null) return;
  const ms = Math.min(Math.max(at - ports.now(), at === firedFor ? soonestAgainMs : 1), longestTimerMs);
  const fire = (): void => {
    memory.timer = null;
    memory.firedFor = at;
    push(memory, { kind: 'time' });
  };
  memory.timer = { at, handle: ports.startTimer(ms, fire) };
}

/** Starts the effect that the store says is under way; ends the wait between its attempts when the run is to end. */
function seeThrough(memory: Memory, { execution, cancelling }: Stepped): void {
  if (execution?.action !== memory.running?.action) {
    memory.running = execution === null ? null : start(memory, execution);
  }
  if (cancelling) memory.running?.cancel();
}

function start(memory: Memory, execution: Execution): Execution & Running {
  const { action, timeoutMs } = execution;
  const running = { ...execution, ...memory.ports.execute({ run: memory.ports.run, action }, timeoutMs) };
  running.result.then(
    (result) => {
      // Of one that the store has ended, it has told what came of it: another past's outcome is none of this one's.
      if (memory.running === running) memory.settled = [...memory.settled, result];
    },
    (error: unknown) => {
      // Whatever the reason: the store knows which attempt was begun, and so what can be said of the effect. Of one that
      // the store has ended nothing more is to be said.
      if (memory.running === running) push(memory, { kind: 'abandoned', action, reason: readable(error) });
    },
  );
  return running;
}
