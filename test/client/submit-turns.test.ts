import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeSubmitTurns, type SubmitTurn } from '../../src/client/submit-turns.js';
import { describeFullOfPrincipal, describeUnkept } from '../../src/client/foresight.js';

type Turn = Extract<SubmitTurn, { readonly kind: 'turn' }>;

const settle = (): Promise<void> => new Promise(setImmediate);

/** Submits by name: `principal run`, with a number where there are several. Notes who was given a turn, in order. */
function asking(stopping = new AbortController().signal): {
  ask: (...names: readonly string[]) => Promise<void>;
  again: (name: string, ms?: number) => Promise<void>;
  served: string[];
  refused: Record<string, string>;
  leave: (name: string) => Promise<void>;
  end: (name: string) => Promise<void>;
} {
  const turns = makeSubmitTurns();
  const [served, refused, given]: [string[], Record<string, string>, Map<string, Turn>] = [[], {}, new Map()];
  const take = async (name: string, ms: number | null): Promise<void> => {
    const [principal = '', run = ''] = name.split(' ');
    const turn = await turns.take({ run, principal }, stopping, ms);
    if (turn.kind !== 'turn') refused[name] = turn.kind;
    else {
      served.push(name);
      given.set(name, turn);
    }
  };
  const ask = async (...names: readonly string[]): Promise<void> => {
    for (const name of names) void take(name, null);
    await settle();
  };
  const again = async (name: string, ms = 10_000): Promise<void> => {
    const turn = given.get(name);
    void take(name, ms);
    turn?.end();
    await settle();
  };
  const leave = async (name: string): Promise<void> => {
    given.get(name)?.leaveShare();
    await settle();
  };
  const end = async (name: string): Promise<void> => {
    given.get(name)?.leaveShare();
    given.get(name)?.end();
    await settle();
  };
  return { ask, again, served, refused, leave, end };
}

const names = (length: number, name: string): string[] => Array.from({ length }, (_, n) => `${name} ${n}`);

