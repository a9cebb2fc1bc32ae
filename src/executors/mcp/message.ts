import { randomUUID } from 'node:crypto';
import { JSONRPCMessageSchema, McpError } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { isObject, type Json, type JsonObject } from '../../model/json.js';
import type { Told } from '../masking/mask.js';
import { maxBatch } from './limits.js';
import {
  isMarked,
  markedJson,
  parseExactly,
  repeated,
  unmark,
  type ExactJson,
  type TooLarge,
} from '../answer/exact-json.js';
import type { Place } from '../answer/places.js';

// What an MCP server says, before the SDK reads it and after: numbers as they were written, and results that are none.

/** Nobody outside knows it, so no server can say it. */
const ours = randomUUID();
const notAResult = `not-a-result:${ours}`;
const notReadable = `not-readable:${ours}`;
/** In the data of an error that a server answered: the SDK's own have the same codes. */
const saidByServer = `said-by-server:${ours}`;

export type ReadableMessage =
  { readonly status: 'readable'; readonly text: string } | { readonly status: 'no_message' } | TooLarge;

/**
 * A message's text for the SDK's own parser, which drops an answer that it does not know: nobody would hear of it. `asked`: the
 * id of the one request that it can be the answer to. `isExact` false: its bytes were not UTF-8, so it is not what was written.
 */
export function readableMessage(text: string, asked: Json = null, isExact = true): ReadableMessage {
  const marked = markedJson(text);
  if (marked.status === 'malformed') return { status: 'no_message' };
  if (marked.status === 'too_large') return marked;
  const why = isExact ? (marked.repeats ? repeated : null) : 'it is not UTF-8';
  const readable = readableAnswer(marked.value, asked, why);
  return { status: 'readable', text: readable === marked.value ? marked.text : JSON.stringify(readable) };
}

export type ReadableBody =
  | { readonly status: 'readable'; readonly text: string }
  | { readonly status: 'unreadable'; readonly why: string };

/** The same for the whole body of an HTTP answer, which may be several messages: the SDK takes them all at once. */
export function readableBody(text: string, asked: Json = null): ReadableBody {
  const marked = markedJson(text);
  if (marked.status === 'malformed') return { status: 'unreadable', why: 'is not JSON' };
  if (marked.status === 'too_large') return { status: 'unreadable', why: `cannot be read: ${marked.why}` };
  const { value } = marked;
  const messages = Array.isArray(value) ? (value as readonly Json[]) : [value];
  if (messages.length > maxBatch) return { status: 'unreadable', why: `has over ${maxBatch} messages` };
  const readable = messages.map((one) => readableAnswer(one, asked, marked.repeats ? repeated : null));
  if (readable.every((one, index) => one === messages[index]))
    return { status: 'readable', text: marked.text };
  return { status: 'readable', text: JSON.stringify(Array.isArray(value) ? readable : readable[0]) };
}

/** `unread`: why its result cannot be taken as what the server wrote. */
function readableAnswer(message: Json, asked: Json, unread: string | null): Json {
  if (!isObject(message)) return message;
  const { jsonrpc = null, id = null, method, result, error } = message;
  if (result === undefined && (error === undefined || method !== undefined)) return message;
  const broken = (why: string): Json => ({ jsonrpc: '2.0', id, result: { [notAResult]: why } });
  if (method !== undefined) return broken('it has both a `result` and a `method`');
  // Servers of JSON-RPC 1.0 write both, and null for the one that they do not mean.
  const isError = error !== undefined && (error !== null || (result ?? null) === null);
  if (isError && (result ?? null) !== null) return broken('it has both a `result` and an `error`');
  if (isError)
    return readableError(message, error, asked) ?? broken('it is an error without a code or a message');
  if (!isObject(result)) return broken('its result is no object');
  if (unread !== null) return { jsonrpc: '2.0', id, result: { [notReadable]: unread } };
  const answer = { jsonrpc, id, result: readableResult(result) };
  if (jsonrpc !== '2.0') return broken('its `jsonrpc` is not `2.0`');
  if (!JSONRPCMessageSchema.safeParse(answer).success) return broken('its result has a malformed `_meta`');
  // The SDK takes no answer with more than these.
  return answer.result === result && Object.keys(message).length === Object.keys(answer).length
    ? message
    : answer;
}

