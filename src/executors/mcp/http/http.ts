import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { ErrorClass } from '../../../model/contract/errors.js';
import { isObject, type Json } from '../../../model/values/json.js';
import type { Excerpts } from '../../masking/mask.js';
import { toFetchResponse, readRefusal, type RefusalBody } from './answer.js';
import { clientInfo } from '../limits.js';
import { exchange, parseRetryAfter, type Exchange } from '../../connections/network.js';
import type { Deadline } from '../../answer/outcome.js';
import { classOfStatus, redirectHint } from '../../http/status.js';
import { withOwnIds } from '../own-ids.js';
import type { Words } from '../words.js';
import { makeSendInTurn, type SendInTurn } from './replies.js';
import { makeStreams, type Stream, type Streams, type Waiting } from './streams.js';
import type { HttpTransport } from '../types.js';
import type { DriverContext } from '../../types.js';
import { toAsciiHeader, isHeaderValue } from '../../values.js';

/** Why a message could not be delivered over HTTP, or how it was refused. */
export interface HttpProblem {
  readonly errorClass: ErrorClass;
  readonly sent: boolean;
  readonly message: string;
  readonly retryAfterMs?: number;
  /** The status of an answer that was no success. */
  readonly status?: number;
  /** The server's own words, not masked. */
  readonly words?: Words;
  /** The server does not know the session of the message, so it has not taken the message: a new session is needed. */
  readonly sessionLost?: boolean;
  /** The server answered with a success, or with a result beside another status, and the answer cannot be read. */
  readonly isUnreadable?: boolean;
}

/**
 * Rejects the message that was refused or not delivered, and only that one: what becomes of another message of the session, such
 * as the reply to a `ping` of the server, says nothing about the call.
 */
class HttpFailure extends Error {
  constructor(readonly problem: HttpProblem) {
    super(problem.message);
  }
}

export interface HttpSession {
  readonly client: Client;
  readonly transport: Transport;
  /** The problem of the message that was rejected with this error; null: HTTP has none. */
  problemOf(error: unknown): HttpProblem | null;
  close(): Promise<void>;
}

/** How long the request that ends a session may take, and may keep an answered call waiting. */
const goodbyeMs = 1_000;
const settleMs = 100;

