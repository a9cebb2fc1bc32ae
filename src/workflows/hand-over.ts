import type { Arrival } from '../activities/types.js';
import type { Bell } from '../model/message.js';
import { makeGarbage, mostCarriedBells } from './bell.js';
import { hasWork, isClosed, type Memory } from './memory.js';
import type { Carried } from './messages.js';

// When another history follows this one, and what is left to it.

/** The server takes 10,000 signals a history. From the first number on another history follows once what waits can be left to it; from the second at once. */
const manySignals = 8_000;
const mostSignals = 9_000;

/** Messages that wait are in the store, where the next history looks first; bells without a message are refused there. */
export function carryOver(memory: Memory): Carried {
  const { known, queue } = memory;
  const dropped = hasWork(memory);
  if (!dropped) return { ...known, dropped };
  const distinct = new Map<string, Bell>();
  // A run that has not begun finds its start again by itself.
  for (const arrival of queue)
    if (arrival.kind === 'message' && arrival.bell.kind !== 'start')
      distinct.set(JSON.stringify(arrival.bell), arrival.bell);
  const bells = [...distinct.values()].slice(0, mostCarriedBells);
  const unread = bells.length < distinct.size || queue.some(({ kind }) => kind === 'garbage');
  return { ...known, dropped, bells, unread };
}

/** With what the history before has left: that some of it was read by nobody is recorded. One of an earlier build does not say. */
export function arrivalsLeftBehind(carried: Carried | null): Arrival[] {
  if (carried === null || !carried.dropped) return [];
  const bells = (carried.bells ?? []).map((bell) => ({ kind: 'message', bell }) as const);
  return [
    { kind: 'look' },
    ...bells,
    ...(carried.unread === false ? [] : [makeGarbage('overflow', 'unread')]),
  ];
}

/** Another history may follow this one now: it is long, and nothing of the run is under way. */
export function mayContinue(memory: Memory): boolean {
  const { known, running, settled, signals, ports } = memory;
  // An effect under way is part of this history, however long it gets.
  const isIdle = !isClosed(known) && running === null && settled.every(({ rev }) => rev <= known.rev);
  return isIdle && (signals >= manySignals || ports.historyLength() !== 'short');
}

/**
 * All that waits is carried to the next history. The server takes no end of a history beside a signal that has just come,
 * and the task after it replays all of it: a run that is asked without a pause would pay that with each request.
 */
export function isHandedOver({ queue }: Memory): boolean {
  return queue.length <= mostCarriedBells && queue.every(({ kind }) => kind !== 'garbage');
}

/** Another history has to follow this one now. */
export function isFull(memory: Memory): boolean {
  return mayContinue(memory) && (memory.signals >= mostSignals || memory.ports.historyLength() === 'full');
}