/** Many servers write null for what they leave out. */
function readableResult(result: JsonObject): JsonObject {
  const isOpening =
    Object.hasOwn(result, 'protocolVersion') &&
    !['content', 'structuredContent'].some((one) => Object.hasOwn(result, one));
  if (!isOpening) return Object.values(result).includes(null) ? withoutNulls(result, 1) : result;
  const { capabilities = {}, serverInfo = {}, ...others } = withoutNulls(result, maxOpeningDepth);
  // Nothing is read of who the server says that it is.
  const named = isObject(serverInfo) ? { name: '', version: '', ...serverInfo } : serverInfo;
  return { ...others, capabilities, serverInfo: named };
}

/** Deeper than anything stands in an answer to `initialize` that is read. */
const maxOpeningDepth = 5;

function withoutNulls(object: JsonObject, depth: number): JsonObject {
  const kept = Object.entries(object).flatMap(([name, value]): [string, Json][] => {
    if (value === null) return [];
    return [[name, depth > 1 && isObject(value) ? withoutNulls(value, depth - 1) : value]];
  });
  return Object.fromEntries(kept);
}

/** An error without an id is the answer to what was asked: the server could not even read whose it was. */
function readableError({ id = null }: JsonObject, error: Json, asked: Json): Json | null {
  const { code = null, message = null } = isObject(error) ? error : {};
  if (!Number.isSafeInteger(code) || typeof message !== 'string' || isMarked(message)) return null;
  return { jsonrpc: '2.0', id: id ?? asked, error: { code, message, data: saidByServer } };
}

/** The server answered, and said no. An error of the SDK itself is none: a lost connection, a time that ran out. */
export function isServersWord(error: unknown): error is McpError {
  return error instanceof McpError && error.data === saidByServer;
}

/** The server answered, and not with what was asked for: no message of the protocol, or a result that is none of its kind. */
export function isNoAnswer(error: unknown): boolean {
  return error instanceof z.core.$ZodError;
}

/** Why a server that answered `initialize` cannot be called; null: it did not answer. */
export function whyNotOpened(error: unknown, told: Told): string | null {
  if (isNoAnswer(error)) return 'what its server answered to `initialize` is none of what it may answer';
  const version = /protocol version is not supported: (.*)$/s.exec(
    error instanceof Error ? error.message : '',
  );
  if (version === null) return null;
  return `its server speaks version \`${told.start(version[1] ?? '', 40)}\` of MCP, which is not spoken here`;
}

/**
 * The text of a stream of events, which comes in any pieces, as what each of its lines ends: an event or nothing. One that does not
 * end is none. A message may be spread over several `data:` lines, between two of its tokens, and only all of them are JSON.
 * An event that is too large is only said to be.
 */
