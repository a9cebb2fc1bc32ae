// Where one of many words stands in a text, in a time that grows with the text and not with the words: an answer is
// looked through for every writing of every secret of its connection.

/** The words, to be found in folded units. */
export interface Index {
  readonly shortest: number;
  readonly longest: number;
  /** By the hash of their first units. */
  readonly byStart: ReadonlyMap<number, readonly Group[]>;
  readonly isStart: Uint8Array;
}

/** Words of one length that begin alike, by the sum of all their units. The longest group of a start is the first. */
interface Group {
  readonly length: number;
  readonly power: number;
  readonly bySum: Map<number, readonly string[]>;
}

/** Told how many units were looked at, by whoever counts the work. */
export type Count = (units: number) => void;

/** How many units of a word decide whether the rest of it is compared. */
const startLength = 4;
const buckets = 0x10000;

/** Capitals count for nothing: a header's name comes back in small letters, and hex is written either way. A `+` may be a blank. */
const folded = Uint16Array.from({ length: 256 }, (_, unit) =>
  unit === 0x2b ? 0x20 : String.fromCharCode(unit).toLowerCase().charCodeAt(0),
);

export function fold(unit: number): number {
  return unit < 256 ? (folded[unit] ?? unit) : unit;
}

/** Each shift drops the unit that is `startLength` back. */
function roll(hash: number, unit: number): number {
  return ((hash << 4) ^ unit) & (buckets - 1);
}

/** Odd, and nobody's outside: a text cannot be written so that its sums are those of a word. */
const base = (Math.floor(Math.random() * 0x40000000) * 2 + 0x10001) | 1;

function add(sum: number, unit: number): number {
  return (Math.imul(sum, base) + unit + 1) | 0;
}

/** How many words are entered at a time. */
const atOnce = 256;

/** `words` of four characters or more, each, and folded. With pauses in between, since they may be many. */
export function* indexing(words: readonly string[]): Generator<undefined, Index> {
  const byStart = new Map<number, Map<number, Group>>();
  const isStart = new Uint8Array(buckets);
  let [shortest, longest] = [Infinity, 0];
  for (const [at, word] of words.entries()) {
    if (at % atOnce === 0) yield;
    const { start, sum, power } = sumsOf(word);
    const byLength = byStart.get(start) ?? new Map<number, Group>();
    const group = byLength.get(word.length) ?? { length: word.length, power, bySum: new Map() };
    byStart.set(start, byLength.set(word.length, group));
    group.bySum.set(sum, [...(group.bySum.get(sum) ?? []), word]);
    isStart[start] = 1;
    shortest = Math.min(shortest, word.length);
    longest = Math.max(longest, word.length);
  }
  const groups = [...byStart].map(
    ([start, byLength]) => [start, [...byLength.values()].sort((a, b) => b.length - a.length)] as const,
  );
  return { shortest, longest, byStart: new Map(groups), isStart };
}

function sumsOf(word: string): { readonly start: number; readonly sum: number; readonly power: number } {
  let [start, sum, power] = [0, 0, 1];
  for (let at = 0; at < word.length; at += 1) {
    const unit = word.charCodeAt(at);
    if (at < startLength) start = roll(start, unit);
    sum = add(sum, unit);
    power = Math.imul(power, base);
  }
  return { start, sum, power };
}

const isLatin = /^[\0-\xff]*$/;

export function foldText(text: string): string {
  // Of these characters, capitals are as long as small letters.
  if (isLatin.test(text)) return text.toLowerCase().replaceAll('+', ' ');
  return text.replace(/[A-Z+\u00c0-\u00de]/g, (one) => String.fromCharCode(fold(one.charCodeAt(0))));
}

export interface Found {
  readonly at: number;
  readonly end: number;
}

/** How much of a text is looked through at a time. */
const pieceUnits = 32_768;

/**
 * All of them, one after the other; null: a piece of the text has been looked through, and others may have their turn.
 * `room`: for one number more than the text has units.
 */
