import { afterBreak, hexAt, isBreak, readBytes, type Undo } from './decode.js';

// Texts that are packed as others: base64 and hex.

/** Between two runs, and two texts that were unpacked. No secret has it. */
const between = 1;
/** Less of it says less than six characters. */
const minRun = 8;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
/** What each unit says in base64, of either alphabet; -1: nothing. */
const base64Digits = Int8Array.from({ length: 256 }, (_, unit) => {
  const at = alphabet.indexOf(String.fromCharCode(unit));
  return at !== -1 ? at : unit === 0x2d ? 62 : unit === 0x5f ? 63 : -1;
});

function base64Digit(unit: number): number {
  return unit < 256 ? (base64Digits[unit] ?? -1) : -1;
}

/** Keeps what may be base64 or hex, and nothing else of the text. A run of it goes on behind a break into lines. */
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

/** What each run says as base64, where it is read from its character number `from` on (0 to 3). */
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

/** The same of hex, from its digit number 0 or 1 on, as far as it is some. */
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
