import { isObject, type Json } from '../../model/values/json.js';
import type { Turn } from '../../model/give-way.js';
import { root, stepsTo, type Place } from '../answer/places.js';
import { drain, runInTurns, type Finder, type Steps } from './find.js';

// Masks a whole answer: each text, each name, and secrets that are spread over consecutive texts of a list.

export interface Masked {
  readonly value: Json;
  /** Where a value or a name was masked, by the names in `value`: names that are equal once masked are numbered. */
  readonly at: readonly Place[];
  /** The places that were asked for, by the names in `value`. */
  readonly exact: readonly Place[];
}

/** Stands in place of what was masked. */
export const maskedText = '[redacted]';

/** Between texts that are searched together: no secret contains it, and no decoding of a text reaches beyond it. */
const separator = '\u0001';

/** A text of more characters is masked with turns for others. */
const longText = 2_048;

/** How many values are looked at between two turns. */
const atOnce = 64;

export function maskText(value: string, finder: Finder): string {
  return drain(maskInSteps(value, finder));
}

async function maskTextIn(turn: Turn, value: string, finder: Finder): Promise<string> {
  return value.length <= longText ? maskText(value, finder) : runInTurns(turn, maskInSteps(value, finder));
}

function* maskInSteps(value: string, finder: Finder): Steps<string> {
  const masked = yield* finder.replace(value, maskedText);
  // A secret in a writing that is not among its forms: escaped more than necessary, or broken into lines.
  return (yield* finder.hasEncoded(masked)) ? maskedText : masked;
}

/** Hardly any answer contains a secret, so all texts are searched together first, and each by itself only where a secret is found. */
export async function maskJson(
  value: Json,
  finder: Finder,
  turn: Turn,
  exact: readonly Place[] = [],
): Promise<Masked> {
  const texts = await longTexts(value, finder.shortest, turn);
  if (!(await runInTurns(turn, finder.has(texts.join(separator))))) return { value, at: [], exact };
  return maskEach(value, finder, turn, exact);
}

async function longTexts(value: Json, shortest: number, turn: Turn): Promise<string[]> {
  const texts: string[] = [];
  const collect = (text: string): void => {
    if (text.length >= shortest) texts.push(text);
  };
  const open: Json[] = [value];
  let seen = 0;
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    seen += 1;
    if (seen % atOnce === 0) await turn();
    if (typeof next === 'string' || typeof next === 'number') collect(String(next));
    else if (Array.isArray(next)) {
      collect(joinPieces(next));
      for (const item of next as readonly Json[]) open.push(item);
    } else if (isObject(next))
      for (const name of Object.keys(next)) {
        collect(name);
        open.push(next[name] ?? null);
      }
  }
  return texts;
}

/**
 * The texts of a list, joined: lines of an output, or blocks of an MCP result, may be cut within a secret. Empty for less than
 * two texts.
 */
function joinPieces(items: readonly Json[]): string {
  const pieces = items.map(pieceOf).filter((piece) => piece !== null);
  return pieces.length < 2 ? '' : pieces.join('');
}

function pieceOf(item: Json): string | null {
  if (typeof item === 'string') return item;
  const text = isObject(item) ? item['text'] : undefined;
  return typeof text === 'string' ? text : null;
}

/** Masks texts, with a turn for others after every `longText` characters. */
function makeMaskInTurns(finder: Finder, turn: Turn): (text: string) => Promise<string> {
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
  const maskInTurns = makeMaskInTurns(finder, turn);
  let seen = 0;
  /** `stood`: the place of `part` in the unmasked answer, where it is one of `exact` or leads there; else undefined. */
  const walk = async (part: Json, place: Place, stood: Place | undefined): Promise<Json> => {
    seen += 1;
    if (seen % atOnce === 0) await turn();
    if (stood !== undefined && isExact.has(stood)) exactNow.push(place);
    const stoodBelow = stood === undefined ? undefined : steps.get(stood);
    if (Array.isArray(part)) {
      const items: Json[] = [];
      for (const [step, item] of (part as readonly Json[]).entries())
        items.push(await walk(item, { within: place, step }, stoodBelow?.get(step)));
      // A secret that is found now is spread over several texts.
      return (await runInTurns(turn, finder.has(joinPieces(items))))
        ? items.map((item, step) => maskPiece(item, { within: place, step }, at))
        : items;
    }
    if (isObject(part)) {
      const named: [string, Json][] = [];
      const toUnique = makeUnique();
      for (const [name, item] of Object.entries(part)) {
        const step = toUnique(await maskInTurns(name));
        const below = { within: place, step };
        if (step !== name) at.push(below);
        named.push([step, await walk(item, below, stoodBelow?.get(name))]);
      }
      return Object.fromEntries(named);
    }
    if (typeof part !== 'string' && typeof part !== 'number') return part;
    const written = String(part);
    const masked = await maskInTurns(written);
    if (masked === written) return part;
    if (at.at(-1) !== place) at.push(place);
    return masked;
  };
  return { value: await walk(value, root, root), at, exact: exactNow };
}

function maskPiece(item: Json, place: Place, at: Place[]): Json {
  if (pieceOf(item) === null) return item;
  at.push(isObject(item) ? { within: place, step: 'text' } : place);
  return isObject(item) ? { ...item, text: maskedText } : maskedText;
}

/** Numbers names that are equal once masked, so that no value is lost. */
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
