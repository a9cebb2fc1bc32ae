import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import fc from 'fast-check';
import { patienceMs } from '../../src/client/run-queues.js';
import {
  longestOwnMs,
  makeSubmitTurns,
  mostOwnWaiting,
  type Submitting,
  type SubmitTurn,
  type SubmitTurns,
} from '../../src/client/submit-turns.js';
import { mostUnanswered } from '../../src/model/limits.js';

// Who begins, in what order, and what the others are told: compared with one line of all, which is looked through whenever anything
// becomes free.

const settle = (): Promise<void> => new Promise(setImmediate);

interface InLine extends Submitting {
  readonly isAgain: boolean;
  readonly begin: () => void;
  isCrowded: boolean;
}

function makeModel(): SubmitTurns {
  let line: InLine[] = [];
  const taken: Submitting[] = [];
  const sharing: Submitting[] = [];
  const isFree = (run: string): boolean => !taken.some((each) => each.run === run);
  const hasShare = (principal: string): boolean =>
    sharing.filter((each) => each.principal === principal).length < 2;
  const mayBegin = ({ run, principal }: Submitting): boolean => isFree(run) && hasShare(principal);
  const noteCrowded = (before: readonly InLine[]): void => {
    for (const each of before) if (isFree(each.run)) each.isCrowded = true;
  };
  const serve = (): void => {
    for (let at = line.findIndex(mayBegin); at !== -1; at = line.findIndex(mayBegin)) {
      noteCrowded(line.slice(0, at));
      line[at]?.begin();
    }
    noteCrowded(line);
  };
  const remove = (from: Submitting[], one: Submitting): void => {
    if (from.includes(one)) from.splice(from.indexOf(one), 1);
    serve();
  };
  const begin = ({ run, principal }: Submitting): SubmitTurn => {
    const own = { run, principal };
    taken.push(own);
    sharing.push(own);
    return { kind: 'turn', leaveShare: () => remove(sharing, own), end: () => remove(taken, own) };
  };
  return {
    take: (submitting, stopping, again = null) => {
      const own = line.filter((each) => each.principal === submitting.principal);
      const mustWait = again === null && !mayBegin(submitting);
      if (stopping.aborted) return Promise.resolve({ kind: 'stopping' });
      if (mustWait && own.filter((each) => each.run === submitting.run).length >= mostUnanswered)
        return Promise.resolve({ kind: 'full' });
      if (mustWait && own.length >= mostOwnWaiting) return Promise.resolve({ kind: 'fullOfPrincipal' });
      return new Promise((resolve) => {
        const leave = (turn: SubmitTurn): void => {
          if (!line.includes(waiting)) return;
          line = line.filter((each) => each !== waiting);
          resolve(turn);
        };
        const waiting: InLine = {
          ...submitting,
          isAgain: again !== null,
          begin: () => leave(begin(submitting)),
          isCrowded: false,
        };
        const [first, others] = [line.filter((each) => each.isAgain), line.filter((each) => !each.isAgain)];
        line = waiting.isAgain ? [...first, waiting, ...others] : [...line, waiting];
        stopping.addEventListener('abort', () => leave({ kind: 'stopping' }));
        setTimeout(() => {
          if (again !== null || !waiting.isCrowded) leave({ kind: 'late' });
        }, again ?? patienceMs);
        if (again === null) setTimeout(() => leave({ kind: 'crowded' }), longestOwnMs);
        serve();
      });
    },
  };
}

type Act =
  | { readonly act: 'take'; readonly run: number; readonly principal: number; readonly times: number }
  /** `at`: of those that have begun; of those that were asked. */
  | { readonly act: 'leave' | 'end' | 'again' | 'stop'; readonly at: number }
  | { readonly act: 'wait'; readonly ms: number };

