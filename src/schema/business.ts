import type { BusinessHours } from '../model/policy-set.js';

// Business hours in the zone where they are kept, across changes to and from summer time.

const dayMs = 86_400_000;
const minuteMs = 60_000;
/** Days looked ahead. Where they hold fewer business hours than were asked for, all hours count. */
const longestDays = 3_660;

/** Epoch milliseconds at which `ms` milliseconds of these hours have passed since `from`, in epoch milliseconds. */
export function businessEnd(hours: BusinessHours, from: number, ms: number): number {
  let left = ms;
  const first = localDay(hours.zone, from);
  for (let day = 0; day < longestDays; day += 1) {
    const midnight = first + day * dayMs;
    if (!hours.days.includes(weekday(midnight))) continue;
    const opens = Math.max(instantOf(hours.zone, midnight + hours.from * minuteMs, 'first'), from);
    const closes = instantOf(hours.zone, midnight + hours.to * minuteMs, 'last');
    const open = Math.max(closes - opens, 0);
    if (open >= left) return opens + left;
    left -= open;
  }
  return from + ms;
}

/** 1 is Monday. */
function weekday(local: number): number {
  return ((new Date(local).getUTCDay() + 6) % 7) + 1;
}

/** Local midnight of the day on which the instant falls, written as if the zone were UTC. */
function localDay(zone: string, at: number): number {
  const local = at + offsetAt(zone, at);
  return local - (((local % dayMs) + dayMs) % dayMs);
}

/**
 * The instant at which clocks in the zone show this local time. Where clocks are set back there are two: `which` chooses.
 * Where they are set forward over the local time it is the instant at which that is done.
 */
function instantOf(zone: string, local: number, which: 'first' | 'last'): number {
  const [before, after] = [offsetAt(zone, local - dayMs), offsetAt(zone, local + dayMs)];
  const shown = [local - before, local - after].filter((at) => at + offsetAt(zone, at) === local);
  if (shown.length > 0) return which === 'first' ? Math.min(...shown) : Math.max(...shown);
  let [early, late] = [local - after, local - before];
  while (late - early > 1) {
    const middle = Math.floor((early + late) / 2);
    if (offsetAt(zone, middle) === after) late = middle;
    else early = middle;
  }
  return late;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** How many milliseconds the zone's clocks are ahead of UTC at that instant. */
function offsetAt(zone: string, at: number): number {
  const parts = new Map(
    formatOf(zone)
      .formatToParts(at)
      .map((part) => [part.type, Number(part.value)]),
  );
  const part = (type: Intl.DateTimeFormatPartTypes): number => parts.get(type) ?? 0;
  const local = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour'),
    part('minute'),
    part('second'),
  );
  return local - Math.floor(at / 1_000) * 1_000;
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone);
  if (known !== undefined) return known;
  const numeric = 'numeric' as const;
  const made = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    year: numeric,
    month: numeric,
    day: numeric,
    hour: numeric,
    minute: numeric,
    second: numeric,
  });
  formats.set(zone, made);
  return made;
}
