// Finds any of many words in a text, in a time that grows with the text and not with the words: an answer is searched for every
// writing of every secret of its connection.

/** Counts the work: called with the number of units that were looked at. */
export type Count = (units: number) => void;

/** A word longer than this is found by its first and by its last units, so many of each. */
export const edge = 64;

/** The words, folded as the text is before it is compared, and sorted keys of at most `edge` units by which they are found. */
export interface Index {
  readonly shortest: number;
  readonly keys: readonly string[];
  /** The keys that are words themselves. */
  readonly wholeKeys: ReadonlySet<string>;
  /** For each key, the index of the longest other key with which it begins; -1: none. */
  readonly shorter: readonly number[];
  /** For each key, the longer words that begin with it. */
  readonly longer: ReadonlyMap<string, readonly string[]>;
  readonly isStart: Uint8Array;
}

/** How many units of a word decide whether the rest of it is compared. */
const startLength = 4;
const buckets = 0x10000;

/** Capitals do not count: a header's name comes back in small letters, and hex is written either way. `+` and the no-break space count as blanks. */
const folded = Uint16Array.from({ length: 256 }, (_, unit) =>
  unit === 0x2b || unit === 0xa0 ? 0x20 : String.fromCharCode(unit).toLowerCase().charCodeAt(0),
);

function fold(unit: number): number {
  return unit < 256 ? (folded[unit] ?? unit) : unit;
}

/** A hash of the last `startLength` units: each shift drops the oldest. */
function roll(hash: number, unit: number): number {
  return ((hash << 4) ^ unit) & (buckets - 1);
}

/** How many words are entered at a time. */
const atOnce = 256;

/** Builds the index of `words`, each of four characters or more, and folded. With pauses, since they may be many. */
export function* buildIndex(words: readonly string[]): Generator<undefined, Index> {
  const longer = new Map<string, string[]>();
  const wholeKeys = new Set<string>();
  const edges: string[] = [];
  const isStart = new Uint8Array(buckets);
  for (const [at, word] of words.entries()) {
    if (at % atOnce === 0) yield;
    const key = word.slice(0, edge);
    if (word.length <= edge) {
      wholeKeys.add(key);
      continue;
    }
    edges.push(key, word.slice(-edge));
    const others = longer.get(key);
    if (others === undefined) longer.set(key, [word]);
    else others.push(word);
  }
  const keys = yield* sortInPieces([...new Set([...wholeKeys, ...edges])]);
  const shorter: number[] = [];
  const open: number[] = [];
  for (const [at, key] of keys.entries()) {
    if (at % atOnce === 0) yield;
    while (open.length > 0 && !key.startsWith(keys[open.at(-1) ?? 0] ?? '')) open.pop();
    shorter.push(open.at(-1) ?? -1);
    open.push(at);
    let start = 0;
    for (let unit = 0; unit < startLength; unit += 1) start = roll(start, key.charCodeAt(unit));
    isStart[start] = 1;
  }
  const shortest = keys.reduce((least, key) => Math.min(least, key.length), Infinity);
  return { shortest, keys, wholeKeys, shorter, longer, isStart };
}

/** How many words are sorted, or merged, at a time. */
const sortedAtOnce = 4_096;

function* sortInPieces(words: readonly string[]): Generator<undefined, readonly string[]> {
  let runs: (readonly string[])[] = [];
  for (let at = 0; at < words.length; at += sortedAtOnce) {
    runs.push(words.slice(at, at + sortedAtOnce).sort());
    yield;
  }
  while (runs.length > 1) {
    const merged: (readonly string[])[] = [];
    for (let at = 0; at < runs.length; at += 2)
      merged.push(yield* mergeRuns(runs[at] ?? [], runs[at + 1] ?? []));
    runs = merged;
  }
  return runs[0] ?? [];
}

function* mergeRuns(left: readonly string[], right: readonly string[]): Generator<undefined, string[]> {
  const merged: string[] = [];
  let [leftAt, rightAt] = [0, 0];
  while (leftAt + rightAt < left.length + right.length) {
    const [a, b] = [left[leftAt], right[rightAt]];
    if (a !== undefined && (b === undefined || a < b)) {
      merged.push(a);
      leftAt += 1;
    } else {
      merged.push(b ?? '');
      rightAt += 1;
    }
    if (merged.length % sortedAtOnce === 0) yield;
  }
  return merged;
}

const isLatin = /^[\0-\xff]*$/;

export function foldText(text: string): string {
  // The small letters of these characters are as long as their capitals.
  if (isLatin.test(text)) return text.toLowerCase().replace(/[+\xa0]/g, ' ');
  return text.replace(/[A-Z+\u00a0\u00c0-\u00de]/g, (character) =>
    String.fromCharCode(fold(character.charCodeAt(0))),
  );
}

export interface Found {
  readonly at: number;
  readonly end: number;
  /** Only the beginning or the end of a long word was found. The rest may be near it in another writing. */
  readonly isPart: boolean;
}

/** How much of a text is searched at a time. */
const pieceUnits = 32_768;

/** Finds all words in the text, in order. Null: nothing in this piece of the text, so that others get their turn. */
export function* findAll(index: Index, units: Uint16Array, count: Count): Generator<Found | null> {
  for (let from = 0; from < units.length;) {
    const until = Math.min(units.length, from + pieceUnits);
    const found = find(index, units, from, until, count);
    count((found?.end ?? until) - from);
    from = found === null ? until : found.end;
    yield found;
  }
}

