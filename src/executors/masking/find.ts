import { copiesFor, decodings, load, type Copies } from './decodings.js';
import { finds, type Count, type Found, type Index } from './words.js';
import type { Turn } from '../../model/give-way.js';

// Where a word stands in a text, as it is or in what the text says when it is decoded.

export interface Finder {
  /** No text that is shorter has one of the words in it, however it is written. */
  readonly shortest: number;
  readonly longest: number;
  replace(text: string, by: string): string;
  /** The same with turns, since the text may be long. */
  replaceIn(turn: Turn, text: string, by: string): Promise<string>;
  /** From where the first one begins to where the last one ends; null: none stands in the text as it is. */
  within(text: string): Found | null;
  /** Does one stand in what the text says when it is decoded? */
  isWritten(text: string): boolean;
  /** Does one stand in it as it is, or when it is decoded? With turns, since the text may be long. */
  stands(text: string, turn: Turn): Promise<boolean>;
}

export function makeFinder(index: Index, count: Count = () => undefined): Finder {
  const { shortest, longest } = index;
  // Short texts are read into these, and done with before anybody else has a turn.
  let shared: Copies | null = null;
  const copies = (text: string): Copies => {
    const own = text.length > mostShared ? copiesFor(text.length) : (shared ??= copiesFor(mostShared));
    load(own, text);
    return own;
  };
  const standing = (text: string, { texts, room }: Copies): Generator<Found | null> =>
    finds(index, texts[0].subarray(0, text.length), room, count);
  return {
    shortest,
    longest,
    replace: (text, by) => {
      if (text.length < shortest) return text;
      return drained(replaced(standing(text, copies(text)), text, by));
    },
    replaceIn: async (turn, text, by) => {
      if (text.length < shortest) return text;
      const replacing = replaced(standing(text, loaded(text)), text, by);
      for (;;) {
        await turn();
        const made = replacing.next();
        if (made.done === true) return made.value;
      }
    },
    within: (text) => {
      if (text.length < shortest) return null;
      const all = [...standing(text, copies(text))].filter((found) => found !== null);
      const [first, last] = [all[0], all.at(-1)];
      return first === undefined || last === undefined ? null : { at: first.at, end: last.end };
    },
    isWritten: (text) => {
      if (text.length < shortest) return false;
      const own = copies(text);
      for (const units of decodings(own, text.length, shortest, count))
        if (units !== null)
          for (const found of finds(index, units, own.room, count)) if (found !== null) return true;
      return false;
    },
    stands: async (text, turn) => {
      if (text.length < shortest) return false;
      await turn();
      // Its own: others read their texts between its turns.
      const own = loaded(text);
      for (const found of standing(text, own)) {
        if (found !== null) return true;
        await turn();
      }
      for (const units of decodings(own, text.length, shortest, count)) {
        await turn();
        if (units === null) continue;
        for (const found of finds(index, units, own.room, count)) {
          if (found !== null) return true;
          await turn();
        }
      }
      return false;
    },
  };
}

const mostShared = 4096;

function loaded(text: string): Copies {
  const own = copiesFor(text.length);
  load(own, text);
  return own;
}

/** What it comes to without its pauses. */
export function drained<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** With a pause after each piece. */
function* replaced(found: Iterable<Found | null>, text: string, by: string): Generator<undefined, string> {
  const parts: string[] = [];
  let kept = 0;
  for (const one of found) {
    if (one !== null) {
      parts.push(text.slice(kept, one.at), by);
      kept = one.end;
    }
    yield;
  }
  return kept === 0 ? text : [...parts, text.slice(kept)].join('');
}
