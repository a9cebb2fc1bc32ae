import type { Arrival } from '../activities/types.js';
import type { Bell } from '../model/message.js';
import { makeGarbage, mostCarriedBells } from './bell.js';
import { hasWork, isClosed, type Memory } from './memory.js';
import type { Carried } from './messages.js';
import { waitsElsewhereSince } from './versions.js';

// When the next history follows, and what is left to it.

/** The server takes 10,000 signals in a history. From `manySignals` on the next history follows once what waits can be left to it; from `mostSignals` on at once. */
const manySignals = 8_000;
const mostSignals = 9_000;

/** What is left to the next history. Messages that wait are in the store, where it looks first; bells without a message are refused there. */
export function carryOver(memory: Memory): Carried {
  const { known, queue } = memory;
  const dropped = hasWork(memory);
  if (!dropped) return { ...known, dropped };
  const distinct = distinctBells(queue);
  const bells = distinct.slice(0, mostCarriedBells);
  const unread = bells.length < distinct.length || queue.some(({ kind }) => kind === 'garbage');
  return { ...known, dropped, bells, unread };
}

/** The first bells that wait, each once: one more than may be carried. The start of a run that has not begun is in its input anyway. */
function distinctBells(queue: readonly Arrival[]): readonly Bell[] {
  const distinct = new Map<string, Bell>();
  for (const arrival of queue) {
    if (distinct.size > mostCarriedBells) break;
    if (arrival.kind === 'message' && arrival.bell.kind !== 'start')
      distinct.set(JSON.stringify(arrival.bell), arrival.bell);
  }
  return [...distinct.values()];
}

/** The arrivals that the history before has left. Where some of them were not read, that is recorded; a history of an earlier build does not say, and counts as such. */
export function arrivalsLeftBehind(carried: Carried | null): Arrival[] {
  if (carried === null || !carried.dropped) return [];
  const bells = (carried.bells ?? []).map((bell) => ({ kind: 'message', bell }) as const);
  return [
    { kind: 'look' },
    ...bells,
    ...(carried.unread === false ? [] : [makeGarbage('overflow', 'unread')]),
  ];
}

/** May the next history follow now? This history is long, and nothing of the run is under way. */
export function mayContinue(memory: Memory): boolean {
  const { known, running, settled, signals, ports } = memory;
  // An effect under way is part of this history, however long it gets.
  const isIdle = !isClosed(known) && running === null && settled.every(({ rev }) => rev <= known.rev);
  return isIdle && (signals >= manySignals || ports.historyLength() !== 'short');
}

/**
 * Can all that waits be carried to the next history? The server does not let a history end beside a signal that has just come,
 * and the task after that replays the whole history: a run that gets signals without a pause would pay for it with each signal.
 */
export function isHandedOver({ queue, version }: Pick<Memory, 'queue' | 'version'>): boolean {
  if (queue.some(({ kind }) => kind === 'garbage')) return false;
  // The outbox rings again for what waits, so the same bell may be there many times, and is carried once.
  return (version < waitsElsewhereSince ? queue.length : distinctBells(queue).length) <= mostCarriedBells;
}

/**
 * May a step over these arrivals, for which the store does not answer, wait in the next history? It begins on any worker: one that
 * can take the step is found, also where the worker that has this history cached cannot.
 */
export function mayWaitElsewhere(memory: Memory, batch: readonly Arrival[]): boolean {
  const { version, queue } = memory;
  return (
    version >= waitsElsewhereSince &&
    mayContinue(memory) &&
    isHandedOver({ queue: [...batch, ...queue], version })
  );
}

/** Has the next history to follow now? */
export function isFull(memory: Memory): boolean {
  return mayContinue(memory) && (memory.signals >= mostSignals || memory.ports.historyLength() === 'full');
}
