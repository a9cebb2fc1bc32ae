import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { businessEnd } from '../../src/schema/business.js';

const berlin = { zone: 'Europe/Berlin', days: [1, 2, 3, 4, 5], from: 9 * 60, to: 17 * 60 };
const hour = 3_600_000;
const end = (from: string, hours: number, of = berlin): string =>
  new Date(businessEnd(of, Date.parse(from), hours * hour)).toISOString();

test('hours run while the office is open', () => {
  assert.equal(end('2026-11-18T09:00:00Z', 2), '2026-11-18T11:00:00.000Z');
});

test('what is left goes on in the morning, and after the weekend', () => {
  assert.equal(end('2026-11-18T15:00:00Z', 2), '2026-11-19T09:00:00.000Z');
  assert.equal(end('2026-11-20T15:00:00Z', 2), '2026-11-23T09:00:00.000Z');
  assert.equal(end('2026-11-21T10:00:00Z', 1), '2026-11-23T09:00:00.000Z');
});

test('a day ends when its hours are used up, not the next morning', () => {
  assert.equal(end('2026-11-18T08:00:00Z', 8), '2026-11-18T16:00:00.000Z');
});

test('clocks that change keep the local hours', () => {
  assert.equal(end('2026-03-27T15:30:00Z', 1), '2026-03-30T07:30:00.000Z');
  assert.equal(end('2026-10-23T14:30:00Z', 1), '2026-10-26T08:30:00.000Z');
  const sunday = { ...berlin, days: [7], from: 0, to: 1440 };
  assert.equal(end('2026-03-28T23:00:00Z', 23, sunday), '2026-03-29T22:00:00.000Z');
});

test('an edge in the hour that clocks skip or show twice is where a clock on the wall has it', () => {
  const minute = 60_000;
  const minutesOf = (text: string): number => {
    const [hours, minutes] = text.split(':').map(Number);
    return (hours ?? 0) * 60 + (minutes ?? 0);
  };
  /** Counts minute by minute, by local time. */
  const byTheWall = (of: typeof berlin, from: number, minutes: number): number => {
    const wall = new Intl.DateTimeFormat('en-GB', {
      ...{ timeZone: of.zone, weekday: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
    });
    const names = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
    let left = minutes;
    for (let at = from; ; at += minute) {
      if (left === 0) return at;
      const parts = new Map(wall.formatToParts(at).map(({ type, value }) => [type, value]));
      const shown = minutesOf(`${parts.get('hour')}:${parts.get('minute')}`);
      const day = names.indexOf(parts.get('weekday') ?? '') + 1;
      if (of.days.includes(day) && shown >= of.from && shown < of.to) left -= 1;
    }
  };
  const daily = [1, 2, 3, 4, 5, 6, 7];
  for (const [zone, from, to, start] of [
    ['America/Santiago', 23 * 60, 24 * 60, '2027-09-03T18:15:00Z'],
    ['America/Santiago', 0, 60, '2027-09-03T18:15:00Z'],
    ['America/Santiago', 23 * 60, 24 * 60, '2027-04-02T18:15:00Z'],
    ['America/Havana', 0, 60, '2027-03-13T22:15:00Z'],
    ['America/Havana', 0, 60, '2027-11-06T22:15:00Z'],
    ['Europe/Berlin', 120, 180, '2027-10-30T12:00:00Z'],
    ['Europe/Berlin', 120, 180, '2027-03-27T12:00:00Z'],
    ['Europe/Berlin', 150, 240, '2027-03-27T12:00:00Z'],
  ] as const)
    for (const minutes of [10, 70, 130]) {
      const of = { zone, days: daily, from, to };
      const at = Date.parse(start);
      // The end of a day's hours and the beginning of the next day's are the same moment to those who wait.
      const wall = byTheWall(of, at, minutes - 1) + minute;
      const found = businessEnd(of, at, minutes * minute);
      assert.equal(
        new Date(found).toISOString(),
        new Date(wall).toISOString(),
        `${zone} ${from}-${to} ${minutes}`,
      );
    }
});

test('zones on the other side of the date line have their own days', () => {
  const auckland = { ...berlin, zone: 'Pacific/Auckland' };
  assert.equal(end('2026-11-20T05:00:00Z', 1, auckland), '2026-11-22T21:00:00.000Z');
});

test('more time never ends earlier, and never before as many hours have passed', () => {
  const day = fc.integer({ min: 1, max: 7 });
  const hours = fc
    .record({
      zone: fc.constantFrom('Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'UTC'),
      days: fc.uniqueArray(day, { minLength: 1 }),
      from: fc.integer({ min: 0, max: 1_000 }),
      length: fc.integer({ min: 30, max: 400 }),
    })
    .map(({ length, ...hours }) => ({ ...hours, to: hours.from + length }));
  const from = fc.integer({ min: Date.parse('2026-01-01'), max: Date.parse('2027-01-01') });
  fc.assert(
    fc.property(hours, from, fc.integer({ min: 1, max: 40 * hour }), fc.nat(hour), (of, at, ms, more) => {
      const ends = businessEnd(of, at, ms);
      assert.ok(ends >= at + ms);
      assert.ok(businessEnd(of, at, ms + more) >= ends);
    }),
    { numRuns: 200 },
  );
});