/** The first word that begins from `from` on and before `until`; the longest of those that begin at the same place. */
function find(index: Index, units: Uint16Array, from: number, until: number, count: Count): Found | null {
  const end = Math.min(units.length, until + startLength - 1);
  let hash = 0;
  for (let next = from; next < end; next += 1) {
    hash = roll(hash, fold(units[next] ?? 0));
    const at = next - startLength + 1;
    if (index.isStart[hash] === 0 || at < from) continue;
    const found = findAt(index, units, at, count);
    if (found !== null) return found;
  }
  return null;
}

/** The longest word at `at`, or the part of a long word that is there. */
function findAt(index: Index, units: Uint16Array, at: number, count: Count): Found | null {
  const { keys, wholeKeys, shorter, longer } = index;
  let [low, high] = [-1, keys.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (isUpTo(keys[middle] ?? '', units, at, count)) low = middle;
    else high = middle;
  }
  while (low >= 0 && countAlike(keys[low] ?? '', units, at, count) < (keys[low] ?? '').length)
    low = shorter[low] ?? -1;
  const key = keys[low];
  if (key === undefined) return null;
  let length = key.length;
  let isPart = !wholeKeys.has(key);
  for (const word of longer.get(key) ?? []) {
    const same = countAlike(word, units, at, count);
    if (same < length) continue;
    isPart = same < word.length && (isPart || same > length);
    length = same;
  }
  return { at, end: at + length, isPart };
}

/** Does the text at `at` begin with the key, or come after the key in the order of keys? */
function isUpTo(key: string, units: Uint16Array, at: number, count: Count): boolean {
  const same = countAlike(key, units, at, count);
  return (
    same === key.length || (at + same < units.length && key.charCodeAt(same) < fold(units[at + same] ?? 0))
  );
}

/** How many units of the word the text has at `at`. */
function countAlike(word: string, units: Uint16Array, at: number, count: Count): number {
  let own = 0;
  while (own < word.length && at + own < units.length && fold(units[at + own] ?? 0) === word.charCodeAt(own))
    own += 1;
  count(own + 1);
  return own;
}

/** The length of the longest end of a word with which the text begins; the whole length where the text is from the middle of a word. `words` are folded. */
export function brokenStart(text: string, words: readonly string[], count?: Count): number {
  return longestBroken(text, words, (word, at) => word.charCodeAt(at), count);
}

/** The length of the longest beginning of a word with which the text ends; the whole length where the text is from the middle of a word. */
export function brokenEnd(text: string, words: readonly string[], count?: Count): number {
  return longestBroken(text, words, (word, at) => word.charCodeAt(word.length - 1 - at), count);
}

type UnitOf = (text: string, at: number) => number;

/** The algorithm of Knuth, Morris and Pratt: no unit of a word is read twice, and of most words only the last units are read. */
function longestBroken(text: string, words: readonly string[], unitOf: UnitOf, count?: Count): number {
  // No `Math.max(...)`: there may be more words than a call takes arguments.
  const longestWord = words.reduce((most, word) => Math.max(most, word.length), 0);
  const folded = foldText(text);
  const most = Math.min(folded.length, longestWord);
  const pattern = Uint16Array.from({ length: most }, (_, at) => unitOf(folded, at));
  const next = stepsIn(pattern);
  const nearest = endsIn(pattern);
  let longest = 0;
  for (const word of words) {
    count?.(startLength);
    if (folded.length < word.length) {
      count?.(word.length);
      if (word.includes(folded)) return folded.length;
    }
    let end = 0;
    for (let at = Math.max(0, word.length - startLength); at < word.length; at += 1)
      end = roll(end, unitOf(word, at));
    const least = nearest[end] ?? 0;
    if (least === 0 || least > word.length) continue;
    let state = 0;
    for (let at = Math.max(0, word.length - most); at < word.length; at += 1)
      state = next(state, unitOf(word, at));
    count?.(Math.min(word.length, most));
    longest = Math.max(longest, state);
  }
  return longest;
}

/** A function that gives how much of the pattern matches after the next unit, from how much matched before it. */
function stepsIn(pattern: Uint16Array): (state: number, unit: number) => number {
  const borders = new Int32Array(pattern.length + 1);
  const next = (state: number, unit: number): number => {
    let known = state === pattern.length ? (borders[state] ?? 0) : state;
    while (known > 0 && pattern[known] !== unit) known = borders[known] ?? 0;
    return pattern[known] === unit ? known + 1 : 0;
  };
  for (let at = 1; at < pattern.length; at += 1) borders[at + 1] = next(borders[at] ?? 0, pattern[at] ?? 0);
  return next;
}

/** By the hash of `startLength` units: the index in the pattern behind their first occurrence; 0: they do not occur. */
function endsIn(pattern: Uint16Array): Uint32Array {
  const nearest = new Uint32Array(buckets);
  let hash = 0;
  for (const [at, unit] of pattern.entries()) {
    hash = roll(hash, unit);
    if (at + 1 >= startLength && nearest[hash] === 0) nearest[hash] = at + 1;
  }
  return nearest;
}
