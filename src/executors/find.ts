import { joinLines, undoBackslash, undoForm, undoPercent, undoQuotedPrintable, type Undo } from './decode.js';
import { undoEntities } from './entities.js';
import type { Turn } from '../model/give-way.js';

// Where one of many words stands in a text, in a time that grows with the text and not with the words: an answer is
// looked through for every writing of every secret of its connection.

export interface Finder {
  /** No text that is shorter has one of the words in it, however it is written. */
  readonly shortest: number;
  readonly longest: number;
  replace(text: string, by: string): string;
  /** The same with turns, since the text may be long. */
  replaceIn(turn: Turn, text: string, by: string): Promise<string>;
  /** Does one stand in what the text says when it is decoded? */
  isWritten(text: string): boolean;
  /** Does one stand in it as it is, or when it is decoded? With turns, since the text may be long. */
  stands(text: string, turn: Turn): Promise<boolean>;
}

/** How many units of a word decide whether the rest of it is compared. */
const startLength = 4;
const buckets = 0x10000;

/** Capitals count for nothing: a header's name comes back in small letters, and hex is written either way. A `+` may be a blank. */
const folded = Uint16Array.from({ length: 256 }, (_, unit) =>
  unit === 0x2b ? 0x20 : String.fromCharCode(unit).toLowerCase().charCodeAt(0),
);

function fold(unit: number): number {
  return unit < 256 ? (folded[unit] ?? unit) : unit;
}

/** Each shift drops the unit that is `startLength` back. */
function roll(hash: number, unit: number): number {
  return ((hash << 4) ^ unit) & (buckets - 1);
}

const everywhere: readonly Undo[] = [undoPercent, undoForm, undoBackslash, joinLines];
/** Of a page or a mail, which is seldom inside of much else: undone among the first ones only, so that the orders stay few. */
const outside: readonly Undo[] = [...everywhere, undoEntities, undoQuotedPrintable];
/** How often a text is decoded again, in any order of the kinds: `%2541` is `%41`, and that is `A`. */
const maxDecodings = 3;
const outsideRounds = 2;

/** `words` of four characters or more, each. */
export function makeFinder(words: readonly string[]): Finder {
  const index = indexOf(words);
  const { shortest } = index;
  // Short texts are read into these, and done with before anybody else has a turn.
  const shared = copiesFor(mostShared);
  const copies = (text: string): Copies => (text.length > mostShared ? copiesFor(text.length) : shared);
  return {
    shortest,
    longest: Math.max(0, ...words.map((word) => word.length)),
    replace: (text, by) => {
      if (text.length < shortest) return text;
      const [units] = copies(text);
      load(units, text);
      const making = replaced(index, text, units, by);
      for (;;) {
        const made = making.next();
        if (made.done === true) return made.value;
      }
    },
    replaceIn: async (turn, text, by) => {
      if (text.length < shortest) return text;
      const units = new Uint16Array(text.length);
      load(units, text);
      const making = replaced(index, text, units, by);
      for (;;) {
        await turn();
        const made = making.next();
        if (made.done === true) return made.value;
      }
    },
    isWritten: (text) => {
      if (text.length < shortest || !hasEscapes.test(text)) return false;
      const own = copies(text);
      load(own[0], text);
      for (const units of decoded(index, own, text.length))
        for (const found of finds(index, units)) if (found !== null) return true;
      return false;
    },
    stands: async (text, turn) => {
      if (text.length < shortest) return false;
      await turn();
      // Its own: others read their texts between its turns.
      const own = copiesFor(text.length);
      load(own[0], text);
      const standsIn = async (units: Uint16Array): Promise<boolean> => {
        for (const found of finds(index, units)) {
          if (found !== null) return true;
          await turn();
        }
        return false;
      };
      if (await standsIn(own[0])) return true;
      if (!hasEscapes.test(text)) return false;
      for (const units of decoded(index, own, text.length)) if (await standsIn(units)) return true;
      return false;
    },
  };
}

