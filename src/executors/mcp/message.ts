import { randomUUID } from 'node:crypto';
import { JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { isObject, type Json, type JsonObject } from '../../model/values/json.js';
import type { Excerpts } from '../masking/mask.js';
import { maxBatch } from './limits.js';
import { markJson, repeated, type TooLarge } from '../answer/exact-json.js';
import { describeBroken, isText, markError } from './words.js';

// The messages of an MCP server, before the SDK reads them: keeps numbers as they were written, and marks answers that are none.

/** Random, so that no server can write it: marks what this file puts into messages. */
const unguessable = randomUUID();
export const notAResult = `not-a-result:${unguessable}`;
export const notReadable = `not-readable:${unguessable}`;

export type ReadableMessage =
  | { readonly status: 'readable'; readonly text: string; readonly message: Json }
  | { readonly status: 'no_message' }
  | TooLarge;

/**
 * Makes a message of a stream readable for the SDK's own parser, which would silently drop an answer that it does not know. `asked`: the
 * id of the only request that the message can answer. `isExact` false: its bytes were not UTF-8, so the text is not what was written.
 */
export function toReadableMessage(text: string, asked: Json = null, isExact = true): ReadableMessage {
  const marked = markJson(text);
  if (marked.status === 'malformed') return { status: 'no_message' };
  if (marked.status === 'too_large') return marked;
  if (isLogLine(marked.value)) return { status: 'no_message' };
  const why = isExact ? (marked.repeats ? repeated : null) : 'it is not UTF-8';
  const message = toReadableAnswer(marked.value, asked, why);
  const same = message === marked.value;
  return { status: 'readable', text: same ? marked.text : JSON.stringify(message), message };
}

export type ReadableBody =
  | {
      readonly status: 'readable';
      readonly text: string;
      /** Does it answer the request that was asked? `none`: it does not, and the SDK says that something in it is no message. */
      readonly answer: 'given' | 'missing' | 'none';
    }
  | { readonly status: 'unreadable'; readonly why: string };

/** The same for the whole body of an HTTP answer, which may be several messages. */
export function toReadableBody(text: string, asked: Json = null): ReadableBody {
  const marked = markJson(text);
  if (marked.status === 'malformed') return { status: 'unreadable', why: 'is not JSON' };
  if (marked.status === 'too_large') return { status: 'unreadable', why: `cannot be read: ${marked.why}` };
  const { value } = marked;
  const all = Array.isArray(value) ? (value as readonly Json[]) : [value];
  if (all.length > maxBatch) return { status: 'unreadable', why: `has over ${maxBatch} messages` };
  const messages = nameErrors(all, asked);
  const readable = markContradiction(
    messages,
    messages.map((message) => toReadableAnswer(message, asked, marked.repeats ? repeated : null)),
    asked,
  );
  const isSame = messages === all && readable.every((message, index) => message === all[index]);
  const changed = (): string => JSON.stringify(Array.isArray(value) ? readable : readable[0]);
  return { status: 'readable', text: isSame ? marked.text : changed(), answer: answerIn(readable, asked) };
}

/** In the body of an answer, which is about one request, an error without an id is about that, unless its answer is there too. */
function nameErrors(messages: readonly Json[], asked: Json): readonly Json[] {
  const isUnnamed = (message: Json): message is JsonObject =>
    isObject(message) &&
    (message['error'] ?? null) !== null &&
    ['id', 'method'].every((name) => (message[name] ?? null) === null);
  if (asked === null || !messages.some(isUnnamed)) return messages;
  // A result without our id may be the answer all the same: then nothing in the body says that the request was refused.
  const mayAnswer = (message: Json): boolean =>
    (isObject(message) && (message['result'] ?? null) !== null && !isText(message['method'] ?? null)) ||
    isAnswer(toReadableAnswer(message, null, null), asked);
  if (messages.some(mayAnswer)) return messages.filter((message) => !isUnnamed(message));
  return messages.map((message) => (isUnnamed(message) ? { ...message, id: asked } : message));
}

/** Where both an error and a result answer the request, neither says what was done: the error is marked so, and is the only answer. */
function markContradiction(
  messages: readonly Json[],
  readable: readonly Json[],
  asked: Json,
): readonly Json[] {
  const answers = readable.filter((message) => asked !== null && isAnswer(message, asked));
  const has = (field: string): boolean =>
    answers.some((answer) => isObject(answer) && Object.hasOwn(answer, field));
  if (!has('result') || !has('error')) return readable;
  const at = readable.findIndex(
    (message) => answers.includes(message) && isObject(message) && Object.hasOwn(message, 'error'),
  );
  const said = messages[at];
  const error = isObject(said) ? (said['error'] ?? null) : null;
  const marked = {
    jsonrpc: '2.0',
    id: asked,
    error: markError(error, asked, 'there are both a `result` and an `error` for it'),
  };
  return [...readable.filter((message) => !answers.includes(message)), marked];
}

/** Does a message that was made readable answer the request `asked`? */
export function isAnswer(message: Json, asked: Json): boolean {
  if (!isObject(message) || Object.hasOwn(message, 'method')) return false;
  const isEither = Object.hasOwn(message, 'result') || Object.hasOwn(message, 'error');
  return isEither && toNumber(message['id']) === toNumber(asked);
}

/** An id as the SDK compares it; null: it is none. */
export function toNumber(id: Json | undefined): number | null {
  return typeof id === 'number' || (typeof id === 'string' && id !== '') ? Number(id) : null;
}

function answerIn(messages: readonly Json[], asked: Json): 'given' | 'missing' | 'none' {
  if (messages.some((message) => isAnswer(message, asked))) return 'given';
  return messages.every((message) => JSONRPCMessageSchema.safeParse(message).success) ? 'missing' : 'none';
}

/** `unread`: why a result in it cannot be taken for what the server wrote; null: it can. */
function toReadableAnswer(message: Json, asked: Json, unread: string | null): Json {
  if (!isObject(message)) return message;
  const { jsonrpc = null, id = null, result, error } = message;
  const method = message['method'] ?? null;
  // The server's own request or notification is never an answer, whatever else it carries: its ids may be ours.
  if (isText(method)) return toReadableRequest(message);
  if (result === undefined && error === undefined && method === null) return toReadableNeither(message);
  if (result === undefined && (error === undefined || method !== null)) return message;
  const markBroken = (why: string): Json => ({ jsonrpc: '2.0', id, result: { [notAResult]: why } });
  if (method !== null) return markBroken('it has both a `result` and a `method`');
  // Servers of JSON-RPC 1.0 write both `result` and `error`, one of them null.
  const isError = error !== undefined && (error !== null || (result ?? null) === null);
  if (isError) {
    const why = (result ?? null) === null ? null : 'it has both a `result` and an `error`';
    // An error without an id is about the only request that it can be about: the server could not read it.
    return { jsonrpc: '2.0', id: id ?? asked, error: markError(error, id, why) };
  }
  if (!isObject(result)) return markBroken('its result is no object');
  if (unread !== null) return { jsonrpc: '2.0', id, result: { [notReadable]: unread } };
  const answer = { jsonrpc, id, result: toReadableResult(result) };
  if (jsonrpc !== '2.0') return markBroken('its `jsonrpc` is not `2.0`');
  if (!JSONRPCMessageSchema.safeParse(answer).success)
    return markBroken('its result has a malformed `_meta`');
  // The SDK takes no answer with other fields.
  return answer.result === result && Object.keys(message).length === Object.keys(answer).length
    ? message
    : answer;
}

/** What answers with neither a result nor an error is told with what it says, where it has what hand-built answers leave unwrapped. */
function toReadableNeither(message: JsonObject): Json {
  const { jsonrpc, id = null, ...said } = message;
  const { content, structuredContent, isError, errors } = said;
  const isResult =
    isError === true || Array.isArray(content) || isObject(structuredContent) || Array.isArray(errors);
  if (jsonrpc !== '2.0' || id === null || !isResult) return message;
  return { jsonrpc, id, error: markError(said, id, 'it has neither a `result` nor an `error`') };
}

/** Fields of lines that loggers write; answers have none of the first. */
const levelFields = ['level', 'levelname', 'lvl', 'severity', 'logger'];
const logFields = [...levelFields, 'msg', 'ts', 'event'];

/**
 * Is it no answer, though it has an `error`, a `result` or the id of the request? Many servers write lines of their log to the standard
 * output, some with the message that they are about spread over them.
 */
function isLogLine(line: Json): boolean {
  if (!isObject(line) || isText(line['method'] ?? null)) return false;
  const { jsonrpc, id = null, method = null, result, error } = line;
  const isError = error !== undefined && describeBroken(error) === null;
  const isProper = isObject(result) || isError;
  const has = (names: readonly string[]): boolean => names.some((name) => Object.hasOwn(line, name));
  // An error may be one that the server has met on its way; a result is that of its answer.
  if (has(levelFields) && !isObject(result)) return true;
  if (has(logFields)) return jsonrpc !== '2.0' || !isProper;
  if (jsonrpc === '2.0' || error === undefined || id !== null || method !== null) return false;
  const isAlone = Object.keys(line).every((name) => ['jsonrpc', 'id', 'result', 'error'].includes(name));
  return !isAlone || (result ?? null) !== null || !isProper;
}

const requestFields: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params']);
/** As deep as the SDK reads a request: the fields of `_meta` in `params`. */
const requestDepth = 4;

/** A request or notification without other fields and without nulls: the SDK takes neither, and says so to nobody. */
function toReadableRequest(message: JsonObject): Json {
  const fields = Object.entries(message).filter(([name]) => requestFields.has(name));
  const isPlain = fields.length === Object.keys(message).length;
  return dropNulls(isPlain ? message : Object.fromEntries(fields), requestDepth);
}

/** The result without the nulls that many servers write for what they leave out. */
function toReadableResult(result: JsonObject): JsonObject {
  const isOpening =
    Object.hasOwn(result, 'protocolVersion') &&
    !['content', 'structuredContent'].some((name) => Object.hasOwn(result, name));
  if (!isOpening) return dropNulls(result, 1);
  const { capabilities = {}, serverInfo = {}, ...others } = dropNulls(result, maxOpeningDepth);
  // The SDK asks for a name and a version, which nobody reads.
  const named = isObject(serverInfo) ? { name: '', version: '', ...serverInfo } : serverInfo;
  return { ...others, capabilities, serverInfo: named };
}

/** Deeper than anything that is read in an answer to `initialize`. */
const maxOpeningDepth = 5;

/** The object itself where nothing is left out. */
function dropNulls(object: JsonObject, depth: number): JsonObject {
  const kept = Object.entries(object).flatMap(([name, value]): [string, Json][] => {
    if (value === null) return [];
    return [[name, depth > 1 && isObject(value) ? dropNulls(value, depth - 1) : value]];
  });
  const isSame =
    kept.length === Object.keys(object).length && kept.every(([name, value]) => value === object[name]);
  return isSame ? object : Object.fromEntries(kept);
}

/** Has the server answered with something else than was asked for: no message of the protocol, or a result of another kind? */
export function isMalformedAnswer(error: unknown): boolean {
  return error instanceof z.core.$ZodError;
}

/** Why a server that has answered `initialize` cannot be called; null: it has not answered. */
export function whyNotOpened(error: unknown, excerpts: Excerpts): string | null {
  if (isMalformedAnswer(error))
    return 'what its server answered to `initialize` is none of what it may answer';
  const version = /protocol version is not supported: (.*)$/s.exec(
    error instanceof Error ? error.message : '',
  );
  if (version === null) return null;
  return `its server speaks version \`${excerpts.start(version[1] ?? '', 40)}\` of MCP, which is not spoken here`;
}

/**
 * Reads a stream of events from pieces of its text. Gives a text for each line that has ended: the event that ends with it, made
 * readable for the SDK, or an empty text. An event that does not end is dropped. A message may be spread over several `data:`
 * lines, broken between two of its tokens; only together they are JSON. Instead of an event that is too large, it gives why.
 * `onMessage` gets each message that the SDK will read, and each error without an id, which the SDK does not take.
 */
export function makeEventReader(
  onMessage: (message: Json) => void = () => undefined,
): (text: string) => Generator<string | TooLarge> {
  let event: string[] = [];
  let held: string[] = [];
  let endedInReturn = false;
  const endLine = (last: string): string | TooLarge => {
    const line = held.join('') + last;
    held = [];
    if (line === '' && event.length === 0) return '';
    event.push(line);
    if (line !== '') return '';
    const lines = toReadableEvent(event, onMessage);
    event = [];
    return 'status' in lines ? lines : lines.map((line) => `${line}\n`).join('');
  };
  return function* (text) {
    if (text === '') return;
    const own = endedInReturn && text.startsWith('\n') ? text.slice(1) : text;
    endedInReturn = text.endsWith('\r');
    const lines = own.split(/\r\n|\r|\n/);
    const rest = lines.pop() ?? '';
    for (const line of lines) yield endLine(line);
    held.push(rest);
  };
}

const dataLine = /^data(?::|$)/;

function toReadableEvent(
  lines: readonly string[],
  onMessage: (message: Json) => void,
): readonly string[] | TooLarge {
  const data = lines.flatMap((line) => (line.startsWith('data:') ? [line.slice('data:'.length)] : []));
  const text = data.join('\n');
  const readable = text.trim() === '' ? null : toReadableMessage(text);
  if (readable?.status === 'too_large') return readable;
  if (readable?.status !== 'readable') return lines;
  // The SDK reads no event of another name.
  if (lines.every((line) => !line.startsWith('event:') || /^event: ?(message)?$/.test(line)))
    onMessage(readable.message);
  const others = lines.filter((line) => line !== '' && !dataLine.test(line));
  return [...others, ...readable.text.split('\n').map((line) => `data: ${line}`), ''];
}

/** Keywords of a schema that may refuse a name that is not among its `properties`. */
const mayClose = [
  ...[
    'additionalProperties',
    'unevaluatedProperties',
    'propertyNames',
    'maxProperties',
    '$ref',
    '$dynamicRef',
  ],
  ...['allOf', 'anyOf', 'oneOf', 'not', 'if', 'dependentSchemas', 'dependencies'],
];

/** Does a tool take this argument? Yes where its schema names it, or where no keyword of the schema may refuse other names. */
export function takesArgument(tool: Json, name: string): boolean {
  const schema = isObject(tool) ? tool['inputSchema'] : undefined;
  if (!isObject(schema)) return true;
  const { properties } = schema;
  if (isObject(properties) && Object.hasOwn(properties, name)) return true;
  const closesNothing = (asked: Json | undefined): boolean =>
    asked === undefined || asked === true || (isObject(asked) && Object.keys(asked).length === 0);
  return mayClose.every((key) => closesNothing(schema[key]));
}
