// Who asks a run for something waits for what the run was asked before. Those who wait, wait in memory: a connection is
// for who works, and for one more of each run, so that a run that is held up holds up nobody but those who ask it.

export interface TurnLimits {
  /** Of one run: at work, or waiting at the store. */
  readonly perRun: number;
  /** Of all runs. */
  readonly atOnce: number;
  /** Of one run and kind, in memory. */
  readonly mostWaiting: number;
  readonly patienceMs: number;
}

/** What programs ask for takes no room from what people decide, and neither from who stops the run. */
export type Queue = 'submits' | 'others';

export type Turn =
  | { readonly kind: 'turn'; readonly end: () => void }
  /** As many wait for this run as may. */
  | { readonly kind: 'full' }
  | { readonly kind: 'late' };

export interface Turns {
  take(run: string, queue: Queue): Promise<Turn>;
}

interface OfRun {
  working: number;
  readonly waiting: Readonly<Record<Queue, Set<() => void>>>;
}

export function makeTurns(limits: TurnLimits): Turns {
  /** In the order in which they were given a turn last, so that each run that waits gets its own. */
  const runs = new Map<string, OfRun>();
  let working = 0;
  const end = (run: string, of: OfRun): void => {
    of.working -= 1;
    working -= 1;
    if (of.working === 0 && nextOf(of) === null) runs.delete(run);
    for (const [name, each] of runs) if (mayWork(each)) return serve(name, each);
  };
  const mayWork = (of: OfRun): boolean =>
    working < limits.atOnce && of.working < limits.perRun && nextOf(of) !== null;
  const serve = (name: string, of: OfRun): void => {
    runs.delete(name);
    runs.set(name, of);
    nextOf(of)?.();
  };
  const begin = (run: string, of: OfRun): Turn => {
    of.working += 1;
    working += 1;
    return { kind: 'turn', end: once(() => end(run, of)) };
  };
  return {
    take: (run, queue) => {
      const of = runs.get(run) ?? { working: 0, waiting: { submits: new Set(), others: new Set() } };
      runs.set(run, of);
      if (working < limits.atOnce && of.working < limits.perRun && nextOf(of) === null)
        return Promise.resolve(begin(run, of));
      const line = of.waiting[queue];
      if (line.size >= limits.mostWaiting) return Promise.resolve({ kind: 'full' });
      return new Promise((resolve) => {
        const called = (): void => {
          clearTimeout(timer);
          line.delete(called);
          resolve(begin(run, of));
        };
        const timer = setTimeout(() => {
          line.delete(called);
          if (of.working === 0 && nextOf(of) === null) runs.delete(run);
          resolve({ kind: 'late' });
        }, limits.patienceMs);
        line.add(called);
      });
    },
  };
}

/** Who has waited longest; what is not a submit goes first. */
function nextOf({ waiting }: OfRun): (() => void) | null {
  const [next = null] = waiting.others.size > 0 ? waiting.others : waiting.submits;
  return next;
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}
