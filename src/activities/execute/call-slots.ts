import { ApplicationFailure } from '@temporalio/activity';
import type { Executor } from '../../engine/plan.js';
import type { Executing } from '../../engine/state.js';
import type { Surroundings } from '../retry-while-unavailable.js';

// A worker has `callSlots` slots for calls in each environment. A single principal, or a single connection, may use only a part
// of them, so that calls that hang do not stop the others. Slots are counted in memory: a process that has died holds none.

/** Slots for calls that a worker process has in each environment. */
export const callSlots = 32;
/** Most calls of one principal at a time, in a process and environment. */
export const mostCallsOfOne = 16;
/** Most calls over one connection at a time, in a process and environment. */
export const mostCallsToOne = 24;

/** Type of the failure of an execution whose principal or connection uses all of its part. It is tried again, and holds no slot meanwhile. */
const slotAwaited = 'TURN_AWAITED';
const firstPauseMs = 1_000;
const longestPauseMs = 30_000;

const taken = new Map<string, number>();
let waitCount = 0;

/** How often executions of this process had to wait since the last call of this function. Single waits are not logged. */
export function countSlotWaits(): number {
  const times = waitCount;
  waitCount = 0;
  return times;
}

/** The slots that one execution holds. */
export interface SlotHold {
  /** Throws where no slot is left for the call. */
  take(executing: Executing, executor: Executor, environment: string): void;
  leave(): void;
}

export function makeSlotHold({ process, tries }: Pick<Surroundings, 'process' | 'tries'>): SlotHold {
  let takenKeys: readonly string[] = [];
  const leave = (): void => {
    for (const key of takenKeys) {
      const left = (taken.get(key) ?? 0) - 1;
      if (left > 0) taken.set(key, left);
      else taken.delete(key);
    }
    takenKeys = [];
  };
  const take: SlotHold['take'] = ({ action }, executor, environment) => {
    leave();
    const { requester, transition } = action;
    const scope = `${process} ${environment}`;
    const parts: (readonly [string, number])[] = [
      [`${scope} by ${requester?.kind ?? 'runtime'} ${requester?.id ?? ''}`, mostCallsOfOne],
    ];
    if ('connection' in executor) parts.push([`${scope} to ${executor.connection}`, mostCallsToOne]);
    if (parts.some(([key, most]) => (taken.get(key) ?? 0) >= most))
      throw makeSlotAwaitedFailure(transition, tries);
    takenKeys = parts.map(([key]) => key);
    for (const key of takenKeys) taken.set(key, (taken.get(key) ?? 0) + 1);
  };
  return { take, leave };
}

function makeSlotAwaitedFailure(transition: string, tries: number): ApplicationFailure {
  waitCount += 1;
  return ApplicationFailure.create({
    message: `\`${transition}\` waits for its turn: too many calls of its requester, or to its target, are under way in this worker`,
    type: slotAwaited,
    nonRetryable: false,
    category: 'BENIGN',
    nextRetryDelay: Math.min(firstPauseMs * 2 ** Math.min(tries - 1, 10), longestPauseMs),
  });
}