export function readableEvents(asked: Json = null): (text: string) => Generator<string | TooLarge> {
  let event: string[] = [];
  let held: string[] = [];
  let endedInReturn = false;
  const endLine = (last: string): string | TooLarge => {
    const line = held.join('') + last;
    held = [];
    if (line === '' && event.length === 0) return '';
    event.push(line);
    if (line !== '') return '';
    const lines = readableEvent(event, asked);
    event = [];
    return 'status' in lines ? lines : lines.map((one) => `${one}\n`).join('');
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

function readableEvent(lines: readonly string[], asked: Json): readonly string[] | TooLarge {
  const data = lines.flatMap((line) => (line.startsWith('data:') ? [line.slice('data:'.length)] : []));
  const text = data.join('\n');
  const readable = text.trim() === '' ? null : readableMessage(text, asked);
  if (readable?.status === 'too_large') return readable;
  if (readable?.status !== 'readable') return lines;
  const others = lines.filter((line) => line !== '' && !dataLine.test(line));
  return [...others, ...readable.text.split('\n').map((line) => `data: ${line}`), ''];
}

export type ToolResult =
  | {
      readonly status: 'read';
      readonly output: Json;
      readonly exact: readonly Place[];
      readonly isError: boolean;
      /** What it says in words, a null between two blocks: whoever tells it masks it first, and writes a blank there. */
      readonly text: string;
    }
  | { readonly status: 'malformed'; readonly why: string }
  | { readonly status: 'unreadable'; readonly why: string }
  | TooLarge;

const blockKinds: Readonly<Record<string, readonly (readonly [string, 'string' | 'object'])[]>> = {
  text: [['text', 'string']],
  image: [
    ['data', 'string'],
    ['mimeType', 'string'],
  ],
  audio: [
    ['data', 'string'],
    ['mimeType', 'string'],
  ],
  resource: [['resource', 'object']],
  resource_link: [
    ['uri', 'string'],
    ['name', 'string'],
  ],
};

/** What is structured, else a single text that is JSON, else the content as it came. */
export function readToolResult(result: JsonObject, told: Told): ToolResult {
  const malformed = (why: string): ToolResult => ({ status: 'malformed', why });
  const why = result[notAResult];
  if (typeof why === 'string') return malformed(why);
  const unread = result[notReadable];
  if (typeof unread === 'string') return { status: 'unreadable', why: unread };
  const { content = [], structuredContent, isError = false } = result;
  if (typeof isError !== 'boolean') return malformed('`isError` is neither true nor false');
  if (!Array.isArray(content)) return malformed('`content` is no array');
  const blocks = content as readonly Json[];
  const wrong = blocks
    .map((block, index) => blockProblem(block, index, told))
    .find((problem) => problem !== null);
  if (wrong !== undefined) return malformed(wrong);
  if (structuredContent !== undefined && !isObject(structuredContent))
    return malformed('`structuredContent` is no object');
  if (blocks.length === 0 && structuredContent === undefined && result['content'] === undefined)
    return malformed('it has neither `content` nor `structuredContent`');
  const output = outputOf(blocks, structuredContent, isError);
  if (output.status === 'malformed') return malformed(output.why);
  if (output.status === 'repeats') return { status: 'unreadable', why: output.why };
  if (output.status === 'too_large') return output;
  const words = textOf(blocks);
  const text = words === '' && structuredContent !== undefined ? JSON.stringify(output.value) : words;
  return { status: 'read', output: output.value, exact: output.exact, isError, text };
}

function blockProblem(block: Json, index: number, told: Told): string | null {
  if (!isObject(block)) return `block ${index} of \`content\` is no object`;
  const { type } = block;
  const fields = typeof type === 'string' && Object.hasOwn(blockKinds, type) ? blockKinds[type] : undefined;
  if (fields === undefined) {
    const plain = type === undefined ? null : unmark(type);
    const shown = told.start(plain?.status === 'parsed' ? JSON.stringify(plain.value) : 'none', 40);
    return `block ${index} of \`content\` has the unknown type \`${shown}\``;
  }
  const missing = fields.find(([name, kind]) =>
    kind === 'string' ? !isText(block[name]) : !isObject(block[name]),
  );
  return missing === undefined ? null : `block ${index} of \`content\` has no \`${missing[0]}\``;
}

/** A number that is kept as text was none. */
function isText(value: Json | undefined): boolean {
  return typeof value === 'string' && !isMarked(value);
}

function outputOf(blocks: readonly Json[], structured: JsonObject | undefined, isError: boolean): ExactJson {
  if (structured !== undefined) return unmark(structured);
  const only = blocks.length === 1 ? blocks[0] : undefined;
  if (isObject(only) && only['type'] === 'text') {
    const parsed = parseExactly(String(only['text']));
    // Text that is no JSON is content like any other. What says that the call failed is read by people, in its words.
    if (parsed.status !== 'malformed' && !(parsed.status === 'repeats' && isError)) return parsed;
  }
  return unmark({ content: blocks });
}

function textOf(blocks: readonly Json[]): string {
  return blocks
    .flatMap((block) => (isObject(block) && block['type'] === 'text' ? [String(block['text'])] : []))
    .join('\0');
}

/** Keywords that may keep out a name which `properties` has not. */
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

/** May a tool be given this argument? Where its schema does not name it, only one that nothing closes takes it. */
export function takesArgument(tool: Json, name: string): boolean {
  const schema = isObject(tool) ? tool['inputSchema'] : undefined;
  if (!isObject(schema)) return true;
  const { properties } = schema;
  if (isObject(properties) && Object.hasOwn(properties, name)) return true;
  const closesNothing = (asked: Json | undefined): boolean =>
    asked === undefined || asked === true || (isObject(asked) && Object.keys(asked).length === 0);
  return mayClose.every((key) => closesNothing(schema[key]));
}
