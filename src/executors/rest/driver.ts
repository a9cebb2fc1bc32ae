import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { giveWayBefore } from '../../model/give-way.js';
import type { Json, JsonObject } from '../../model/values/json.js';
import { dataUrl, decodeBody, unpackBody, type Unpacked } from '../answer/body.js';
import { parseExactly } from '../answer/exact-json.js';
import type { Place } from '../answer/places.js';
import { asWindows1252, readableText } from '../masking/decoding/decode.js';
import type { Excerpts } from '../masking/mask.js';
import {
  exchange,
  readCapped,
  parseRetryAfter,
  type Exchange,
  type Outgoing,
} from '../connections/network.js';
import {
  failure,
  failureAfterSending,
  maxOutputBytes,
  startDeadline,
  stoppedResult,
  success,
  unusableAnswer,
  type Deadline,
  type Failure,
} from '../answer/outcome.js';
import { parseBase } from '../http/base.js';
import { isJsonType, writeBody } from './body.js';
import { evidence } from './kind.js';
import { overrideIn } from './overrides.js';
import { failureOfStatus, redirectHint } from '../http/status.js';
import type { RestCall, RestConnection } from './types.js';
import type { DriverContext, ExecutorDriver, ExecutorResult, RunContext } from '../types.js';
import { toAsciiHeader, unresolvedRead } from '../values.js';

/** How much of a failed call's body is kept for whoever looks into it. */
const maxFailedBodyText = 16_384;

export const rest: ExecutorDriver<RestCall, RestConnection> = { kind: 'rest', run: runRest };

async function runRest(call: RestCall, context: DriverContext<RestConnection>): Promise<ExecutorResult> {
  const base = parseBase(context.connection.baseUrl);
  if (base === null) {
    const rule = 'it needs an http or https address without credentials, query or fragment';
    return failure('permanent', `the baseUrl of connection \`${call.connection}\` cannot be used; ${rule}`);
  }
  const deadline = startDeadline(context);
  try {
    const request = makeOutgoing(call, context.connection, base, context.idempotencyKey, deadline.signal);
    if ('status' in request) return request;
    const override = context.hasEffect ? null : findSentOverride(request);
    if (override !== null) return failure('permanent', unresolvedRead(override).message);
    const sent = await exchange(request);
    return sent.status === 'answered'
      ? await readAnswer(call, sent.response, context, deadline)
      : toUnansweredFailure(call, sent, context, deadline);
  } finally {
    deadline.dispose();
  }
}

/** Looks again at what is sent: the connection may not be the one that the policy was checked with. */
function findSentOverride({ path, headers, body }: Outgoing): string | null {
  return overrideIn(Object.entries(headers), `${path}\n${body ?? ''}`);
}

function makeOutgoing(
  call: RestCall,
  connection: RestConnection,
  base: URL,
  key: string | null,
  signal: AbortSignal,
): Outgoing | Failure {
  const headers = composeHeaders(call, connection, key);
  const body = call.body === undefined ? null : writeBody(call.body, headers['content-type'] ?? '');
  if (body?.status === 'unfit') {
    const what = body.name === null ? 'the body' : `\`${body.name}\` in the body`;
    return failure('permanent', `connection \`${call.connection}\`: ${what} ${body.why}; nothing was sent`);
  }
  const { allowPrivate } = connection;
  return {
    ...{ base, headers, allowPrivate, signal, method: call.method, path: composePath(call, base) },
    body: body === null ? null : body.text,
  };
}

function composePath(call: RestCall, base: URL): string {
  const query = new URLSearchParams(
    call.query.map(([key, value]): [string, string] => [key, value]),
  ).toString();
  const path = `${base.pathname.replace(/\/$/, '')}${call.path}`;
  if (query === '') return path;
  return `${path}${path.includes('?') ? '&' : '?'}${query}`;
}

