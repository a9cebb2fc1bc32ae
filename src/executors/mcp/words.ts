import { randomUUID } from 'node:crypto';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import { isObject, type Json, type JsonObject } from '../../model/values/json.js';
import { isMarked, unmark } from '../answer/exact-json.js';
import type { Excerpts } from '../masking/mask.js';

// What a server says where it refuses: the message of an error of the protocol, and what its `data` says besides. There may stand
// the only cause, or an address that somebody must open.

/** What a server says, not masked: one text or two. */
export type Words = readonly [string, string?];

/** What a server says in an error, not masked. */
export interface ServerError {
  /** In a stream nobody knows what it is about. */
  readonly isWithoutId: boolean;
  /** Why it is no error of the protocol; null: it is one. */
  readonly broken: string | null;
  /** Null: an error that says nothing besides. */
  readonly words: Words | null;
}

/** Begins the `data` of an error that the server has written, in front of a `ServerError`: errors of the SDK itself have the same codes. Random, so that no server can write it. */
const saidByServer = `said-by-server:${randomUUID()}`;

/** How many characters of each text of a server a message quotes: however long its message is, what its `data` says is told. */
export const longestWords = 500;

/** Masked together, since a secret may be spread over two texts. */
export function quoteWords([first, second]: Words, excerpts: Excerpts): string {
  const quoted =
    second === undefined
      ? [excerpts.start(first, longestWords)]
      : excerpts.starts(first, second, longestWords);
  return quoted.join(': ').replaceAll('\0', ': ');
}

/** The words of an error; null: it has no message. The error must have gone through `markJson`. */
export function wordsOf(error: JsonObject): Words | null {
  const { message, data = null } = error;
  if (!isText(message)) return null;
  const more = readText(data, 'its `data`');
  return more === '' || more === message ? [message] : [message, more];
}

/** Was it a text in the message? A number that is kept as text was none. */
export function isText(said: Json | undefined): said is string {
  return typeof said === 'string' && !isMarked(said);
}

/** What stands there, as a text. It must have gone through `markJson`. */
function readText(marked: Json, what: string): string {
  const read = unmark(marked);
  return read.status === 'parsed' ? textOf(read.value) : `${what} cannot be read: ${read.why}`;
}

/** Why it is no error of the protocol; null: it is one. */
export function describeBroken(error: Json): string | null {
  if (error === null) return 'it is an error without a code or a message';
  if (!isObject(error)) return 'its error is no object';
  const { code = null, message = null } = error;
  const wrong = [
    ...(code === null ? ['without a code'] : []),
    ...(message === null ? ['without a message'] : []),
    ...(code === null || Number.isSafeInteger(code) ? [] : ['whose code is no whole number below 2^53']),
    ...(message === null || isText(message) ? [] : ['whose message is no text']),
  ];
  return wrong.length === 0 ? null : `it is an error ${wrong.join(' and ')}`;
}

/** What such an error says: its own code where that is no number and its message, and its data; or all of it. */
function wordsOfBroken(error: Json): Words | null {
  const words = isObject(error) ? wordsOf(error) : null;
  const [message, more = ''] = words ?? [readText(error, 'it')];
  const { code = null } = isObject(error) && words !== null ? error : {};
  const own = code === null || Number.isSafeInteger(code) ? '' : readText(code, 'its code');
  // By U+0000, since a secret may be spread over them too.
  const [first, second] = [[own, message].filter(isSaid).join('\0'), more].filter(isSaid);
  if (first === undefined) return null;
  return wordsFrom(first, second);
}

const isSaid = (text: string): boolean => text !== '';

/** A text as it is, else compact JSON; empty where it says nothing. */
function textOf(data: Json): string {
  if (typeof data === 'string') return data;
  return isEmptyJson(data) ? '' : JSON.stringify(data);
}

export function isEmptyJson(said: Json): boolean {
  if (Array.isArray(said) || isObject(said)) return Object.keys(said).length === 0;
  return said === null || said === '';
}

/** The error as the SDK reads it. `id` null: it has none. `why`: why it cannot be taken as such, whatever it says. */
export function markError(error: Json, id: Json, why: string | null = null): JsonObject {
  const broken = why ?? describeBroken(error);
  const proper = broken === null && isObject(error) ? wordsOf(error) : null;
  const { code = 0 } = proper !== null && isObject(error) ? error : {};
  const words = broken === null ? proper : wordsOfBroken(error);
  const said: ServerError = { isWithoutId: id === null, broken, words };
  return { code, message: proper?.[0] ?? '', data: `${saidByServer}${JSON.stringify(said)}` };
}

/** What the server says in an error; null: it is an error of the SDK itself, as of a lost connection or a time-out. */
export function readServerError(error: unknown): ServerError | null {
  const said = error instanceof McpError ? readMarked(error.data) : null;
  if (said === null) return null;
  const [, more] = said.words ?? [];
  // The SDK's own message has the code in front of the server's.
  return said.broken !== null ? said : { ...said, words: wordsFrom((error as McpError).message, more) };
}

const wordsFrom = (first: string, second: string | undefined): Words =>
  second === undefined ? [first] : [first, second];

/** Is it an error of a message that the server has written without an id? What it is about is known only where nothing else was sent. */
export function isWithoutId(error: unknown): boolean {
  return isObject(error) && readMarked(error['data'])?.isWithoutId === true;
}

function readMarked(data: unknown): ServerError | null {
  if (typeof data !== 'string' || !data.startsWith(saidByServer)) return null;
  return JSON.parse(data.slice(saidByServer.length)) as ServerError;
}

/** What is wrong with an error, and what it says. */
export function quoteError({ broken, words }: ServerError, excerpts: Excerpts): string {
  return [broken, words === null ? null : quoteWords(words, excerpts)]
    .filter((text) => text !== null)
    .join(': ');
}
