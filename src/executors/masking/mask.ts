import type { Json } from '../../model/values/json.js';
import { truncate, truncateStart } from '../../model/values/text.js';
import { drain, runInTurns, makeFinder, type Finder, type Steps } from './find.js';
import { formsOf } from './forms.js';
import { maskedText, maskJson, maskText, type Masked } from './mask-json.js';
import { partsOf } from './secrets/parts.js';
import { minLength } from './secrets/setting-names.js';
import { brokenEnd, brokenStart, edge, foldText, buildIndex, type Count } from './index-of-words.js';
import type { Turn } from '../../model/give-way.js';
import type { Place } from '../answer/places.js';

export { maskedText, type Masked };

// Secrets that were resolved for a call are masked in its answer: whoever reads the run's output may not read the secrets of its
// connections.
//
// An answer may escape a secret in several ways, nested. One escape is applied to the secret: its forms (forms.ts) are looked for
// in the text as it is, and each is replaced in place. Further escapes are undone in the text (decodings.ts): the same forms are
// looked for in each decoded text, and since it is not known which part of the text they came from, the whole text is replaced.

export interface Mask extends Excerpts {
  /** Masks a text of our own. Of a long text only the start is given, as `start` does, since others get no turn meanwhile. */
  text(value: string): string;
  /** Masks a value; gives the same value where nothing is masked. `exact`: places in it whose places in the masked value are wanted. */
  json(value: Json, turn: Turn, exact?: readonly Place[]): Promise<Masked>;
}

/**
 * Excerpts of a target's text for a message: masked first, then cut, since half a secret is not recognised as a secret. Only this
 * cuts what a target wrote. However long the text and the secrets are, little more of the text is searched than is quoted.
 */
export interface Excerpts {
  /** The first `longest` characters of the text; `end` is added where there were more. */
  start(text: string, longest: number, end?: string): string;
  /** The first `longest` characters of each of two texts. Where a secret is spread over both, from the end of one into the other, only that something is masked. */
  starts(first: string, second: string, longest: number): readonly string[];
  /** The last `longest` characters, behind `mark` where there were more. `kept: 'tail'`: the text has lost its beginning before, perhaps within a secret. */
  end(text: string, longest: number, mark?: string, kept?: 'whole' | 'tail'): string;
}

/** A text is masked in one piece up to this length. */
const mostAtOnce = 16_384;

/** Makes a mask for these secrets. `count` is told how many characters are looked at. */
export function makeMask(secrets: readonly string[], count?: Count): Mask {
  return drain(makeMaskInSteps(secrets, count));
}

/** The same with turns for others: secrets may be long, and have many forms. */
export function makeMaskIn(turn: Turn, secrets: readonly string[]): Promise<Mask> {
  return runInTurns(turn, makeMaskInSteps(secrets));
}

function* makeMaskInSteps(secrets: readonly string[], count?: Count): Steps<Mask> {
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
  const finder = makeFinder(yield* buildIndex([...forms]), count);
  return maskOf(makeCutting([...forms], finder, count), finder);
}

function maskOf(excerpts: Excerpts, finder: Finder): Mask {
  return {
    ...excerpts,
    text: (value) =>
      value.length <= mostAtOnce ? maskText(value, finder) : excerpts.start(value, mostAtOnce),
    json: (value, turn, exact) => maskJson(value, finder, turn, exact),
  };
}

/** How much is read beyond what is quoted: enough for `edge` units of a secret, escaped as often as is undone. */
const margin = 16 * edge;
/** Fewer characters of a secret at a cut are not masked: they give nothing away. */
const minBroken = 4;

/** The most that is read besides for a long excerpt, since it is masked in one piece. */
const mostBesides = 4_096;

/** How much of a long text is read to quote `longest` characters of it: usually enough to be left after masking. */
function lengthToRead(longest: number): number {
  return Math.min(8 * longest, longest + mostBesides) + margin;
}

function makeCutting(forms: readonly string[], finder: Finder, count?: Count): Excerpts {
  const maskWhole = (text: string): string => maskText(text, finder);
  const dropBrokenEnd = (text: string): string => {
    const broken = brokenEnd(text, forms, count);
    return broken < minBroken ? text : text.slice(0, text.length - broken) + maskedText;
  };
  const dropBrokenStart = (text: string): string => {
    const broken = brokenStart(text, forms, count);
    return broken < minBroken ? text : maskedText + text.slice(broken);
  };
  /** For a text that was cut before it was masked: too little of it is left, so an excerpt could reach to the cut, and is not given. */
  const isMostlySecrets = (masked: string, longest: number): boolean => masked.length < longest + margin;
  const start: Excerpts['start'] = (value, longest, end) => {
    const most = lengthToRead(longest);
    const masked = maskWhole(dropBrokenEnd(value.slice(0, most)));
    if (value.length <= most) return truncate(masked, longest, end);
    return isMostlySecrets(masked, longest) ? maskedText : truncate(masked, longest, end);
  };
  return {
    start,
    starts: (first, second, longest) => {
      const most = lengthToRead(longest);
      const isCut = first.length > most;
      // Of a first text that is read elsewhere, only what a secret in the second could begin with.
      const before = isCut ? first.slice(-margin) : first;
      const read = `${before}\0${second.slice(0, most)}`;
      const parts = maskWhole(dropBrokenEnd(read)).split('\0');
      // The whole is masked, or a secret that holds the separator: where the second text begins is not known then.
      if (parts.length !== read.split('\0').length) return [maskedText];
      const seam = before.split('\0').length;
      const rest = parts.slice(seam).join('\0');
      return [
        isCut ? start(first, longest) : truncate(parts.slice(0, seam).join('\0'), longest),
        second.length > most && isMostlySecrets(rest, longest) ? maskedText : truncate(rest, longest),
      ];
    },
    end: (value, longest, mark, kept = 'whole') => {
      const most = lengthToRead(longest);
      const begun = dropBrokenEnd(kept === 'tail' ? dropBrokenStart(value) : value);
      if (begun.length <= most) return truncateStart(maskWhole(begun), longest, mark);
      const masked = maskWhole(dropBrokenStart(begun.slice(-most)));
      return isMostlySecrets(masked, longest) ? maskedText : truncateStart(masked, longest, mark);
    },
  };
}
