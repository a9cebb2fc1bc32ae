import assert from 'node:assert/strict';
import { test } from 'node:test';
import { giveWay, giveWayBefore, makeTurns, WorkTooLong, type Clock } from '../../src/model/give-way.js';

interface Hands extends Clock {
  pass(ms: number, worked?: number): void;
}

function byHand(): Hands {
  let [now, worked] = [0, 0];
  return {
    now: () => now,
    worked: () => worked,
    pass: (ms, own = ms) => {
      now += ms;
      worked += own;
    },
  };
}

/** How often others had their turn while this was awaited. */
async function turnsOf(work: () => Promise<void>): Promise<number> {
  let turns = 0;
  let going = true;
  const others = (): void => {
    turns += 1;
    if (going) setImmediate(others);
  };
  setImmediate(others);
  await work();
  going = false;
  return turns;
}

test('who gives way lets everybody go on', async () => {
  assert.equal(await turnsOf(giveWay), 1);
});

test('where several give way at once, everybody else goes on before each of them', async () => {
  const works = (): Promise<void[]> => Promise.all(Array.from({ length: 5 }, () => giveWay()));
  assert.equal(await turnsOf(() => works().then(() => undefined)), 5);
  const order: number[] = [];
  await Promise.all([1, 2, 3].map(async (each) => giveWay().then(() => order.push(each))));
  assert.deepEqual(order, [1, 2, 3]);
  // Whoever gives way again while others wait comes after them.
  assert.equal(await turnsOf(async () => void (await Promise.all([giveWay().then(giveWay), giveWay()]))), 3);
});

test('who reads much in one piece gives way before, and who reads little does not', async () => {
  assert.equal(await turnsOf(() => giveWayBefore(1_000_000)), 1);
  assert.equal(await turnsOf(() => giveWayBefore(1_000)), 0);
});

test('a turn is given after each piece that was long enough, and not before', async () => {
  const clock = byHand();
  const turn = makeTurns(Infinity, clock);
  const pieces = (ms: number): Promise<number> =>
    turnsOf(async () => {
      for (let count = 0; count < 6; count += 1) {
        clock.pass(ms);
        await turn();
      }
    });
  assert.equal(await pieces(1), 0);
  assert.equal(await pieces(12), 6);
  assert.equal(await pieces(5), 3);
});

test('work that is longer than it may be ends, whatever others did in between', async () => {
  const clock = byHand();
  const turn = makeTurns(100, clock);
  for (let count = 0; count < 5; count += 1) {
    clock.pass(20);
    const others = turnsOf(turn);
    setImmediate(() => clock.pass(500));
    await others;
  }
  clock.pass(1_000, 0);
  await turn();
  clock.pass(20);
  await assert.rejects(turn(), WorkTooLong);
});
