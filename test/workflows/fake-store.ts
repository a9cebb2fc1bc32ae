import type { Arrival, Execution, StepInput, StepResult, Stepped } from '../../src/activities/types.js';
import { stepped } from './driver.js';

// The store's side of a run, as far as the kernel can tell: steps that are taken once, in one line, and an outcome that
// takes its step by itself.

interface Stored {
  readonly by: 'step' | 'outcome' | 'fork';
  readonly builtOn: string | null;
  readonly arrivals: readonly string[];
  readonly result: Stepped;
}

export interface Wish {
  /** An effect begins with this step, where none is under way. */
  readonly starts?: boolean;
  readonly closes?: boolean;
}

export interface FakeStore {
  /** As src/activities/step/step.ts does it. */
  readonly step: (input: StepInput, wish: Wish) => StepResult;
  /** The execution's own step; the outcome that it had, where it had one. */
  readonly settle: (action: string, wish: Wish) => Stepped | null;
  /** Its history is another one from here on. */
  readonly restore: () => void;
  /** Steps that it has. */
  readonly rev: () => number;
  readonly answered: ReadonlySet<string>;
  readonly executing: () => string | null;
  readonly isClosed: () => boolean;
  readonly isStuck: () => boolean;
}

export function makeFakeStore(): FakeStore {
  let past = 0;
  let count = 0;
  let executing: Execution | null = null;
  let status: Stepped['runStatus'] = 'running';
  let line: Stored[] = [];
  const outcomes = new Map<string, Stepped>();
  const answered = new Set<string>();
  const digestAt = (rev: number): string | null => line[rev - 1]?.result.digest ?? null;
  const write = (
    by: Stored['by'],
    builtOn: string | null,
    arrivals: readonly Arrival[],
    wish: Wish,
  ): Stepped => {
    const rev = line.length + 1;
    if (status !== 'completed' && wish.closes === true && executing === null) status = 'completed';
    if (status === 'running' && wish.starts === true && executing === null) {
      count += 1;
      executing = { action: `act_${count}`, timeoutMs: 1_000 };
    }
    const digest = `sha256:${past}-${rev}`;
    const result = stepped(rev, { digest, runStatus: status, execution: executing, isForked: by === 'fork' });
    line.push({ by, builtOn, arrivals: arrivals.map((arrival) => JSON.stringify(arrival)), result });
    return result;
  };
  const giveUp = (): void => {
    if (status === 'running') status = 'stuck';
    executing = null;
  };
  return {
    step: ({ rev, builtOn, arrivals, gaveUp }, wish) => {
      const stored = line[rev - 1];
      const all = arrivals.map((_, index) => index);
      if (stored !== undefined && stored.builtOn === builtOn) {
        const before = stored.by === 'step' ? [...stored.arrivals] : [];
        const left = all.filter((index) => {
          const at = before.indexOf(JSON.stringify(arrivals[index]));
          if (at >= 0) before.splice(at, 1);
          return at < 0;
        });
        return { ...stored.result, left };
      }
      if (rev !== line.length + 1 || builtOn !== digestAt(line.length)) {
        giveUp();
        return { ...write('fork', digestAt(line.length), [], {}), left: all };
      }
      if (gaveUp !== null) giveUp();
      for (const arrival of arrivals) {
        if (arrival.kind === 'message') answered.add(arrival.bell.id);
        if (arrival.kind === 'abandoned' && arrival.action === executing?.action) executing = null;
      }
      return write('step', builtOn, arrivals, gaveUp === null ? wish : {});
    },
    settle: (action, wish) => {
      if (executing?.action !== action) return outcomes.get(action) ?? null;
      executing = null;
      const result = write('outcome', digestAt(line.length), [], wish);
      outcomes.set(action, result);
      return result;
    },
    restore: () => {
      past += 1;
      const kept = Math.max(line.length - 1, 1);
      line = line
        .slice(0, kept)
        .map((step, at) =>
          at < kept - 1 ? step : { ...step, result: { ...step.result, digest: `sha256:${past}-${kept}` } },
        );
    },
    rev: () => line.length,
    answered,
    executing: () => executing?.action ?? null,
    isClosed: () => status === 'completed',
    isStuck: () => status === 'stuck',
  };
}