/** Lower-case names; later ones win: the connection's headers over a template's, the idempotency key over both. */
function composeHeaders(
  call: RestCall,
  connection: RestConnection,
  key: string | null,
): Record<string, string> {
  const entries: (readonly [string, string])[] = [
    ['accept', 'application/json, */*;q=0.5'],
    ['user-agent', 'countersign'],
    ...(call.body === undefined ? [] : ([['content-type', 'application/json']] as const)),
    ...call.headers,
    ...Object.entries(connection.headers),
    ...(key === null ? [] : ([['idempotency-key', key]] as const)),
  ];
  return Object.fromEntries(entries.map(([name, value]) => [name.toLowerCase(), toAsciiHeader(value)]));
}

function toUnansweredFailure(
  call: RestCall,
  sent: Exclude<Exchange, { status: 'answered' }>,
  context: RunContext,
  deadline: Deadline,
): Failure {
  const message = `connection \`${call.connection}\`: ${sent.message}`;
  if (sent.status === 'refused') return failure('permanent', message);
  const stopped = deadline.whyStopped();
  if (stopped !== null)
    return stoppedResult(context, stopped, sent.sent, `connection \`${call.connection}\``);
  return sent.sent
    ? failureAfterSending(context, 'connection', message)
    : failure('connection', `${message}; nothing was sent`);
}

async function readAnswer(
  call: RestCall,
  response: IncomingMessage,
  context: DriverContext,
  deadline: Deadline,
): Promise<ExecutorResult> {
  const status = response.statusCode ?? 0;
  const good = status >= 200 && status <= 299;
  const read = await readCapped(response, maxOutputBytes);
  const headers = headersToKeep(response);
  const who = `connection \`${call.connection}\``;
  // The status of a failure is enough, whether or not its body could be read.
  if (!good) {
    const body = read.status === 'read' ? await readFailedBody(read.bytes, response, context.excerpts) : null;
    return toStatusFailure(call, response, { status, headers, body }, context);
  }
  const stopped = deadline.whyStopped();
  if (read.status === 'broken' && stopped !== null) return stoppedResult(context, stopped, true, who);
  if (read.status === 'broken')
    return failureAfterSending(context, 'connection', `${who}: the answer broke off (${read.message})`);
  const body: ParsedBody =
    read.status === 'too_large' ? tooLarge : await parseBody(read.bytes, response, context.excerpts);
  if (body.status === 'unreadable')
    return unusableAnswer(context, `${who} answered ${status}, and ${body.why}`);
  return success(evidence, body.value, {
    response: { status, headers, body: body.value },
    exact: body.exact,
  });
}

function toStatusFailure(
  call: RestCall,
  response: IncomingMessage,
  shown: { status: number; headers: JsonObject; body: Json },
  context: RunContext,
): Failure {
  const retryAfter = parseRetryAfter(response.headers['retry-after'], Date.now());
  const message = `connection \`${call.connection}\` answered ${shown.status} to \`${call.method} ${call.writtenPath}\`${redirectHint(shown.status)}`;
  return failureOfStatus(context, shown.status, message, {
    response: { ...shown },
    ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter }),
  });
}

/** The headers of the answer without its cookies, which are credentials. */
function headersToKeep(response: IncomingMessage): JsonObject {
  const entries = Object.entries(response.headers).flatMap(([name, value]): [string, string][] =>
    value === undefined || name === 'set-cookie'
      ? []
      : [[name, Array.isArray(value) ? value.join(', ') : value]],
  );
  return Object.fromEntries(entries);
}

type ParsedBody =
  | { readonly status: 'parsed'; readonly value: Json; readonly exact: readonly Place[] }
  | { readonly status: 'unreadable'; readonly why: string };

const tooLarge: ParsedBody = {
  status: 'unreadable',
  why: `its answer is over ${maxOutputBytes} bytes: ask for less`,
};

