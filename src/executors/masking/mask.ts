import type { Json } from '../../model/json.js';
import { truncate, truncateStart } from '../../model/text.js';
import { drained, inTurns, makeFinder, type Finder, type Steps } from './find.js';
import { formsOf } from './forms.js';
import { maskedText, maskJson, maskText, type Masked } from './mask-json.js';
import { partsOf } from './parts.js';
import { minLength } from './setting-names.js';
import { brokenEnd, brokenStart, edge, foldText, indexing, type Count } from './index-of-words.js';
import type { Turn } from '../../model/give-way.js';
import type { Place } from '../answer/places.js';

export { maskedText, type Masked };

// What was resolved for a call and comes back in its answer is not handed on: whoever reads the run's output may not
// read the secrets of its connections.
//
// A secret may be written in several ways, one in the other. One of them is written on the secret's side: its forms
// (forms.ts) are looked for in the text as it is, and what is found is replaced in place. The others are undone on the text's
// side (decodings.ts): in what the text says after each undoing the same forms are looked for, and since nobody knows where
// in the text that stood, all of the text is replaced.

export interface Mask extends Told {
  /** Of a text of ours. A long one is told as `start` would, since nobody else has a turn meanwhile. */
  text(value: string): string;
  /** The same value where nothing of it is masked. `exact`: places in it that are asked for under their names in the masked one. */
  json(value: Json, turn: Turn, exact?: readonly Place[]): Promise<Masked>;
}

/**
 * A target's text as it may be told: masked first, then cut, since half of a secret is no longer known as one. Nothing else
 * in this folder cuts what a target wrote. However long the text and the secrets are, little more is looked through than told.
 */
export interface Told {
  /** Its first `longest` characters; `end` says that there were more. */
  start(text: string, longest: number, end?: string): string;
  /** Its last ones. `kept: 'tail'`: its beginning was dropped before, in the middle of a secret perhaps. */
  end(text: string, longest: number, mark?: string, kept?: 'whole' | 'tail'): string;
}

/** A text is masked in one piece up to this length. */
const mostAtOnce = 16_384;

/** `count` is told how many characters are looked at. */
export function makeMask(secrets: readonly string[], count?: Count): Mask {
  return drained(steps(secrets, count));
}

/** The same with turns: secrets may be long, and there is much that each may be written as. */
export function makeMaskIn(turn: Turn, secrets: readonly string[]): Promise<Mask> {
  return inTurns(turn, steps(secrets));
}

function* steps(secrets: readonly string[], count?: Count): Steps<Mask> {
  const parts = new Set<string>();
  for (const secret of secrets) {
    for (const part of yield* partsOf(secret)) if (part.length >= minLength) parts.add(part);
    yield;
  }
  const forms = new Set<string>();
  for (const part of parts) {
    for (const form of formsOf(part)) if (form.length >= minLength) forms.add(foldText(form));
    yield;
  }
  const finder = makeFinder(yield* indexing([...forms]), count);
  return maskOf(makeCutting([...forms], finder, count), finder);
}

function maskOf(told: Told, finder: Finder): Mask {
  return {
    ...told,
    text: (value) => (value.length <= mostAtOnce ? maskText(value, finder) : told.start(value, mostAtOnce)),
    json: (value, turn, exact) => maskJson(value, finder, turn, exact),
  };
}

/** What is read besides what is told: that much of a secret, escaped as often as is undone, is whole in it. */
const margin = 16 * edge;
/** Fewer characters of a secret give nothing away. */
const minBroken = 4;

/** Of a long one, what is read besides: it is masked in one piece. */
const mostBesides = 4_096;

/** So much of a long text is read to tell so much of it: what is masked makes the rest no shorter, as a rule. */
function readFor(longest: number): number {
  return Math.min(8 * longest, longest + mostBesides) + margin;
}

function makeCutting(forms: readonly string[], finder: Finder, count?: Count): Told {
  const whole = (text: string): string => maskText(text, finder);
  const withoutBrokenEnd = (text: string): string => {
    const broken = brokenEnd(text, forms, count);
    return broken < minBroken ? text : text.slice(0, text.length - broken) + maskedText;
  };
  const withoutBrokenStart = (text: string): string => {
    const broken = brokenStart(text, forms, count);
    return broken < minBroken ? text : maskedText + text.slice(broken);
  };
  /** Of a text that was cut before it was masked. One that is nearly nothing but secrets would be told up to where it was cut. */
  const isMostlySecrets = (masked: string, longest: number): boolean => masked.length < longest + margin;
  return {
    start: (value, longest, end) => {
      const most = readFor(longest);
      const masked = whole(withoutBrokenEnd(value.slice(0, most)));
      if (value.length <= most) return truncate(masked, longest, end);
      return isMostlySecrets(masked, longest) ? maskedText : truncate(masked, longest, end);
    },
    end: (value, longest, mark, kept = 'whole') => {
      const most = readFor(longest);
      const begun = withoutBrokenEnd(kept === 'tail' ? withoutBrokenStart(value) : value);
      if (begun.length <= most) return truncateStart(whole(begun), longest, mark);
      const masked = whole(withoutBrokenStart(begun.slice(-most)));
      return isMostlySecrets(masked, longest) ? maskedText : truncateStart(masked, longest, mark);
    },
  };
}
