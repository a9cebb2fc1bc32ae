import { setTimeout as sleep } from 'node:timers/promises';
import { processorMs, rounded, tail, runConcurrently, type Tail } from '../measure.js';
import type { Arrivals } from './arrivals.js';
import { availableMb, residentMb } from './memory.js';
import type { Megabytes, Side, WaitingRun } from './side.js';

// Measures an engine at all sizes, each engine alike: park, weigh, decide, restart the worker, decide, kill the worker.

export interface MeasurePlan {
  /** How many runs are to be parked, in rising order. */
  readonly parked: readonly number[];
  readonly decisions: number;
  readonly kills: number;
  readonly inFlight: number;
  /** The limit for the parking of one size. */
  readonly minutes: number;
  /** No run is parked after this time, by `performance.now()`. */
  readonly endsAt: number;
  /** The limit for each measurement of decisions, and for the kills. A slow engine is measured by fewer of them. */
  readonly decidingMs: number;
}

/** Times from the moment in which a decision is sent. */
interface Decided {
  readonly acceptedMs: Tail;
  /** Until the request of the effect behind the gate has reached the target. */
  readonly nextStepMs: Tail;
}

/** Times from the `kill -9` of the worker. It is started again at once, and a decision is sent at once. */
interface Killed {
  readonly firstAcceptedMs: number;
  readonly firstNextStepMs: number;
}

export interface Row {
  readonly size: number;
  /** If not `measured`, the size did not fit, and the figures are of as many runs as were parked. */
  readonly status: 'measured' | 'outOfTime' | 'outOfMemory';
  readonly parked: number;
  readonly startsPerSecond: number;
  /** Processor time that a start took, milliseconds, by process. */
  readonly startCpuMs: Readonly<Record<string, number>>;
  readonly memoryMb: Megabytes;
  readonly storedMb: Megabytes;
  readonly warm: Decided;
  readonly restartMs: number;
  readonly afterRestart: Decided;
  readonly kills: readonly Killed[];
}

export type Say = (line: string) => void;

/** Gives each row as soon as it is measured, so that a later failure does not lose it. */
export async function* measureSide(
  side: Side,
  plan: MeasurePlan,
  arrivals: Arrivals,
  say: Say,
): AsyncGenerator<Row> {
  const waiting: WaitingRun[] = [];
  for (const size of plan.parked) {
    const { status, startsPerSecond, startCpuMs } = await parkUpTo(side, waiting, size, plan, say);
    const parked = waiting.length;
    // Before memory is measured, buffers are written, garbage is collected, and engines put waiting runs aside.
    await sleep(3_000);
    const memoryMb = Object.fromEntries(
      Object.entries(side.processes()).map(([name, pid]) => [name, residentMb(pid)]),
    );
    const storedMb = await side.stored();
    // Runs that the kills do not need are decided in two halves: the last parked while still cached, the first after a restart.
    const count = Math.max(Math.min(plan.decisions, Math.floor((parked - plan.kills) / 2)), 1);
    const warm = await decideEach(waiting.splice(-count), arrivals, plan);
    say(`${side.name}: ${warm.nextStepMs.count} decided, next step p50 ${warm.nextStepMs.p50} ms`);
    const stopped = performance.now();
    await side.worker.kill('SIGTERM');
    await side.worker.start();
    const restartMs = rounded(performance.now() - stopped);
    const afterRestart = await decideEach(waiting.splice(0, count), arrivals, plan);
    say(
      `${side.name}: ${afterRestart.nextStepMs.count} decided after a restart, next step p50 ${afterRestart.nextStepMs.p50} ms`,
    );
    const kills = await killEach(side, waiting.splice(0, plan.kills), arrivals, plan);
    say(
      `${side.name}: first decision ${kills.map((kill) => kill.firstAcceptedMs).join(', ')} ms after kill -9`,
    );
    const sizes = { size, status, parked, startsPerSecond, startCpuMs, memoryMb, storedMb };
    yield { ...sizes, warm, restartMs, afterRestart, kills };
    if (status !== 'measured') return;
  }
}

const leastFreeMb = 1_024;

