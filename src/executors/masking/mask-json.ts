import { isObject, type Json } from '../../model/json.js';
import type { Turn } from '../../model/give-way.js';
import { root, stepsTo, type Place } from '../answer/places.js';
import { drained, inTurns, type Finder, type Steps } from './find.js';

// Masking of a whole answer: each text and each name of it, and texts that stand in a list one after the other.

export interface Masked {
  readonly value: Json;
  /** Where something was masked, a name included, under the names of `value`: two that mask alike are numbered. */
  readonly at: readonly Place[];
  /** The places that were asked for. */
  readonly exact: readonly Place[];
}

/** What stands where something was masked. */
export const maskedText = '[redacted]';

/** No secret has it, and no decoding of a text reaches beyond it. */
const separator = '\u0001';

/** A text of more characters is looked through in turns. */
const longText = 2_048;

/** How many values are looked at between two looks at the clock. */
const atOnce = 64;

export function maskText(value: string, finder: Finder): string {
  return drained(masking(value, finder));
}

async function maskTextIn(turn: Turn, value: string, finder: Finder): Promise<string> {
  return value.length <= longText ? maskText(value, finder) : inTurns(turn, masking(value, finder));
}

function* masking(value: string, finder: Finder): Steps<string> {
  const masked = yield* finder.replace(value, maskedText);
  // Another writing of the same characters: encoded or escaped more than it had to be, or broken into lines.
  return (yield* finder.standsEncoded(masked)) ? maskedText : masked;
}

/** Nearly no answer has a secret in it: all of its texts are looked through at once, before each is by itself. */
export async function maskJson(
  value: Json,
  finder: Finder,
  turn: Turn,
  exact: readonly Place[] = [],
): Promise<Masked> {
  const texts = await longTexts(value, finder.shortest, turn);
  if (!(await inTurns(turn, finder.stands(texts.join(separator))))) return { value, at: [], exact };
  return maskEach(value, finder, turn, exact);
}

async function longTexts(value: Json, shortest: number, turn: Turn): Promise<string[]> {
  const texts: string[] = [];
  const see = (text: string): void => {
    if (text.length >= shortest) texts.push(text);
  };
  const open: Json[] = [value];
  let seen = 0;
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    seen += 1;
    if (seen % atOnce === 0) await turn();
    if (typeof one === 'string' || typeof one === 'number') see(String(one));
    else if (Array.isArray(one)) {
      see(spread(one));
      for (const item of one as readonly Json[]) open.push(item);
    } else if (isObject(one))
      for (const name of Object.keys(one)) {
        see(name);
        open.push(one[name] ?? null);
      }
  }
  return texts;
}

/**
 * What the texts of a list say together: lines of an output, or blocks of an MCP result, may be cut anywhere. Of less than
 * two texts they say nothing.
 */
function spread(items: readonly Json[]): string {
  const pieces = items.map(pieceOf).filter((piece) => piece !== null);
  return pieces.length < 2 ? '' : pieces.join('');
}

function pieceOf(item: Json): string | null {
  if (typeof item === 'string') return item;
  const text = isObject(item) ? item['text'] : undefined;
  return typeof text === 'string' ? text : null;
}

/** With a turn between texts, so often that what is looked through in between is short. */
function makeMasking(finder: Finder, turn: Turn): (text: string) => Promise<string> {
  let looked = 0;
  return async (text) => {
    looked += text.length;
    if (looked > longText) {
      looked = 0;
      await turn();
    }
    return maskTextIn(turn, text, finder);
  };
}

async function maskEach(value: Json, finder: Finder, turn: Turn, exact: readonly Place[]): Promise<Masked> {
  const at: Place[] = [];
  const exactNow: Place[] = [];
  const isExact = new Set(exact);
  const steps = stepsTo(exact);
  const text = makeMasking(finder, turn);
  let seen = 0;
  /** `stood`: the place it had, where that is one of `exact` or leads to one. */
  const walk = async (one: Json, place: Place, stood: Place | undefined): Promise<Json> => {
    seen += 1;
    if (seen % atOnce === 0) await turn();
    if (stood !== undefined && isExact.has(stood)) exactNow.push(place);
    const stoodBelow = stood === undefined ? undefined : steps.get(stood);
    if (Array.isArray(one)) {
      const items: Json[] = [];
      for (const [step, item] of (one as readonly Json[]).entries())
        items.push(await walk(item, { within: place, step }, stoodBelow?.get(step)));
      // What is still there is in no text by itself.
      return (await inTurns(turn, finder.stands(spread(items))))
        ? items.map((item, step) => withoutPiece(item, { within: place, step }, at))
        : items;
    }
    if (isObject(one)) {
      const named: [string, Json][] = [];
      const free = makeUnique();
      for (const [name, item] of Object.entries(one)) {
        const step = free(await text(name));
        const below = { within: place, step };
        if (step !== name) at.push(below);
        named.push([step, await walk(item, below, stoodBelow?.get(name))]);
      }
      return Object.fromEntries(named);
    }
    if (typeof one !== 'string' && typeof one !== 'number') return one;
    const written = String(one);
    const masked = await text(written);
    if (masked === written) return one;
    if (at.at(-1) !== place) at.push(place);
    return masked;
  };
  return { value: await walk(value, root, root), at, exact: exactNow };
}

function withoutPiece(item: Json, place: Place, at: Place[]): Json {
  if (pieceOf(item) === null) return item;
  at.push(isObject(item) ? { within: place, step: 'text' } : place);
  return isObject(item) ? { ...item, text: maskedText } : maskedText;
}

/** Two names that are masked stay two. */
function makeUnique(): (name: string) => string {
  const taken = new Set<string>();
  const counts = new Map<string, number>();
  return (name) => {
    let free = name;
    let count = counts.get(name) ?? 1;
    while (taken.has(free)) free = `${name} ${(count += 1)}`;
    counts.set(name, count);
    taken.add(free);
    return free;
  };
}