describe('the turns of submits that are foreseen', () => {
  it('are one at a time of a run and two of a principal; who waits for its own others keeps nobody from a run', async () => {
    const { ask, served, end } = asking();
    await ask('bot a', 'bot b', 'bot c', 'bot c 2', 'ann c', 'ann a', 'ben c');
    assert.deepEqual(served, ['bot a', 'bot b', 'ann c']);
    await end('bot b');
    assert.deepEqual(served.slice(3), [], 'all that bot asks for besides is of a run that another has');
    await end('ann c');
    assert.deepEqual(served.slice(3), ['bot c']);
    await end('bot a');
    await end('bot a');
    assert.deepEqual(served.slice(4), ['ann a'], 'a turn ends once');
    await end('bot c');
    assert.deepEqual(served.slice(5), ['bot c 2']);
    await end('bot c 2');
    assert.deepEqual(served.slice(6), ['ben c']);
  });

  it('are of a share until it is given back, so that runs that are held up keep their principal from no other', async () => {
    const { ask, served, leave, end } = asking();
    await ask('bot a', 'bot b', 'bot c', 'bot a 2');
    await leave('bot a');
    await leave('bot b');
    assert.deepEqual(served, ['bot a', 'bot b', 'bot c']);
    await end('bot c');
    assert.deepEqual(served.length, 3, 'a is still to be kept');
    await end('bot a');
    assert.deepEqual(served.slice(3), ['bot a 2']);
  });

  it('come again before all others, and to others where their principal has no share', async () => {
    const { ask, again, served, leave, end } = asking();
    await ask('bot a', 'ann a', 'bot b', 'bot c');
    await leave('bot a');
    assert.deepEqual(served, ['bot a', 'bot b', 'bot c']);
    await again('bot a');
    assert.deepEqual(served.slice(3), ['ann a']);
    await end('bot b');
    await end('ann a');
    assert.deepEqual(served.slice(4), ['bot a']);
    await ask('ann a 2');
    await leave('bot a');
    await again('bot a');
    assert.deepEqual(served.slice(5), ['bot a']);
    await end('bot a');
    assert.deepEqual(served.slice(6), ['ann a 2']);
  });

  it('are all taken of a principal that is alone and asks much of many runs, also after 10 s', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { ask, served, refused, end } = asking();
    const names = Array.from({ length: 50 }, (_, run) => [1, 2, 3, 4].map((n) => `bot ${run} ${n}`)).flat();
    await ask(...names);
    for (let at = 0; at < names.length; at += 1) {
      t.mock.timers.tick(80);
      await end(served[at] ?? assert.fail(`${at} are served, and the next is not`));
    }
    assert.deepEqual([served.length, refused], [200, {}]);
  });

  it('are late after 10 s behind others of their run, and after 20 s behind those of their principal, which they are told', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { ask, refused } = asking();
    await ask('bot a', 'bot b', 'bot c', 'ann a');
    t.mock.timers.tick(9_999);
    await settle();
    assert.deepEqual(refused, {});
    t.mock.timers.tick(1);
    await settle();
    assert.deepEqual(refused, { 'ann a': 'late' });
    t.mock.timers.tick(10_000);
    await settle();
    assert.deepEqual(refused, { 'ann a': 'late', 'bot c': 'crowded' });
    assert.equal(
      describeUnkept('crowded', 'run_c'),
      'run `run_c` was free for this submit, but others of its principal were at work; its turn did not come within 20 s: nothing of it is kept, try again',
    );
  });

  it('are late by what has kept them, whatever does when their time is over', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { ask, refused, end } = asking();
    await ask('ann a', 'bot b', 'bot c', 'bot a');
    await ask('cem e', 'cem f', 'ben d', 'cem d');
    t.mock.timers.tick(5_000);
    await end('ben d');
    await ask('ben d 2');
    await end('cem e');
    await end('cem f');
    t.mock.timers.tick(5_000);
    await settle();
    assert.deepEqual(refused, { 'bot a': 'late' }, 'a was never free, though bot has no share now');
    t.mock.timers.tick(10_000);
    await settle();
    assert.deepEqual(
      refused,
      { 'bot a': 'late', 'cem d': 'crowded' },
      'd was free, though cem has shares now',
    );
  });

  it('come again before all others in the order in which they came again', async () => {
    const { ask, again, served, leave, end } = asking();
    await ask('bot a', 'ann a', 'ann b', 'bot c', 'ben a', 'bot d');
    await leave('bot a');
    await again('bot a');
    assert.deepEqual(served, ['bot a', 'ann b', 'bot c', 'bot d', 'ann a'], 'bot has no share');
    await ask('ann e');
    await leave('ann a');
    await again('ann a');
    assert.deepEqual(served.slice(5), ['ann e', 'ben a'], 'neither has ann');
    await end('bot c');
    await end('ann b');
    await end('ben a');
    assert.deepEqual(served.slice(7), ['bot a']);
    await end('bot a');
    assert.deepEqual(served.slice(8), ['ann a']);
  });

  it('are refused over 200 that wait of one principal for all runs, where one has to wait, and to nobody else', async () => {
    const { ask, refused, served, end } = asking();
    const runs = ['a', 'b', 'c', 'd', 'e'];
    await ask('bot a', 'bot b', ...runs.flatMap((run) => names(40, `bot ${run}`)));
    assert.deepEqual([served, refused], [['bot a', 'bot b'], {}]);
    await ask('bot a last', 'bot f', 'ann a', 'ann f');
    assert.deepEqual(refused, { 'bot a last': 'fullOfPrincipal', 'bot f': 'fullOfPrincipal' });
    assert.deepEqual(served.slice(2), ['ann f']);
    await end('bot a');
    await ask('bot g');
    assert.equal(Object.keys(refused).length, 2, 'one more waits');
    assert.equal(
      describeFullOfPrincipal('run_f'),
      '200 submits of the same principal, to all runs together, wait already for their turn, and nothing of this one to run `run_f` is kept: ask again when some of them are answered',
    );
  });

  it('are refused over 50 that wait of one principal for one run, and to nobody else; and once the process stops', async () => {
    const stop = new AbortController();
    const { ask, refused, served } = asking(stop.signal);
    await ask('bot a', ...names(51, 'bot a'), 'ann a', 'bot b');
    assert.deepEqual([refused, served], [{ 'bot a 50': 'full' }, ['bot a', 'bot b']]);
    stop.abort();
    await ask('ann c');
    assert.equal(Object.values(refused).filter((why) => why === 'stopping').length, 52);
    assert.equal(served.length, 2);
  });
});