const hasEscapes = /[%\\\r\n\0]|&[#a-z]|=[\da-f]{2}/i;
const mostShared = 4096;

/** A text, and what it says after each undoing. */
type Copies = readonly [Uint16Array, ...Uint16Array[]];

function copiesFor(length: number): Copies {
  const copy = (): Uint16Array => new Uint16Array(length);
  return [copy(), ...Array.from({ length: maxDecodings }, copy)];
}

function load(units: Uint16Array, text: string): void {
  for (let at = 0; at < text.length; at += 1) units[at] = text.charCodeAt(at);
}

/** What the text says after each undoing, in each order of them. One that undoes nothing is left out. */
function* decoded(index: Index, copies: Copies, length: number, depth = 0): Generator<Uint16Array> {
  const [text, own] = [copies[depth], copies[depth + 1]];
  if (text === undefined || own === undefined) return;
  for (const undo of depth < outsideRounds ? outside : everywhere) {
    own.set(text.subarray(0, length));
    const after = undo(own, length);
    if (after === length || after < index.shortest) continue;
    yield own.subarray(0, after);
    yield* decoded(index, copies, after, depth + 1);
  }
}

interface Index {
  readonly shortest: number;
  /** The folded words by the hash of their first units, the longest first. */
  readonly byStart: ReadonlyMap<number, readonly string[]>;
  readonly isStart: Uint8Array;
}

function indexOf(words: readonly string[]): Index {
  const byStart = new Map<number, string[]>();
  const isStart = new Uint8Array(buckets);
  const longestFirst = [...new Set(words.map(foldText))].sort((a, b) => b.length - a.length);
  for (const word of longestFirst) {
    let hash = 0;
    for (let at = 0; at < startLength; at += 1) hash = roll(hash, word.charCodeAt(at));
    byStart.set(hash, [...(byStart.get(hash) ?? []), word]);
    isStart[hash] = 1;
  }
  return { shortest: longestFirst.at(-1)?.length ?? Infinity, byStart, isStart };
}

function foldText(text: string): string {
  return text.replace(/[A-Z+\u00c0-\u00de]/g, (one) => String.fromCharCode(fold(one.charCodeAt(0))));
}

interface Found {
  readonly at: number;
  readonly end: number;
}

/** How much of a text is looked through at a time. */
const pieceUnits = 32_768;

/** All of them, one after the other; null: a piece of the text has been looked through, and others may have their turn. */
function* finds(index: Index, units: Uint16Array): Generator<Found | null> {
  for (let from = 0; from < units.length;) {
    const until = Math.min(units.length, from + pieceUnits);
    const found = find(index, units, from, until);
    from = found === null ? until : found.end;
    yield found;
  }
}

/** The first one that begins from `from` on and before `until`, and of those that begin there the longest. */
function find({ byStart, isStart }: Index, units: Uint16Array, from: number, until: number): Found | null {
  const { length } = units;
  const end = Math.min(length, until + startLength - 1);
  let hash = 0;
  for (let next = from; next < end; next += 1) {
    hash = roll(hash, fold(units[next] ?? 0));
    const at = next - startLength + 1;
    if (isStart[hash] === 0 || at < from) continue;
    const word = byStart.get(hash)?.find((one) => standsAt(one, units, at, length));
    if (word !== undefined) return { at, end: at + word.length };
  }
  return null;
}

function standsAt(word: string, units: Uint16Array, at: number, length: number): boolean {
  if (at + word.length > length) return false;
  for (let own = 0; own < word.length; own += 1)
    if (fold(units[at + own] ?? 0) !== word.charCodeAt(own)) return false;
  return true;
}

/** With a pause after each piece. `units`: those of the text, and perhaps more. */
function* replaced(index: Index, text: string, units: Uint16Array, by: string): Generator<undefined, string> {
  const parts: string[] = [];
  let kept = 0;
  for (const found of finds(index, units.subarray(0, text.length))) {
    if (found !== null) {
      parts.push(text.slice(kept, found.at), by);
      kept = found.end;
    }
    yield;
  }
  return kept === 0 ? text : [...parts, text.slice(kept)].join('');
}
