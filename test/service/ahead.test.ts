import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RunState } from '../../src/engine/state.js';
import type { Message } from '../../src/model/message.js';
import type { PolicySet } from '../../src/model/policy-set.js';
import { makePlayedRuns, playAhead, type Ahead, type PlayedRuns } from '../../src/service/runs/ahead.js';

const policySet = {} as PolicySet;
const begun: Ahead = { waiting: [], state: { version: 0 } as RunState };
const never = new AbortController().signal;
const two = { most: 2, ms: 60_000 };

/** Plays what waits, from what was kept of it before; each message makes one version more. */
function playing(runs: PlayedRuns): {
  readonly played: string[];
  readonly play: (
    waiting: readonly string[],
    at?: { rev?: number; run?: string; signal?: AbortSignal },
  ) => Promise<number | null>;
} {
  const played: string[] = [];
  return {
    played,
    play: async (waiting, { rev = 1, run = 'run_a', signal = never } = {}) => {
      const footing = { rev, policySet };
      const ahead = await playAhead(
        runs.find(run, footing, waiting) ?? begun,
        waiting,
        {
          read: (ids) => Promise.resolve(ids.map((id) => ({ id }) as Message)),
          play: (state, { id }) => {
            played.push(id);
            return Promise.resolve({ ...state, version: state.version + 1 });
          },
          keep: (each) => runs.keep(run, footing, [each]),
        },
        signal,
      );
      return ahead?.state.version ?? null;
    },
  };
}

describe('what waits for a run', () => {
  it('is played once, however many come after it, in the order in which it was stored', async () => {
    const { played, play } = playing(makePlayedRuns(two));
    const waiting = Array.from({ length: 50 }, (_, n) => `msg_${n}`);
    for (let n = 1; n <= waiting.length; n += 1) assert.equal(await play(waiting.slice(0, n)), n);
    assert.deepEqual(played, waiting);
  });

  it('is played again where the run has gone on, another came first, or too many runs were played since', async () => {
    const { played, play } = playing(makePlayedRuns(two));
    await play(['a', 'b']);
    await play(['b', 'c'], { rev: 2 });
    assert.equal(await play(['c'], { rev: 2 }), 1);
    assert.deepEqual(played.splice(0), ['a', 'b', 'b', 'c', 'c']);
    for (const run of ['run_b', 'run_c']) await play(['x'], { run });
    assert.equal(await play(['c', 'd'], { rev: 2 }), 2);
    assert.deepEqual(played, ['x', 'x', 'c', 'd']);
  });

  it('is played again after a step of the run, under other policies, and where the same wait in another order', () => {
    const runs = makePlayedRuns(two);
    const ahead: Ahead = { waiting: ['a', 'b'], state: { version: 2 } as RunState };
    const footing = { rev: 1, policySet };
    runs.keep('run_a', footing, [begun, ahead]);
    assert.equal(runs.find('run_a', footing, ['a', 'b', 'c']), ahead);
    assert.equal(runs.find('run_a', footing, ['b', 'a']), begun);
    assert.equal(runs.find('run_a', footing, []), begun);
    for (const other of [
      { rev: 2, policySet },
      { rev: 1, policySet: {} as PolicySet },
    ])
      for (const waiting of [[], ['a', 'b']]) assert.equal(runs.find('run_a', other, waiting), null);
  });

  it('is forgotten some time after it was played last, with the values that it holds', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const runs = makePlayedRuns({ most: 2, ms: 1_000 });
    const footing = { rev: 1, policySet };
    for (const _ of [1, 2, 3]) {
      runs.keep('run_a', footing, [begun]);
      t.mock.timers.tick(900);
      assert.equal(runs.find('run_a', footing, []), begun);
    }
    t.mock.timers.tick(100);
    assert.equal(runs.find('run_a', footing, []), null);
  });

  it('is not played on for somebody who waits no more; what was played is kept', async () => {
    const runs = makePlayedRuns(two);
    const { played, play } = playing(runs);
    assert.equal(await play(['a', 'b']), 2);
    assert.deepEqual(played.splice(0), ['a', 'b']);
    assert.equal(await play(['a', 'b', 'c'], { signal: AbortSignal.abort() }), null);
    assert.deepEqual(played, []);
    assert.equal(await play(['a', 'b', 'c']), 3);
    assert.deepEqual(played, ['c']);
  });
});