export function* finds(
  index: Index,
  units: Uint16Array,
  room: Int32Array,
  count: Count,
): Generator<Found | null> {
  const sums: Sums = { room, known: 0 };
  for (let from = 0; from < units.length;) {
    const until = Math.min(units.length, from + pieceUnits);
    const found = find(index, units, sums, from, until, count);
    count((found?.end ?? until) - from);
    from = found === null ? until : found.end;
    yield found;
  }
}

/** The first one that begins from `from` on and before `until`, and of those that begin there the longest. */
function find(
  { byStart, isStart }: Index,
  units: Uint16Array,
  sums: Sums,
  from: number,
  until: number,
  count: Count,
): Found | null {
  const end = Math.min(units.length, until + startLength - 1);
  let hash = 0;
  for (let next = from; next < end; next += 1) {
    hash = roll(hash, fold(units[next] ?? 0));
    const at = next - startLength + 1;
    if (isStart[hash] === 0 || at < from) continue;
    for (const group of byStart.get(hash) ?? []) {
      count(1);
      if (standsAt(group, units, sums, at, count)) return { at, end: at + group.length };
    }
  }
  return null;
}

/** The sums of all units up to each place, as far as they were asked for. */
interface Sums {
  readonly room: Int32Array;
  known: number;
}

/** Words are compared where their sums are the same, which is where they stand: what was compared is not looked at again. */
function standsAt(group: Group, units: Uint16Array, sums: Sums, at: number, count: Count): boolean {
  const end = at + group.length;
  if (end > units.length) return false;
  const words = group.bySum.get(sumBetween(units, sums, at, end, group.power, count));
  return words?.some((word) => isAt(word, units, at, count)) === true;
}

function sumBetween(
  units: Uint16Array,
  sums: Sums,
  at: number,
  end: number,
  power: number,
  count: Count,
): number {
  const { room } = sums;
  if (sums.known < end) count(end - sums.known);
  if (sums.known === 0) room[0] = 0;
  for (; sums.known < end; sums.known += 1)
    room[sums.known + 1] = add(room[sums.known] ?? 0, fold(units[sums.known] ?? 0));
  return ((room[end] ?? 0) - Math.imul(room[at] ?? 0, power)) | 0;
}

function isAt(word: string, units: Uint16Array, at: number, count: Count): boolean {
  count(word.length);
  for (let own = 0; own < word.length; own += 1)
    if (fold(units[at + own] ?? 0) !== word.charCodeAt(own)) return false;
  return true;
}

/** How many units the longest end of a word has with which the text begins; all of them, where it is from the middle of one. `words` are folded. */
export function brokenStart(text: string, words: readonly string[], count?: Count): number {
  return longestBroken(text, words, (one, at) => one.charCodeAt(at), count);
}

/** The same for a beginning of a word with which the text ends. */
export function brokenEnd(text: string, words: readonly string[], count?: Count): number {
  return longestBroken(text, words, (one, at) => one.charCodeAt(one.length - 1 - at), count);
}

type UnitOf = (text: string, at: number) => number;

/** As Knuth, Morris and Pratt do it: no unit of a word is read again. */
function longestBroken(text: string, words: readonly string[], unitOf: UnitOf, count?: Count): number {
  // They may be more than a call takes arguments.
  const longestWord = words.reduce((most, word) => Math.max(most, word.length), 0);
  const most = Math.min(text.length, longestWord);
  const pattern = Uint16Array.from({ length: most }, (_, at) => fold(unitOf(text, at)));
  const borders = new Int32Array(most + 1);
  const next = (state: number, unit: number): number => {
    let known = state === most ? (borders[state] ?? 0) : state;
    while (known > 0 && pattern[known] !== unit) known = borders[known] ?? 0;
    return pattern[known] === unit ? known + 1 : 0;
  };
  for (let at = 1; at < most; at += 1) borders[at + 1] = next(borders[at] ?? 0, pattern[at] ?? 0);
  let longest = 0;
  for (const word of words) {
    let state = 0;
    for (let at = 0; at < word.length; at += 1) {
      state = next(state, unitOf(word, at));
      if (state === text.length) longest = state;
    }
    count?.(word.length);
    longest = Math.max(longest, state);
  }
  return longest;
}
