import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { mostCarriedBells } from '../../src/workflows/bell.js';
import { isClosed } from '../../src/workflows/memory.js';
import type { Carried } from '../../src/workflows/messages.js';
import { bell, drive, type Driver } from './driver.js';
import { makeFakeStore, type FakeStore } from './fake-store.js';

// A store that is away, or a key that does not open, for as long as it takes: histories get long while their step waits, others
// follow, and nobody rings again. Nothing of what came may be lost on the way, and the deadline is kept.

type Happening =
  | { readonly kind: 'message' | 'again' | 'garbage' | 'look' | 'cancel' | 'timer' | 'long' | 'full' }
  | { readonly kind: 'step'; readonly how: 'waiting' | 'throws' | 'taken'; readonly starts: boolean }
  | { readonly kind: 'effect'; readonly how: 'told' | 'lost' };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('message', 'again', 'look', 'timer', 'timer') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('garbage', 'cancel') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('long', 'long', 'long', 'full') }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('step'),
      how: fc.constantFrom('waiting', 'waiting', 'waiting', 'throws', 'taken'),
      starts: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('effect'), how: fc.constantFrom('told', 'lost') }) },
) as fc.Arbitrary<Happening>;

/** The store stays away while a history gets long: of happenings that come one by one, too few do so for a run that waits to be followed. */
const awayForLong: readonly Happening[] = [
  { kind: 'message' },
  { kind: 'step', how: 'waiting', starts: false },
  { kind: 'long' },
  { kind: 'timer' },
  { kind: 'step', how: 'waiting', starts: false },
];

const happenings = fc
  .array(
    fc.oneof(
      { weight: 12, arbitrary: happening.map((one) => [one]) },
      { weight: 1, arbitrary: fc.constant(awayForLong) },
    ),
    { minLength: 10, maxLength: 80 },
  )
  .map((parts) => parts.flat());

/** A time that no other timer of these runs has. */
const wakeAt = 123_456_789;

interface Course {
  driver: Driver;
  length: 'short' | 'long' | 'full';
  readonly store: FakeStore;
  readonly sent: string[];
  /** What came that is no bell, and has to be on record; taken: how much of it a step was given that the store took. */
  garbage: number;
  garbageTaken: number;
  unread: number;
  followed: { byWaiting: number; full: number };
}

async function happen(course: Course, what: Happening): Promise<void> {
  const { driver, sent } = course;
  switch (what.kind) {
    case 'message':
      // A history leaves no more bells than this to the next, and nobody rings again here.
      if (sent.length < mostCarriedBells) sent.push(`msg_${sent.length}`);
      return ring(driver, sent.at(-1) ?? '');
    case 'again':
      return sent.length === 0 ? undefined : ring(driver, sent.at(-1) ?? '');
    case 'garbage':
      course.garbage += 1;
      return driver.send((kernel) => kernel.onSignal('submit', null));
    case 'cancel':
      course.garbage += 1;
      return driver.send((kernel) => kernel.onCancelRequest());
    case 'look':
      return driver.send((kernel) => kernel.onWake());
    case 'timer':
      return driver.setTimers()[0]?.fire();
    case 'long':
    case 'full':
      course.length = what.kind;
      return driver.setHistory(what.kind);
    case 'step':
      return driver.isStepping() ? step(course, what.how, what.starts) : undefined;
    case 'effect':
      return effect(course, what.how);
  }
}

const ring = (driver: Driver, id: string): Promise<void> =>
  driver.send((kernel) => kernel.onSignal('submit', bell(id)));

async function step(course: Course, how: 'waiting' | 'throws' | 'taken', starts: boolean): Promise<void> {
  const { driver, store } = course;
  const asked = driver.step();
  if (how === 'throws') return asked.fail(new Error('a bug'));
  if (how === 'waiting') {
    await asked.give({ status: 'waiting' });
    assert.ok(!driver.isStepping(), 'it is asked again without a pause');
    course.followed.byWaiting += hasFollower(driver) && course.length === 'long' ? 1 : 0;
    return;
  }
  const before = store.rev();
  const result = store.step(asked.input, { starts });
  assert.equal(result.status, 'stepped');
  if (store.rev() > before && !('isForked' in result && result.isForked))
    for (const arrival of asked.input.arrivals)
      if (arrival.kind === 'garbage') course[arrival.reason === 'unread' ? 'unread' : 'garbageTaken'] += 1;
  return asked.give({ ...result, wakeAt } as typeof result);
}

