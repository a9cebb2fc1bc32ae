import type { IncomingMessage } from 'node:http';
import { PassThrough, pipeline, Readable, Transform } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { giveWay, makeTurns } from '../model/give-way.js';
import type { Connection } from '../model/policy-set.js';
import type { ErrorClass } from '../model/errors.js';
import { unpackStreams } from './body.js';
import { clientInfo, maxLines, maxMessageBytes, maxMessages } from './mcp-limits.js';
import { readableBody, readableEvents } from './mcp-message.js';
import { codeOf, exchange, retryAfterMs, type Exchange } from './network.js';
import type { Deadline } from './outcome.js';
import { classOfStatus, leavesOutcomeOpen } from './rest.js';
import { asciiHeader } from './values.js';

type HttpTransport = Extract<Extract<Connection, { kind: 'mcp' }>['transport'], { kind: 'http' }>;

/** What HTTP said of the last message that could not be delivered or was refused. */
export interface HttpProblem {
  readonly errorClass: ErrorClass;
  readonly sent: boolean;
  readonly message: string;
  readonly retryAfterMs?: number;
  /** What answered does not know what became of the message. */
  readonly outcomeOpen?: boolean;
  /** It answered as if it had done it, and the answer is none. */
  readonly isUnreadable?: boolean;
}

export interface HttpSession {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
  problem(): HttpProblem | null;
  close(): Promise<void>;
}

/** How long ending a session may keep its call waiting. */
const goodbyeMs = 1_000;
const settleMs = 100;

/** One session for one call: initialize, call, end. Its fetch is ours, so addresses are judged and redirects refused. */
export function httpSession(params: HttpTransport, url: URL, deadline: Deadline): HttpSession {
  let problem: HttpProblem | null = null;
  // The first word counts: what follows is its echo.
  const note = (found: HttpProblem): void => {
    problem ??= found;
  };
  // The SDK waits on when an answer breaks off; what it still delivers, it delivers within this time.
  const onBroken = (): void => {
    setTimeout(() => void client.close().catch(() => undefined), settleMs).unref();
  };
  const transport = new StreamableHTTPClientTransport(url, {
    requestInit: { headers: { 'user-agent': 'countersign', ...asciiHeaders(params.headers) } },
    fetch: (target, init) =>
      pinnedFetch(params, new URL(target), init ?? {}, deadline.signal, note, onBroken),
    reconnectionOptions: {
      initialReconnectionDelay: 500,
      maxReconnectionDelay: 500,
      reconnectionDelayGrowFactor: 1,
      maxRetries: 0,
    },
  });
  const client = new Client(clientInfo);
  client.onerror = () => undefined;
  const close = async (): Promise<void> => {
    if (deadline.stopped() === null)
      await Promise.race([transport.terminateSession().catch(() => undefined), pause(goodbyeMs)]);
    await client.close().catch(() => undefined);
  };
  return { client, transport, problem: () => problem, close };
}

