import type { Values } from '../db/index.js';
import { createHash } from 'node:crypto';

/**
 * Postgres has no NUL in text and raises an error for one. No id and no name of ours has one, so what
 * a caller asks for with it is simply not found.
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

/** The text that its hash names, or an error: what was changed in the store is not acted on. */
export function assertHash(what: string, hash: string, text: string): string {
  if (sha256Text(text) === hash) return text;
  throw new Error(
    `the stored ${what} \`${hash}\` was changed: its text has another hash, so nothing runs by it`,
  );
}

/** The column has this text, as SQL; nothing where none is asked for. */
export function equal(column: string, text: string | undefined, name: Values['name']): readonly string[] {
  return text === undefined ? [] : [`${column} = ${name(findable(text))}`];
}