async function parkUpTo(
  side: Side,
  waiting: WaitingRun[],
  size: number,
  { inFlight, minutes, endsAt }: MeasurePlan,
  say: Say,
): Promise<Pick<Row, 'status' | 'startsPerSecond' | 'startCpuMs'>> {
  const already = waiting.length;
  const before = side.parked();
  const cpuBefore = processorTimes(side);
  const started = performance.now();
  const end = Math.min(started + minutes * 60_000, endsAt);
  let status: Row['status'] = 'measured';
  const fits = (): boolean => {
    if (performance.now() > end) status = 'outOfTime';
    else if (waiting.length % 200 === 0 && availableMb() < leastFreeMb) status = 'outOfMemory';
    return status === 'measured';
  };
  const sayProgress = makeProgress(side.name, already, size, say);
  await runConcurrently(size - already, inFlight, async () => {
    if (!fits()) return;
    waiting.push(await side.park());
    sayProgress(waiting.length);
  });
  // An engine whose start does not wait for the gate may not have parked its last runs yet.
  while (side.parked() - before < waiting.length - already && fits()) await sleep(20);
  const seconds = (performance.now() - started) / 1_000;
  const parked = side.parked() - before;
  if (status !== 'measured') say(`${side.name}: ${status} at ${already + parked} of ${size}`);
  const used = Object.entries(processorTimes(side)).map(([name, ms]): [string, number] => [
    name,
    rounded((ms - (cpuBefore[name] ?? 0)) / Math.max(parked, 1)),
  ]);
  return { status, startsPerSecond: rounded(parked / seconds), startCpuMs: Object.fromEntries(used) };
}

function processorTimes(side: Side): Record<string, number> {
  return Object.fromEntries(Object.entries(side.processes()).map(([name, pid]) => [name, processorMs(pid)]));
}

/** Says after each twentieth how many runs are started, how fast the last of them were, and how long the rest will take. */
function makeProgress(name: string, already: number, size: number, say: Say): (count: number) => void {
  const every = Math.max(Math.ceil((size - already) / 20), 1);
  let last = { count: already, at: performance.now() };
  return (count) => {
    if (count < last.count + every && count < size) return;
    const at = performance.now();
    const rate = ((count - last.count) / Math.max(at - last.at, 1)) * 1_000;
    last = { count, at };
    const minutes = Math.ceil((size - count) / Math.max(rate, 0.01) / 60);
    say(`${name}: ${count} of ${size} started, ${rounded(rate)} a second, about ${minutes} min to go`);
  };
}

async function decideEach(
  all: readonly WaitingRun[],
  arrivals: Arrivals,
  { decidingMs }: MeasurePlan,
): Promise<Decided> {
  const accepted: number[] = [];
  const next: number[] = [];
  const end = performance.now() + decidingMs;
  for (const waiting of all) {
    if (next.length > 0 && performance.now() > end) break;
    const arrival = arrivals.of(waiting.id);
    const sent = performance.now();
    const taken = waiting.decide().then(() => accepted.push(performance.now() - sent));
    // The effect may come before the answer: both are waited for.
    const [arrived] = await Promise.all([arrival, taken]);
    next.push(arrived - sent);
  }
  return { acceptedMs: tail(accepted), nextStepMs: tail(next) };
}

async function killEach(
  side: Side,
  all: readonly WaitingRun[],
  arrivals: Arrivals,
  { decidingMs }: MeasurePlan,
): Promise<Killed[]> {
  const kills: Killed[] = [];
  const end = performance.now() + decidingMs;
  for (const waiting of all) {
    if (kills.length > 0 && performance.now() > end) break;
    kills.push(await measureAfterKill(side, waiting, arrivals));
  }
  return kills;
}

async function measureAfterKill(side: Side, waiting: WaitingRun, arrivals: Arrivals): Promise<Killed> {
  const arrival = arrivals.of(waiting.id);
  const killed = performance.now();
  await side.worker.kill('SIGKILL');
  const restarted = side.worker.start();
  const [accepted, arrived] = await Promise.all([insist(waiting), arrival, restarted]);
  return { firstAcceptedMs: rounded(accepted - killed), firstNextStepMs: rounded(arrived - killed) };
}

/** Sends the same decision until it is taken; gives the time at which it was. */
async function insist(waiting: WaitingRun): Promise<number> {
  const end = performance.now() + 60_000;
  for (;;) {
    try {
      await waiting.decide();
      return performance.now();
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(25);
    }
  }
}
