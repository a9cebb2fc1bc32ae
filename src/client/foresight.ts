import type { Foreseen } from './types.js';
import { patienceMs } from './run-queues.js';
import { longestOwnMs, makeSubmitTurns, mostOwnWaiting, type Submitting } from './submit-turns.js';
import { whenStopping } from '../model/when-stopping.js';

// Submits of one run are foreseen one after the other, each until it is kept or refused, so that the order on paper is the order in
// the store. They wait in memory, and hold nothing; whoever asks for something else does not wait for them.

const turns = makeSubmitTurns();

/** How often it is found out what a submit leads to, where the run is asked something else or goes on meanwhile. */
const mostForesights = 3;

/** Keeps or refuses a submit by what was foreseen. `foreseen` null: the run says. `outdated`: that is no longer so, and nothing was kept. */
type Keep<K> = (foreseen: Foreseen | null) => Promise<K | 'outdated'>;

/**
 * Why a request to a run is not kept. `unforeseen`: what it leads to was not found out in time. `crowded`: its principal's others kept
 * it from a turn that it could have had. `rightsChanged`: its caller's credential gives other rights by now, or none, or that is not known in time.
 */
export type Unkept = 'late' | 'crowded' | 'unforeseen' | 'stopping' | 'rightsChanged';

export function describeUnkept(why: Unkept, run: string): string {
  const s = (ms: number): string => `within ${ms / 1_000} s: nothing of it is kept, try again`;
  if (why === 'unforeseen') return `what this leads to in run \`${run}\` was not found out ${s(patienceMs)}`;
  if (why === 'rightsChanged')
    return `while this request waited for its turn at run \`${run}\`, its caller's rights changed, or could not be asked for again in time: nothing of it is kept, try again`;
  if (why === 'crowded')
    return `run \`${run}\` was free for this submit, but others of its principal were at work; its turn did not come ${s(longestOwnMs)}`;
  return why === 'stopping'
    ? `this process of the API is stopping, and the turn of this request at run \`${run}\` had not come: nothing of it is kept, try again`
    : `other requests to run \`${run}\` came first, and the turn of this one did not come ${s(patienceMs)}`;
}

export function describeFullOfPrincipal(run: string): string {
  return `${mostOwnWaiting} submits of the same principal, to all runs together, wait already for their turn, and nothing of this one to run \`${run}\` is kept: ask again when some of them are answered`;
}

/**
 * Keeps a submit by what it leads to. `full`, `fullOfPrincipal`: too many of its principal wait, for the same run or for all. `late`, `crowded`: its turn did not come in time.
 * `unforeseen`: what it leads to was not known in time. `stopping`: the process stops. Nothing of it is kept then.
 */
export async function keepForeseen<K>(
  submitting: Submitting,
  foresee: (signal: AbortSignal) => Promise<Foreseen | null>,
  keep: Keep<K>,
  stopping: AbortSignal,
): Promise<K | 'full' | 'fullOfPrincipal' | Unkept> {
  const first = await turns.take(submitting, stopping);
  if (first.kind !== 'turn') return first.kind;
  const until = performance.now() + patienceMs;
  let turn = first;
  try {
    for (let left = mostForesights; ; left -= 1) {
      const ms = until - performance.now();
      const foreseen = left === 0 ? null : await inTime(sharing(turn.leaveShare, foresee), ms, stopping);
      if (foreseen === 'unforeseen' || foreseen === 'stopping') return foreseen;
      // Where the run says, the order of the store is as good as any: whoever comes next need not wait until this one is kept.
      if (foreseen === null) turn.end();
      const kept = await keep(foreseen);
      if (kept !== 'outdated') return kept;
      if (left > 1) {
        // Its share is given back, and it holds no turn while it waits for the next one.
        const next = turns.take(submitting, stopping, Math.max(0, until - performance.now()));
        turn.end();
        const again = await next;
        if (again.kind !== 'turn') return again.kind === 'stopping' ? 'stopping' : 'unforeseen';
        turn = again;
      }
    }
  } finally {
    turn.end();
  }
}

/** The share is given back when nothing is at work any more, also where nobody has waited for it that long. */
function sharing<T>(
  leaveShare: () => void,
  act: (signal: AbortSignal) => Promise<T>,
): (signal: AbortSignal) => Promise<T> {
  return async (signal) => {
    try {
      return await act(signal);
    } finally {
      leaveShare();
    }
  };
}

function inTime<T>(
  act: (signal: AbortSignal) => Promise<T>,
  ms: number,
  stopping: AbortSignal,
): Promise<T | 'unforeseen' | 'stopping'> {
  const ending = new AbortController();
  return new Promise((resolve, reject) => {
    const giveUp = (why: 'unforeseen' | 'stopping'): void => {
      end();
      ending.abort();
      resolve(why);
    };
    const stop = (): void => giveUp('stopping');
    const timer = setTimeout(() => giveUp('unforeseen'), ms);
    const unlisten = whenStopping(stopping, stop);
    const end = (): void => {
      clearTimeout(timer);
      unlisten();
    };
    void act(ending.signal).then(resolve, reject).finally(end);
    if (stopping.aborted) stop();
  });
}
