import { decodings, unitsOf } from './decoding/decodings.js';
import { findAll, type Count, type Index } from './index-of-words.js';
import type { Turn } from '../../model/give-way.js';

// Finds words in a text, as it is or decoded. In steps, so that others get their turn in between.

export type Steps<T> = Generator<undefined, T>;

export interface Finder {
  /** A shorter text contains none of the words, however they are written. */
  readonly shortest: number;
  /**
   * The text with `by` in place of each word. Where it contains a part of a long word, the whole text is `by`: the rest of the
   * word may be beside it in another writing, such as behind a line break.
   */
  replace(text: string, by: string): Steps<string>;
  /** Does the text contain a word when it is decoded? */
  hasEncoded(text: string): Steps<boolean>;
  /** Does the text contain a word, as it is or when it is decoded? */
  has(text: string): Steps<boolean>;
}

export function makeFinder(index: Index, count: Count = () => undefined): Finder {
  const { shortest } = index;
  function* isIn(units: Uint16Array): Steps<boolean> {
    for (const found of findAll(index, units, count)) {
      if (found !== null) return true;
      yield;
    }
    return false;
  }
  function* hasEncoded(text: string): Steps<boolean> {
    if (text.length < shortest) return false;
    for (const units of decodings(unitsOf(text), shortest, count)) {
      yield;
      if (units !== null && (yield* isIn(units))) return true;
    }
    return false;
  }
  return {
    shortest,
    hasEncoded,
    *has(text) {
      if (text.length < shortest) return false;
      return (yield* isIn(unitsOf(text))) || (yield* hasEncoded(text));
    },
    *replace(text, by) {
      if (text.length < shortest) return text;
      const parts: string[] = [];
      let kept = 0;
      for (const found of findAll(index, unitsOf(text), count)) {
        if (found?.isPart === true) return by;
        if (found !== null) {
          parts.push(text.slice(kept, found.at), by);
          kept = found.end;
        }
        yield;
      }
      return kept === 0 ? text : [...parts, text.slice(kept)].join('');
    },
  };
}

/** The result of the steps, taken without pauses. */
export function drain<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

export async function runInTurns<T>(turn: Turn, steps: Steps<T>): Promise<T> {
  for (;;) {
    await turn();
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
