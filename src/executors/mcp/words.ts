import { randomUUID } from 'node:crypto';
import { McpError } from '@modelcontextprotocol/sdk/types.js';
import { isObject, type Json, type JsonObject } from '../../model/values/json.js';
import { isMarked, unmark } from '../answer/exact-json.js';
import type { Excerpts } from '../masking/mask.js';

// What a server says where it refuses: the message of an error of the protocol, and what its `data` says besides. There may stand
// the only cause, or an address that somebody must open.

/** What a server says, not masked: one text or two. */
export type Words = readonly [string, string?];

/** Random, so that no server can write it. */
const unguessable = randomUUID();
/** Begins the data of an error that the server has answered: errors of the SDK itself have the same codes. Behind it stands what its own data says. */
const saidByServer = `said-by-server:${unguessable}`;
/** The same, of an error without an id. */
const saidWithoutId = `said-without-id:${unguessable}`;

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

const isText = (said: Json | undefined): said is string => typeof said === 'string' && !isMarked(said);

/** What stands there, as a text. It must have gone through `markJson`. */
function readText(marked: Json, what: string): string {
  const read = unmark(marked);
  return read.status === 'parsed' ? textOf(read.value) : `${what} cannot be read: ${read.why}`;
}

/** Why an error is none that `markError` takes. */
export function describeBroken(error: Json): string {
  if (error === null) return 'it is an error without a code or a message';
  if (!isObject(error)) return 'its error is no object';
  const { code = null, message = null } = error;
  const wrong = [
    ...(code === null ? ['without a code'] : []),
    ...(message === null ? ['without a message'] : []),
    ...(code === null || Number.isSafeInteger(code) ? [] : ['whose code is no whole number below 2^53']),
    ...(message === null || isText(message) ? [] : ['whose message is no text']),
  ];
  return `it is an error ${wrong.join(' and ')}`;
}

/** What such an error says, in up to two texts: its own code where that is no number and its message, and its data; or all of it. */
export function wordsOfBroken(error: Json): readonly string[] {
  const words = isObject(error) ? wordsOf(error) : null;
  const [message, more = ''] = words ?? [readText(error, 'it')];
  const { code = null } = isObject(error) && words !== null ? error : {};
  const own = code === null || Number.isSafeInteger(code) ? '' : readText(code, 'its code');
  // By U+0000, since a secret may be spread over them too.
  return [[own, message].filter(isSaid).join('\0'), more].filter(isSaid);
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

/** The error as the SDK reads it, marked; null: it has no code or no message. `id` null: it has none. */
export function markError(error: JsonObject, id: Json): JsonObject | null {
  const { code = null } = error;
  const [message, more = ''] = wordsOf(error) ?? [];
  if (!Number.isSafeInteger(code) || message === undefined) return null;
  return { code, message, data: `${id === null ? saidWithoutId : saidByServer}${more}` };
}

/** Has the server answered with an error? False for errors of the SDK itself: a lost connection, a time-out. */
export function isServerError(error: unknown): error is McpError {
  return error instanceof McpError && (isBegunWith(saidByServer, error.data) || isWithoutId(error));
}

/** Is it an error that the server has written without an id? What it is about is then known only where nothing else was sent. */
export function isWithoutId(error: unknown): boolean {
  return isObject(error) && isBegunWith(saidWithoutId, error['data']);
}

function isBegunWith(said: string, data: unknown): data is string {
  return typeof data === 'string' && data.startsWith(said);
}

/** What the server says in an error for which `isServerError` holds. */
export function wordsIn({ message, data }: McpError): Words {
  const said = [saidByServer, saidWithoutId].find((one) => isBegunWith(one, data)) ?? '';
  const more = String(data).slice(said.length);
  return more === '' ? [message] : [message, more];
}
