import { decodings, unitsOf } from './decodings.js';
import { finds, type Count, type Index } from './index-of-words.js';
import type { Turn } from '../../model/give-way.js';

// Where a word stands in a text, as it is or in what the text says when it is decoded. In steps, between which others may
// have their turn.

export type Steps<T> = Generator<undefined, T>;

export interface Finder {
  /** No text that is shorter has one of the words in it, however it is written. */
  readonly shortest: number;
  /**
   * The text with `by` for each word. Where a part of a long word stands, `by` is all of it: the rest may stand beside it in
   * another writing, such as behind a line break.
   */
  replace(text: string, by: string): Steps<string>;
  /** Does one stand in what the text says when it is decoded? */
  standsEncoded(text: string): Steps<boolean>;
  /** Does one stand in it as it is, or when it is decoded? */
  stands(text: string): Steps<boolean>;
}

export function makeFinder(index: Index, count: Count = () => undefined): Finder {
  const { shortest } = index;
  function* isIn(units: Uint16Array): Steps<boolean> {
    for (const found of finds(index, units, count)) {
      if (found !== null) return true;
      yield;
    }
    return false;
  }
  function* standsEncoded(text: string): Steps<boolean> {
    if (text.length < shortest) return false;
    for (const units of decodings(unitsOf(text), shortest, count)) {
      yield;
      if (units !== null && (yield* isIn(units))) return true;
    }
    return false;
  }
  return {
    shortest,
    standsEncoded,
    *stands(text) {
      if (text.length < shortest) return false;
      return (yield* isIn(unitsOf(text))) || (yield* standsEncoded(text));
    },
    *replace(text, by) {
      if (text.length < shortest) return text;
      const parts: string[] = [];
      let kept = 0;
      for (const found of finds(index, unitsOf(text), count)) {
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

/** What it comes to without its pauses. */
export function drained<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

export async function inTurns<T>(turn: Turn, steps: Steps<T>): Promise<T> {
  for (;;) {
    await turn();
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
