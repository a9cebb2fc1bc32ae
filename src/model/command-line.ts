import { utf8Length } from './values/json.js';

// Limits of the arguments and the environment of a command, in bytes of UTF-8. Linux takes less than
// 128 KiB of each, its ending NUL counted, and under the usual stack of 8 MiB somewhat less than 2 MiB of all together.

/** A single argument, or a single variable of an environment with its name and `=`. */
export const mostArgumentBytes = 131_071;
/** All arguments of a call, each with its ending NUL and the 8 bytes of its pointer. */
export const mostArgumentsBytes = 1024 * 1024;
/** All arguments that a connection fixes, counted the same way. */
export const mostFixedArgumentsBytes = 256 * 1024;
/** All variables of a connection's environment, counted the same way. */
export const mostEnvironmentBytes = 512 * 1024;

const ending = 9;

/** Why this text cannot be passed as an argument or variable; null: it can. Continues a sentence that begins with its name. */
export function argumentTrouble(text: string): string | null {
  if (text.includes('\0')) return 'holds a NUL character, which ends a text there; leave it out';
  const bytes = utf8Length(text);
  if (bytes <= mostArgumentBytes) return null;
  return `is ${bytes} bytes, and a system passes ${mostArgumentBytes} at most in one`;
}

/** The bytes that the texts take together, with their NULs and pointers. */
export function passedBytes(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + utf8Length(text) + ending, 0);
}

/** A variable as it is passed to a command. */
export function toAssignment([name, value]: readonly [string, string]): string {
  return `${name}=${value}`;
}