function asciiHeaders(headers: HttpTransport['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, asciiHeader(value)]));
}

/** Why HTTP cannot carry one of the headers; null: it can carry all. */
export function headersProblem(headers: HttpTransport['headers']): string | null {
  try {
    new Headers(asciiHeaders(headers));
    return null;
  } catch {
    return 'one of its headers has a name or a value that HTTP cannot carry';
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

async function pinnedFetch(
  params: HttpTransport,
  target: URL,
  init: RequestInit,
  deadline: AbortSignal,
  note: (problem: HttpProblem) => void,
  onBroken: () => void,
): Promise<Response> {
  const method = init.method ?? 'GET';
  // Only a message counts: the optional stream of the server's own messages and the goodbye may fail.
  const tell = method === 'POST' ? note : (): void => undefined;
  const answer = await exchange({
    base: target,
    path: `${target.pathname}${target.search}`,
    method,
    headers: Object.fromEntries(new Headers(init.headers).entries()),
    body: typeof init.body === 'string' ? init.body : null,
    allowPrivate: params.allowPrivate,
    signal: init.signal ? AbortSignal.any([init.signal, deadline]) : deadline,
  });
  if (answer.status !== 'answered') {
    tell(notDelivered(answer));
    throw new Error(answer.message);
  }
  const { response } = answer;
  const status = response.statusCode ?? 502;
  const redirected = status >= 300 && status <= 399;
  if (status >= 300) {
    const after = retryAfterMs(response.headers['retry-after'], Date.now());
    const message = `it answered ${status}${redirected ? ', and redirects are not followed' : ''}`;
    tell({
      errorClass: classOfStatus(status),
      sent: true,
      message,
      ...(after === undefined ? {} : { retryAfterMs: after }),
      outcomeOpen: leavesOutcomeOpen(status),
    });
  }
  if (redirected) {
    response.destroy();
    throw new Error('redirects are not followed');
  }
  // What is said to a notification is not read, so nothing is wrong with it.
  return method === 'POST' && isRequest(init.body)
    ? asFetched(response, status, note, onBroken)
    : asFetched(response, status, null, (): void => undefined);
}

function isRequest(body: unknown): boolean {
  const message: unknown = typeof body === 'string' ? JSON.parse(body) : null;
  return typeof message === 'object' && message !== null && 'id' in message && 'method' in message;
}

const isJsonType = (type: string): boolean => /^\s*application\/json\b/i.test(type);
const isEventsType = (type: string): boolean => /^\s*text\/event-stream\b/i.test(type);

/** What the SDK reads of it. `note` null: nobody waits for this answer. */
function asFetched(
  response: IncomingMessage,
  status: number,
  note: ((problem: HttpProblem) => void) | null,
  onBroken: () => void,
): Response {
  const broken = (problem: Omit<HttpProblem, 'sent'>): void => {
    note?.({ ...problem, sent: true });
    onBroken();
  };
  const unreadable = (message: string): void =>
    broken({ errorClass: 'permanent', message, isUnreadable: status < 300 });
  const unpacked = unpackStreams(response.headers['content-encoding']);
  if (unpacked === null) {
    response.destroy();
    unreadable('its answer has a content encoding that is not read here');
    throw new Error('the answer cannot be read');
  }
  const type = response.headers['content-type'] ?? '';
  // 202 has no answer in it, and one that says so is waited for elsewhere.
  if (status !== 202 && !isJsonType(type) && !isEventsType(type))
    unreadable('its answer is neither JSON nor a stream of events');
  const unanswered = (): void =>
    broken({ errorClass: 'connection', message: 'its stream of events ended without the answer' });
  const streams = [response, ...unpacked, capped(unreadable), messages(type, unreadable, unanswered)];
  const body = pipeline(streams, (error) => {
    // The SDK cancels what it need not read; only the other side's break is one.
    if (!error || ['ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR'].includes(codeOf(error))) return;
    if (/^(Z_|ERR__ERROR_)/.test(codeOf(error)))
      return unreadable(`its answer is packed wrongly (${codeOf(error)})`);
    broken({ errorClass: 'connection', message: 'its answer broke off' });
  }) as unknown as Transform;
  const headers = Object.entries(response.headers).flatMap(([name, value]): [string, string][] =>
    typeof value === 'string' && !['content-encoding', 'content-length'].includes(name)
      ? [[name, value]]
      : [],
  );
  if (status === 204 || status === 205) {
    body.resume();
    return new Response(null, { status, headers });
  }
  return new Response(Readable.toWeb(body) as ReadableStream<Uint8Array>, { status, headers });
}

/** Messages as the SDK may parse them: the whole of a JSON answer, each event of a stream. */
function messages(type: string, unreadable: (message: string) => void, unanswered: () => void): Transform {
  const isEvents = isEventsType(type);
  if (!isEvents && !isJsonType(type)) return new PassThrough();
  const decoder = new TextDecoder();
  const events = readableEvents();
  const held: string[] = [];
  let [lines, count] = [0, 0];
  let mayBeAnswered = false;
  const refused = (why: string): Error => {
    unreadable(why);
    return new Error(why);
  };
  // The SDK reads what it is given at once: it is given little, and others have their turn after it.
  const pushAll = async (to: Transform, text: string): Promise<undefined> => {
    const turn = makeTurns();
    for (const ended of events(text)) {
      if (typeof ended !== 'string') throw refused(`an event of its answer cannot be read: ${ended.why}`);
      lines += 1;
      if (ended !== '') count += 1;
      if (lines > maxLines || count > maxMessages) {
        throw refused(`its answer has over ${maxMessages} events or ${maxLines} lines`);
      }
      // A notification may have these words too: then the call waits until its deadline.
      mayBeAnswered ||= /"(result|error)"/.test(ended);
      if (ended !== '') to.push(ended);
      if (ended !== '' && count % 64 === 0) await giveWay();
      await turn();
    }
  };
  const whole = (text: string): string => {
    const readable = readableBody(text);
    if (readable.status === 'unreadable') unreadable(`its answer ${readable.why}`);
    return readable.status === 'unreadable' ? '' : readable.text;
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const text = decoder.decode(chunk, { stream: true });
      if (isEvents) return void pushAll(this, text).then(done, done);
      held.push(text);
      done();
    },
    flush(done) {
      const rest = decoder.decode();
      if (!isEvents) return done(null, whole(held.join('') + rest));
      void pushAll(this, rest).then(() => {
        if (!mayBeAnswered) unanswered();
        done();
      }, done);
    },
  });
}

function notDelivered(answer: Exclude<Exchange, { status: 'answered' }>): HttpProblem {
  if (answer.status === 'refused') return { errorClass: 'permanent', sent: false, message: answer.message };
  return { errorClass: 'connection', sent: answer.sent, message: answer.message };
}

function capped(unreadable: (message: string) => void): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size <= maxMessageBytes) return done(null, chunk);
      unreadable(`its answer is over ${maxMessageBytes} bytes`);
      done(new Error('the answer is too large'));
    },
  });
}