async function parseBody(
  raw: Buffer,
  response: IncomingMessage,
  excerpts: Excerpts,
  noText: 'kept' | 'unreadable' = 'kept',
): Promise<ParsedBody> {
  const isJson = isJsonType(response.headers['content-type']);
  const unpacked = await unpackAnswer(raw, response, excerpts, isJson);
  if (unpacked.status !== 'unpacked') return unpacked.status === 'too_large' ? tooLarge : unpacked;
  const type = response.headers['content-type'];
  const decoded = decodeBody(unpacked.bytes, type, excerpts);
  if (decoded.status !== 'text')
    return isJson || noText === 'unreadable' ? decoded : keepBytes(unpacked.bytes, type);
  const { text } = decoded;
  if (text === '' || (isJson && text.trim() === '')) return { status: 'parsed', value: null, exact: [] };
  if (!isJson && (type ?? '').trim() === '' && /^\s*[[{]/.test(text)) return parseUntyped(text);
  if (!isJson) return { status: 'parsed', value: text, exact: [] };
  await giveWayBefore(text.length);
  const parsed = parseExactly(text);
  if (parsed.status === 'parsed') return parsed;
  return {
    status: 'unreadable',
    why: `its answer says that it is JSON and cannot be kept as that: ${parsed.why}`,
  };
}

/** Many servers leave the content type away, and mean JSON: what parses as an object or a list is taken as that, else as text. */
async function parseUntyped(text: string): Promise<ParsedBody> {
  await giveWayBefore(text.length);
  const parsed = parseExactly(text);
  return parsed.status === 'parsed' ? parsed : { status: 'parsed', value: text, exact: [] };
}

/**
 * What is no text, as an image or a text whose charset is not named, is kept byte for byte as a data URL (RFC 2397). The limit
 * on an answer counts its bytes; the data URL takes a third more.
 */
function keepBytes(bytes: Buffer, type = ''): ParsedBody {
  const media = /^[\w.+-]+\/[\w.+-]+/.exec(type)?.[0] ?? 'application/octet-stream';
  return { status: 'parsed', value: dataUrl(media, bytes), exact: [] };
}

function unpackAnswer(
  raw: Buffer,
  { headers }: IncomingMessage,
  excerpts: Excerpts,
  isJson: boolean,
): Promise<Unpacked> {
  return unpackBody(raw, headers['content-encoding'] ?? sniffEncoding(raw, isJson), maxOutputBytes, excerpts);
}

/** A JSON answer that begins like gzip is gzip: a proxy has dropped the header that says so. */
function sniffEncoding(bytes: Buffer, isJson: boolean): string | undefined {
  return isJson && bytes[0] === 0x1f && bytes[1] === 0x8b ? 'gzip' : undefined;
}

/** Control characters, which no text has. */
const binary = /[\x00-\x08\x0e-\x1f\x7f-\x9f]/;

/**
 * A failed call's body for people: its value where it is short and can be read, else the beginning of its text. Null: it could
 * not be unpacked or is no text. Bytes that are packed without a header that says so could hold a secret that no masking finds.
 */
async function readFailedBody(bytes: Buffer, response: IncomingMessage, excerpts: Excerpts): Promise<Json> {
  const type = response.headers['content-type'];
  const unpacked = await unpackAnswer(bytes, response, excerpts, isJsonType(type));
  if (unpacked.status !== 'unpacked') return null;
  const read = decodeBody(unpacked.bytes, type, excerpts);
  const text = read.status === 'text' ? read.text : asWindows1252(readableText(unpacked.bytes));
  if (!isUtf8(unpacked.bytes) && binary.test(text)) return null;
  const parsed = await parseBody(bytes, response, excerpts, 'unreadable');
  const isShort = parsed.status === 'parsed' && JSON.stringify(parsed.value).length <= maxFailedBodyText;
  return isShort ? parsed.value : excerpts.start(text, maxFailedBodyText, '');
}
