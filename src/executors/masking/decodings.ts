import { joinLines, undoBackslash, undoForm, undoPercent, undoQuotedPrintable, type Undo } from './decode.js';
import { gatherRuns, unpackBase64, unpackHex } from './packed.js';
import { undoCodes } from './program-escapes.js';
import { undoEntities } from './entities.js';
import type { Count } from './index-of-words.js';

// What a text says when it is decoded, in every order of the ways of writing that its reader may undo.

/** `marks` are the units without one of which a text has nothing of it. */
interface Writing {
  readonly marks: readonly number[];
  readonly undo: Undo;
}

const code = (mark: string): number => mark.charCodeAt(0);
const everywhere: readonly Writing[] = [
  { marks: [code('%')], undo: undoPercent },
  { marks: [code('+')], undo: undoForm },
  { marks: [code('\\')], undo: undoBackslash },
  { marks: [code('\n'), code('\r'), 0], undo: joinLines },
];
/** Of a page, a mail or a program, which is seldom inside of much else: undone among the first ones only, so that the orders stay few. */
const outside: readonly Writing[] = [
  ...everywhere,
  { marks: [code('\\')], undo: undoCodes },
  { marks: [code('&')], undo: undoEntities },
  { marks: [code('=')], undo: undoQuotedPrintable },
];
/** A text of its own, in which others are written: once among the first, and from wherever it may begin in its run. */
const packed: readonly Undo[] = [...[0, 1, 2, 3].map(unpackBase64), ...[0, 1].map(unpackHex)];
/** How often a text is decoded again: `%2541` is `%41`, and that is `A`. */
const maxDecodings = 3;
const outsideRounds = 2;

export function unitsOf(text: string): Uint16Array {
  const units = new Uint16Array(text.length);
  for (let at = 0; at < text.length; at += 1) units[at] = text.charCodeAt(at);
  return units;
}

export function undoneText(text: string, undo: Undo): string {
  const units = unitsOf(text);
  return Buffer.from(units.buffer, 0, 2 * undo(units, units.length)).toString('utf16le');
}

/** What is alike for all of a text's decodings. */
interface Decoding {
  readonly shortest: number;
  readonly count: Count;
  /** The most undoings that each text had before it. */
  readonly seen: Map<string, number>;
}

/** How often the text was undone before, and how often it is to be. */
interface Place {
  readonly round: number;
  readonly left: number;
}

/**
 * What the text says after each undoing, in each order of them, once; null: nothing new, and others may have their turn.
 * `shortest`: what is shorter is of no use.
 */
export function decodings(text: Uint16Array, shortest: number, count: Count): Generator<Uint16Array | null> {
  return decoded({ shortest, count, seen: new Map<string, number>() }, text, {
    round: 0,
    left: maxDecodings,
  });
}

function* decoded(
  decoding: Decoding,
  text: Uint16Array,
  { round, left }: Place,
): Generator<Uint16Array | null> {
  if (left === 0) return;
  const next = { round: round + 1, left: left - 1 };
  for (const { marks, undo } of round < outsideRounds ? outside : everywhere)
    if (marks.some((mark) => text.includes(mark))) yield* undone(decoding, text, undo, next, text.length);
  const isUnpacked = left < maxDecodings - round;
  if (round >= outsideRounds || isUnpacked) return;
  const runs = after(decoding, text, gatherRuns);
  yield null;
  if (runs.length < decoding.shortest) return;
  // After it one other is undone at most.
  const behind = { round: round + 1, left: outsideRounds - round - 1 };
  for (const undo of packed) yield* undone(decoding, runs, undo, behind, Infinity);
}

/** What it makes of the text, and what others make of that. `unchanged`: a text that is as long after it had nothing to undo. */
function* undone(
  decoding: Decoding,
  text: Uint16Array,
  undo: Undo,
  place: Place,
  unchanged: number,
): Generator<Uint16Array | null> {
  const own = after(decoding, text, undo);
  const isNew = own.length !== unchanged && own.length >= decoding.shortest;
  if (!isNew || !isFirst(decoding, own, place)) return yield null;
  yield own;
  yield* decoded(decoding, own, place);
}

function after({ count }: Decoding, text: Uint16Array, undo: Undo): Uint16Array {
  const own = text.slice();
  count(text.length);
  return own.subarray(0, undo(own, text.length));
}

/** In two orders a text often comes to the same: it is looked at again only where more is to be undone. */
function isFirst({ seen, count }: Decoding, text: Uint16Array, { round, left }: Place): boolean {
  count(text.length);
  const name = `${left === 0 ? 'end' : round} ${digest(text)}`;
  if ((seen.get(name) ?? -1) >= left) return false;
  seen.set(name, left);
  return true;
}

/** Nobody's outside: no text can be written so that it passes for another. */
const [seedA, seedB] = [0, 1].map(() => Math.floor(Math.random() * 2 ** 32));

function digest(text: Uint16Array): string {
  let [a, b] = [seedA ?? 0, seedB ?? 0];
  for (let at = 0; at < text.length; at += 1) {
    const unit = text[at] ?? 0;
    a = Math.imul(a ^ unit, 0x9e3779b1);
    a ^= a >>> 15;
    b = Math.imul((b << 7) ^ (b >>> 25) ^ unit, 0x85ebca6b);
  }
  return `${text.length} ${a} ${b}`;
}
