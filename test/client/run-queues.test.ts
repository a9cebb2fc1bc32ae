import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeRunQueues, type RequestKind, type Turn, type RunQueues } from '../../src/client/run-queues.js';

const limits = { perRun: 2, atOnce: 3, mostWaiting: 2, patienceMs: 1_000 };

/** Notes who was given a turn, in order. */
function asking(
  turns: RunQueues,
  stopping = new AbortController().signal,
): {
  ask: (name: string, run: string, queue?: RequestKind) => Promise<Turn>;
  served: string[];
  end: (name: string) => Promise<void>;
} {
  const served: string[] = [];
  const ends = new Map<string, () => void>();
  const ask = async (name: string, run: string, queue: RequestKind = 'submits'): Promise<Turn> => {
    const turn = await turns.take(run, queue, stopping);
    if (turn.kind === 'turn') {
      served.push(name);
      ends.set(name, turn.end);
    }
    return turn;
  };
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await new Promise(setImmediate);
  };
  return { ask, served, end };
}

describe('the turns of those who ask runs for something', () => {
  it('are two at a time of one run, and three of all; a run that waits gets the next one', async () => {
    const { ask, served, end } = asking(makeRunQueues(limits));
    for (const name of ['a1', 'a2', 'a3', 'a4']) void ask(name, 'a');
    for (const name of ['b1', 'b2']) void ask(name, 'b');
    await new Promise(setImmediate);
    assert.deepEqual(served, ['a1', 'a2', 'b1']);
    await end('a1');
    await end('a1');
    assert.deepEqual(served, ['a1', 'a2', 'b1', 'a3'], 'a turn ends once');
    await end('a2');
    assert.deepEqual(served.slice(4), ['b2']);
    for (const name of ['a3', 'b1', 'b2']) await end(name);
    assert.deepEqual(served.slice(5), ['a4']);
  });

  it('come to decisions before submits', async () => {
    const { ask, served, end } = asking(makeRunQueues({ ...limits, perRun: 1 }));
    void ask('works', 'a');
    void ask('submit', 'a');
    void ask('decision', 'a', 'others');
    await end('none');
    await end('works');
    await end('decision');
    assert.deepEqual(served, ['works', 'decision', 'submit']);
  });

  it('are refused where as many of that kind wait as may, and not to those of another kind or run', async () => {
    const { ask, served } = asking(makeRunQueues(limits));
    for (let n = 0; n < 4; n += 1) void ask(`a${n}`, 'a');
    assert.deepEqual(await ask('too many', 'a'), { kind: 'full' });
    void ask('decision', 'a', 'others');
    assert.equal((await ask('b', 'b')).kind, 'turn');
    assert.deepEqual(served, ['a0', 'a1', 'b']);
  });

  it('are waited for so long and no longer; who has left is not served', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { ask, served, end } = asking(makeRunQueues(limits));
    void ask('a1', 'a');
    void ask('a2', 'a');
    const waiting = ask('a3', 'a');
    t.mock.timers.tick(999);
    void ask('a4', 'a');
    t.mock.timers.tick(1);
    assert.deepEqual(await waiting, { kind: 'late' });
    await end('a1');
    assert.deepEqual(served, ['a1', 'a2', 'a4']);
    t.mock.timers.tick(2_000);
    await end('a2');
    assert.equal((await ask('a5', 'a')).kind, 'turn');
  });

  it('are not waited for any more once the process stops', async () => {
    const stopping = new AbortController();
    const { ask, served, end } = asking(makeRunQueues(limits), stopping.signal);
    void ask('a1', 'a');
    void ask('a2', 'a');
    const waiting = ask('a3', 'a');
    stopping.abort();
    assert.deepEqual(await waiting, { kind: 'stopping' });
    assert.deepEqual(await ask('a4', 'a'), { kind: 'stopping' });
    await end('a1');
    assert.deepEqual(served, ['a1', 'a2'], 'who has left is not served');
    assert.equal((await ask('a5', 'a')).kind, 'turn', 'a turn that is free is given');
  });
});
