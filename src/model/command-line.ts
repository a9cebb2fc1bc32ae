import { utf8Length } from './json.js';

// What a system passes to a command that it starts: arguments and environment, in bytes of UTF-8. Linux takes less than
// 128 KiB of each, its ending NUL counted, and under the usual stack of 8 MiB somewhat less than 2 MiB of all together.

/** One argument; one variable of an environment, its name and `=` with it. */
export const mostArgumentBytes = 131_071;
/** The arguments of one call together, each with its ending NUL and the 8 bytes that point at it. */
export const mostArgumentsBytes = 1024 * 1024;
/** The same for the arguments of a connection. */
export const mostFixedArgumentsBytes = 256 * 1024;
/** The same for a connection's environment. */
export const mostEnvironmentBytes = 512 * 1024;

const ending = 9;

/** Why no system passes this text as one argument or variable; null: it can. For a sentence that names it first. */
export function passingTrouble(text: string): string | null {
  if (text.includes('\0')) return 'holds a NUL character, which ends a text there; leave it out';
  const bytes = utf8Length(text);
  if (bytes <= mostArgumentBytes) return null;
  return `is ${bytes} bytes, and a system passes ${mostArgumentBytes} at most in one`;
}

/** What they take together. */
export function passedBytes(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + utf8Length(text) + ending, 0);
}

/** A variable as it is passed. */
export function variable([name, value]: readonly [string, string]): string {
  return `${name}=${value}`;
}