const at = fc.nat();
const acts = (runs: number, principals: number, times: number): fc.Arbitrary<Act> => {
  const [run, principal] = [fc.nat(runs - 1), fc.nat(principals - 1)];
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        act: fc.constant('take' as const),
        run,
        principal,
        times: fc.integer({ min: 1, max: times }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ act: fc.constantFrom('leave', 'end'), at }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constantFrom('again', 'stop'), at }) },
    {
      weight: 1,
      arbitrary: fc.record({
        act: fc.constant('wait' as const),
        ms: fc.constantFrom(500, 4_000, 10_000),
      }),
    },
  );
};

/** Acts on the turns, and tells what came of it, in order. */
function actOn(turns: SubmitTurns): {
  readonly told: readonly string[];
  act(act: Exclude<Act, { act: 'wait' }>): Promise<void>;
  end(): Promise<void>;
} {
  const told: string[] = [];
  const stops: AbortController[] = [];
  const begun: { readonly own: Submitting; readonly turn: Extract<SubmitTurn, { kind: 'turn' }> }[] = [];
  const take = (own: Submitting, again: number | null): void => {
    const stop = new AbortController();
    const name = `${stops.push(stop)} of ${own.principal} at ${own.run}`;
    void turns.take(own, stop.signal, again).then((turn) => {
      told.push(`${name}: ${turn.kind}`);
      if (turn.kind === 'turn') begun.push({ own, turn });
    });
  };
  return {
    told,
    act: async (act) => {
      if (act.act === 'take') {
        const own = { run: `run ${act.run}`, principal: `principal ${act.principal}` };
        for (let n = 0; n < act.times; n += 1) take(own, null);
      } else if (act.act === 'stop') stops[act.at % stops.length]?.abort();
      else {
        const { own, turn } = begun[act.at % begun.length] ?? {};
        turn?.leaveShare();
        if (own !== undefined && act.act === 'again') take(own, (act.at % 3) * 4_000);
        if (act.act !== 'leave') turn?.end();
      }
      await settle();
    },
    end: async () => {
      for (const stop of stops) stop.abort();
      for (const { turn } of begun) {
        turn.leaveShare();
        turn.end();
      }
      await settle();
    },
  };
}

/** Makes them with each map and set of theirs at hand. */
function makeWatched(): { readonly turns: SubmitTurns; readonly countHeld: () => number } {
  const held: (Map<unknown, unknown> | Set<unknown>)[] = [];
  const [WholeMap, WholeSet] = [Map, Set];
  globalThis.Map = class<K, V> extends WholeMap<K, V> {
    constructor() {
      super();
      held.push(this);
    }
  } as MapConstructor;
  globalThis.Set = class<T> extends WholeSet<T> {
    constructor() {
      super();
      held.push(this);
    }
  } as SetConstructor;
  try {
    return { turns: makeSubmitTurns(), countHeld: () => held.reduce((sum, { size }) => sum + size, 0) };
  } finally {
    [globalThis.Map, globalThis.Set] = [WholeMap, WholeSet];
  }
}

describe('the turns of submits, whatever comes, leaves, ends, is stopped or is late', () => {
  for (const [title, runs, principals, times, maxLength] of [
    ['a few', 4, 4, 3, 80],
    ['as many as may wait', 7, 2, 60, 30],
  ] as const)
    it(`are those of one line that is looked through each time, and nothing is left of them: ${title}`, async (t) => {
      t.after(() => mock.timers.reset());
      await fc.assert(
        fc.asyncProperty(
          fc.array(acts(runs, principals, times), { maxLength, size: 'max' }),
          async (list) => {
            mock.timers.reset();
            mock.timers.enable({ apis: ['setTimeout'] });
            const { turns, countHeld } = makeWatched();
            const [own, model] = [actOn(turns), actOn(makeModel())];
            for (const act of list) {
              // In steps: a timer that is set in a step counts from its end.
              if (act.act === 'wait') for (let ms = 0; ms < act.ms; ms += 500) mock.timers.tick(500);
              else await Promise.all([own.act(act), model.act(act)]);
              await settle();
              assert.deepEqual(own.told, model.told);
            }
            await own.end();
            assert.equal(countHeld(), 0, 'something is left');
          },
        ),
        { numRuns: 60 },
      );
    });
});
