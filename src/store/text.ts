import type { Values } from '../db/index.js';
import { createHash } from 'node:crypto';

/**
 * A text to search for, without NUL, for which Postgres raises an error. No id and no name here has a NUL, so a text with one is simply
 * not found.
 */
export function findable(text: string): string {
  return text.replaceAll('\0', '\uFFFD');
}

export function findableOrNull(text: string | undefined): string | null {
  return text === undefined ? null : findable(text);
}

export function sha256Text(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** Gives the text if it has the hash, else throws: what was changed in the store is not acted on. */
export function assertHash(what: string, hash: string, text: string): string {
  if (sha256Text(text) === hash) return text;
  throw new Error(
    `the stored ${what} \`${hash}\` was changed: its text has another hash, so nothing runs by it`,
  );
}

/** An SQL condition that the column has this text; no condition for undefined. */
export function equal(column: string, text: string | undefined, name: Values['name']): readonly string[] {
  return text === undefined ? [] : [`${column} = ${name(findable(text))}`];
}
