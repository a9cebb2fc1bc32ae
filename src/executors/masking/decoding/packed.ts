import { afterBreak, hexAt, isBreak, readBytes, type Undo } from './decode.js';

// Unpacks base64 and hex.

/** Separates runs, and the texts unpacked from them. No secret contains it. */
const between = 1;
/** A shorter run of base64 holds less than the six characters of the shortest secret. */
const minRun = 8;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
/** The value of each unit in base64, in either alphabet; -1: it is no digit. */
const base64Digits = Int8Array.from({ length: 256 }, (_, unit) => {
  const at = alphabet.indexOf(String.fromCharCode(unit));
  return at !== -1 ? at : unit === 0x2d ? 62 : unit === 0x5f ? 63 : -1;
});

function base64Digit(unit: number): number {
  return unit < 256 ? (base64Digits[unit] ?? -1) : -1;
}

/** Keeps the runs that may be base64 or hex, and nothing else of the text. A run goes on behind a line break. */
export const gatherRuns: Undo = (units, length) => {
  let to = 0;
  for (let at = 0; at < length;) {
    const start = to;
    for (; at < length; at += 1) {
      const unit = units[at] ?? 0;
      if (base64Digit(unit) !== -1) units[to++] = unit;
      else if (to === start || !isBreak(unit)) break;
      else at = afterBreak(units, at, length) - 1;
    }
    if (to - start < minRun) to = start;
    else if (at < length) units[to++] = between;
    at += 1;
  }
  return to;
};

/** Unpacks each run as base64, read from its character number `from` on (0 to 3). */
export function unpackBase64(from: number): Undo {
  return (units, length) => {
    let to = 0;
    for (let at = 0; at < length; at += 1) {
      const start = to;
      let [bits, held] = [0, 0];
      for (at += from; at < length && units[at] !== between; at += 1) {
        held = ((held << 6) | base64Digit(units[at] ?? 0)) & 0xfff;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        units[to++] = (held >> bits) & 0xff;
      }
      to = readBytes(units, start, to);
      units[to++] = between;
    }
    return to;
  };
}

/** Unpacks each run as hex, from its digit number `from` (0 or 1) on, as far as it is hex. */
export function unpackHex(from: number): Undo {
  return (units, length) => {
    let to = 0;
    for (let at = 0; at < length; at += 1) {
      const start = to;
      for (at += from; at < length && units[at] !== between; at += 2) {
        const byte = hexAt(units, at, at + 2, length);
        if (byte !== -1) units[to++] = byte;
        else if (units[at + 1] === between) break;
      }
      while (at < length && units[at] !== between) at += 1;
      to = readBytes(units, start, to);
      units[to++] = between;
    }
    return to;
  };
}