/** Opens a session for one call: initialize, call, end. It fetches by `pinnedFetch`, which judges addresses and refuses redirects. */
export function openHttpSession(
  params: HttpTransport,
  url: URL,
  deadline: Deadline,
  { excerpts, idempotencyKey }: Pick<DriverContext, 'excerpts' | 'idempotencyKey'>,
): HttpSession {
  const streams = makeStreams();
  /** How the answer to the last request is broken. */
  let last: { problem: HttpProblem | null } = { problem: null };
  let tellLast: Waiting['onBroken'] = () => undefined;
  const ask = (id: Json): Waiting => {
    const own: typeof last = { problem: null };
    last = own;
    const onBroken = (found: HttpProblem): void => {
      // The first problem counts: those after it follow from it.
      own.problem ??= found;
      // The SDK keeps waiting when an answer breaks off, so the client is closed, after a moment for what the SDK still delivers.
      setTimeout(() => {
        if (last === own) void client.close().catch(() => undefined);
      }, settleMs).unref();
    };
    tellLast = onBroken;
    return { id, onBroken };
  };
  const sendInTurn = makeSendInTurn((message) =>
    tellLast({ errorClass: 'permanent', sent: true, message, isUnreadable: true }),
  );
  const transport = new StreamableHTTPClientTransport(url, {
    requestInit: { headers: { 'user-agent': 'countersign', ...toAsciiHeaders(params.headers) } },
    fetch: (target, init) =>
      pinnedFetch(
        ...([params, new URL(target), init ?? {}, deadline.signal] as const),
        ...([{ ask, streams, sendInTurn, excerpts, isKeyed: idempotencyKey !== null }] as const),
      ),
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
    const ending = transport.terminateSession().catch(() => undefined);
    // A call that was stopped, or was told that no answer comes, does not wait for it.
    if (deadline.whyStopped() === null && client.transport !== undefined) await ending;
    await client.close().catch(() => undefined);
  };
  const problemOf = (error: unknown): HttpProblem | null =>
    error instanceof HttpFailure ? error.problem : last.problem;
  return { client, transport: withOwnIds(transport), problemOf, close };
}

function toAsciiHeaders(headers: HttpTransport['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, toAsciiHeader(value)]));
}

/** Why HTTP cannot carry one of the headers; null: it carries all. */
export function headersProblem(headers: HttpTransport['headers']): string | null {
  const odd = Object.entries(toAsciiHeaders(headers)).find(([name, value]) => {
    try {
      // `Headers` trims line breaks and blanks at the ends, so the value is checked as it was written.
      new Headers([[name, value]]);
      return !isHeaderValue(value);
    } catch {
      return true;
    }
  });
  return odd === undefined
    ? null
    : `header \`${odd[0]}\`: its name, or a line break or control character in its value, cannot be sent`;
}

interface Listening {
  /** A request is sent. */
  ask(id: Json): Waiting;
  readonly streams: Streams;
  readonly sendInTurn: SendInTurn;
  readonly excerpts: Excerpts;
  readonly isKeyed: boolean;
}

async function pinnedFetch(
  params: HttpTransport,
  target: URL,
  init: RequestInit,
  deadline: AbortSignal,
  listening: Listening,
): Promise<Response> {
  const id = init.method === 'POST' ? requestId(init.body) : null;
  if (init.method === 'POST' && id === null) {
    const send = (): Promise<Response> =>
      fetchStream(params, target, init, deadline, { ...listening, waiting: null, stream: null });
    return listening.sendInTurn(send, init.signal ? [init.signal, deadline] : [deadline]);
  }
  const waiting = id === null ? null : listening.ask(id);
  const isRead = waiting !== null || init.method === 'GET';
  const stream = isRead ? listening.streams.begin(waiting) : null;
  try {
    return await fetchStream(params, target, init, deadline, { ...listening, waiting, stream });
  } catch (error) {
    stream?.end();
    throw error;
  }
}

async function fetchStream(
  params: HttpTransport,
  target: URL,
  init: RequestInit,
  deadline: AbortSignal,
  { waiting, stream, excerpts, isKeyed }: Listening & { waiting: Waiting | null; stream: Stream | null },
): Promise<Response> {
  const method = init.method ?? 'GET';
  const headers = new Headers(init.headers);
  const answer = await exchange({
    base: target,
    path: `${target.pathname}${target.search}`,
    method,
    headers: Object.fromEntries(headers.entries()),
    body: typeof init.body === 'string' ? init.body : null,
    allowPrivate: params.allowPrivate,
    signal: signalOf(method, init, deadline),
  });
  if (answer.status !== 'answered') throw new HttpFailure(describeUndelivered(answer));
  const { response } = answer;
  const status = response.statusCode ?? 502;
  if (status >= 300) {
    const refused = { id: waiting?.id ?? null, session: headers.get('mcp-session-id') };
    const said = method === 'POST' ? await readRefusal(response, excerpts, refused) : null;
    const after = parseRetryAfter(response.headers['retry-after'], Date.now());
    response.destroy();
    const inSession = refused.session !== null;
    throw new HttpFailure(describeRefusal(status, { said, after, isKeyed, inSession }));
  }
  return toFetchResponse(response, status, waiting, stream);
}

/** A session is ended also when the call was stopped or the client closed, so that request has a time of its own. */
function signalOf(method: string, { signal }: RequestInit, deadline: AbortSignal): AbortSignal {
  if (method === 'DELETE') return AbortSignal.timeout(goodbyeMs);
  return signal ? AbortSignal.any([signal, deadline]) : deadline;
}

interface Refusal {
  /** Null: nothing was read, since no call was refused. */
  readonly said: RefusalBody | null;
  readonly after: number | undefined;
  readonly isKeyed: boolean;
  readonly inSession: boolean;
}

function describeRefusal(status: number, { said, after, isKeyed, inSession }: Refusal): HttpProblem {
  // The protocol says 404 for a lost session; servers made after its first examples say 400.
  const saysLost = inSession && (status === 404 || (status === 400 && said?.namesSession === true));
  const { answers = null, words = null } = said ?? {};
  const sessionLost = saysLost && answers === null;
  // A result may be of what was done, whatever the status says. What cannot be read may be one, where else the session would count as lost.
  const isUnreadable = answers === 'result' || (answers === 'unread' && saysLost);
  return {
    errorClass: classOfStatus(status, after !== undefined, isKeyed),
    sent: true,
    status,
    sessionLost,
    message: `it answered ${status}${redirectHint(status)}`,
    ...(isUnreadable ? { isUnreadable } : {}),
    ...(words === null ? {} : { words }),
    ...(after === undefined ? {} : { retryAfterMs: after }),
  };
}

/** The id of a message that is a request, and so will be answered; null: it is none. */
function requestId(body: unknown): Json {
  const message = typeof body === 'string' ? (JSON.parse(body) as Json) : null;
  return isObject(message) && 'method' in message ? (message['id'] ?? null) : null;
}

function describeUndelivered(answer: Exclude<Exchange, { status: 'answered' }>): HttpProblem {
  if (answer.status === 'refused') return { errorClass: 'permanent', sent: false, message: answer.message };
  return { errorClass: 'connection', sent: answer.sent, message: answer.message };
}