async function effect({ driver, store }: Course, how: 'told' | 'lost'): Promise<void> {
  const asked = driver.executions.find(({ isOver }) => !isOver);
  if (asked === undefined) return;
  if (how === 'lost') return asked.fail(new Error('its worker died'));
  const result = store.settle(asked.input.action, {});
  return result === null ? asked.fail(new Error('it had ended')) : asked.give({ ...result, wakeAt });
}

function follower({ outcome }: Driver): Carried | null {
  const end = outcome();
  assert.ok(end === null || 'ended' in end, JSON.stringify(end));
  return end !== null && end.ended.kind === 'continue' ? end.ended.carried : null;
}
const hasFollower = (driver: Driver): boolean => follower(driver) !== null;

async function carryOn(course: Course): Promise<void> {
  const carried = follower(course.driver);
  if (carried === null) return;
  const { store, length } = course;
  assert.equal(store.executing(), null, 'an effect under way was left behind');
  assert.notEqual(length, 'short');
  if (length === 'full') course.followed.full += 1;
  else assert.ok(carried.unread !== true, 'a history that is long and not full has left what nobody read');
  course.length = 'short';
  course.driver = await drive({ carried });
  if (carried.wakeAt !== null && !isClosed(carried))
    assert.ok(
      course.driver.timers.some(({ ms }) => ms === carried.wakeAt),
      'the deadline has no timer',
    );
  if (carried.dropped) assert.ok(course.driver.isStepping(), 'nothing wakes what was left behind');
}

/** The store is back. */
async function calm(course: Course): Promise<void> {
  for (let round = 0; round < 400; round += 1) {
    await carryOn(course);
    const { driver } = course;
    const pause = driver.setTimers().find(({ ms }) => ms < wakeAt);
    if (driver.isStepping()) await step(course, 'taken', false);
    else if (driver.executions.some(({ isOver }) => !isOver)) await effect(course, 'told');
    else if (pause !== undefined) await pause.fire();
    else return;
  }
  assert.fail('the kernel never comes to rest');
}

describe('a run whose store is away for long', () => {
  it('loses no bell, nothing that is no bell, no effect and no deadline over the histories that follow one another', async () => {
    const times = { byWaiting: 0, full: 0 };
    await fc.assert(
      fc.asyncProperty(happenings, async (all) => {
        const course: Course = {
          ...{ driver: await drive(), length: 'short', store: makeFakeStore(), sent: [] },
          ...{ garbage: 0, garbageTaken: 0, unread: 0, followed: { byWaiting: 0, full: 0 } },
        };
        for (const what of all) {
          await happen(course, what);
          await carryOn(course);
        }
        await calm(course);
        const { driver, store, sent, followed } = course;
        assert.equal(driver.outcome(), null);
        assert.equal(store.executing(), null, 'an effect is under way and nobody sees it through');
        const unanswered = sent.filter((id) => !store.answered.has(id));
        assert.deepEqual(unanswered, [], 'bells that no step took');
        const gone = course.garbage - course.garbageTaken;
        if (followed.full === 0) assert.equal(gone, 0, 'what is no bell is not on record');
        if (gone > 0) assert.ok(course.unread > 0, 'nothing on record says that some was not read');
        if (store.rev() > 0)
          assert.ok(
            driver.setTimers().some(({ ms }) => ms === wakeAt),
            'the run has no timer for its deadline',
          );
        times.byWaiting += followed.byWaiting;
        times.full += followed.full;
      }),
      { numRuns: 400 },
    );
    assert.ok(times.byWaiting > 5 && times.full > 5, JSON.stringify(times));
  });
});
