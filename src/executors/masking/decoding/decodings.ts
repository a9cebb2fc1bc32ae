import { joinLines, undoBackslash, undoForm, undoPercent, undoQuotedPrintable, type Undo } from './decode.js';
import { gatherRuns, unpackBase64, unpackHex } from './packed.js';
import { undoCodes } from './program-escapes.js';
import { undoEntities } from './entities.js';
import type { Count } from '../index-of-words.js';

// Decodes a text in every order of the escapes that its reader may undo.

/** A way of escaping. A text that contains none of `marks` has nothing of it to undo. */
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
/** With the escapes of pages, mails and programs, which are seldom inside other escapes: they are undone in the first rounds only, so that the orders stay few. */
const outside: readonly Writing[] = [
  ...everywhere,
  { marks: [code('\\')], undo: undoCodes },
  { marks: [code('&')], undo: undoEntities },
  { marks: [code('=')], undo: undoQuotedPrintable },
];
/** Base64 and hex, which contain whole texts: unpacked once, in the first rounds, from wherever they may begin in a run of their characters. */
const packed: readonly Undo[] = [...[0, 1, 2, 3].map(unpackBase64), ...[0, 1].map(unpackHex)];
/** How often the result is decoded again: `%2541` is `%41`, and that is `A`. */
const maxDecodings = 3;
const outsideRounds = 2;

export function unitsOf(text: string): Uint16Array {
  const units = new Uint16Array(text.length);
  for (let at = 0; at < text.length; at += 1) units[at] = text.charCodeAt(at);
  return units;
}

export function undoText(text: string, undo: Undo): string {
  const units = unitsOf(text);
  return Buffer.from(units.buffer, 0, 2 * undo(units, units.length)).toString('utf16le');
}

/** What all decodings of a text share. */
interface Decoding {
  readonly shortest: number;
  readonly count: Count;
  /** For each text that was seen: how many undoings were left for it, at most. */
  readonly seen: Map<string, number>;
}

/** How often something was undone in the text before, and how often something is still to be. */
interface Depth {
  readonly round: number;
  readonly left: number;
}

/**
 * The text after each undoing, in each order of them; every result once. Null: nothing new, so that others get their turn.
 * Results shorter than `shortest` are left out.
 */
export function decodings(text: Uint16Array, shortest: number, count: Count): Generator<Uint16Array | null> {
  return decodeFurther({ shortest, count, seen: new Map<string, number>() }, text, {
    round: 0,
    left: maxDecodings,
  });
}

function* decodeFurther(
  decoding: Decoding,
  text: Uint16Array,
  { round, left }: Depth,
): Generator<Uint16Array | null> {
  if (left === 0) return;
  const next = { round: round + 1, left: left - 1 };
  for (const { marks, undo } of round < outsideRounds ? outside : everywhere)
    if (marks.some((mark) => text.includes(mark))) yield* decodeWith(decoding, text, undo, next, text.length);
  const isUnpacked = left < maxDecodings - round;
  if (round >= outsideRounds || isUnpacked) return;
  const runs = applyUndo(decoding, text, gatherRuns);
  yield null;
  if (runs.length < decoding.shortest) return;
  // After unpacking, at most one other undoing follows.
  const behind = { round: round + 1, left: outsideRounds - round - 1 };
  for (const undo of packed) yield* decodeWith(decoding, runs, undo, behind, Infinity);
}

/** The text with `undo` applied, and what further undoings make of that. `unchanged`: the length by which nothing was undone. */
function* decodeWith(
  decoding: Decoding,
  text: Uint16Array,
  undo: Undo,
  place: Depth,
  unchanged: number,
): Generator<Uint16Array | null> {
  const own = applyUndo(decoding, text, undo);
  const isNew = own.length !== unchanged && own.length >= decoding.shortest;
  if (!isNew || !isFirst(decoding, own, place)) return yield null;
  yield own;
  yield* decodeFurther(decoding, own, place);
}

function applyUndo({ count }: Decoding, text: Uint16Array, undo: Undo): Uint16Array {
  const own = text.slice();
  count(text.length);
  return own.subarray(0, undo(own, text.length));
}

/** Is the text new, or were fewer undoings left for it before? Two orders often make the same text. */
function isFirst({ seen, count }: Decoding, text: Uint16Array, { round, left }: Depth): boolean {
  count(text.length);
  const name = `${left === 0 ? 'end' : round} ${digest(text)}`;
  if ((seen.get(name) ?? -1) >= left) return false;
  seen.set(name, left);
  return true;
}

/** Random, so that nobody can write a text that has the digest of another. */
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
