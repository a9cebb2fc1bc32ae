import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { ErrorClass } from '../../model/errors.js';
import { isObject, type Json } from '../../model/json.js';
import type { Told } from '../masking/mask.js';
import { asFetched, wordsOfRefusal } from './answer.js';
import { clientInfo } from './limits.js';
import { exchange, retryAfterMs, type Exchange } from '../connections/network.js';
import type { Deadline } from '../answer/outcome.js';
import { classOfStatus, redirectHint } from '../rest/status.js';
import type { HttpTransport } from './types.js';
import type { DriverContext } from '../types.js';
import { asciiHeader, isHeaderValue } from '../values.js';

/** What HTTP said of the last message that could not be delivered or was refused. */
export interface HttpProblem {
  readonly errorClass: ErrorClass;
  readonly sent: boolean;
  readonly message: string;
  readonly retryAfterMs?: number;
  /** What it answered that was no success. */
  readonly status?: number;
  /** The server's own, as it wrote them. */
  readonly words?: string;
  /** It does not know the session of the message, so it has not taken it: a new one is to be begun. */
  readonly sessionLost?: boolean;
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
export function httpSession(
  params: HttpTransport,
  url: URL,
  deadline: Deadline,
  { told, idempotencyKey }: Pick<DriverContext, 'told' | 'idempotencyKey'>,
): HttpSession {
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
      pinnedFetch(
        ...([params, new URL(target), init ?? {}, deadline.signal] as const),
        ...([{ note, onBroken, told, isKeyed: idempotencyKey !== null }] as const),
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
  const odd = Object.entries(asciiHeaders(headers)).find(([name, value]) => {
    try {
      // It would take off a line break at the end, and blanks; what is sent is what was written.
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

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

interface Listening {
  note(problem: HttpProblem): void;
  onBroken(): void;
  readonly told: Told;
  readonly isKeyed: boolean;
}

async function pinnedFetch(
  params: HttpTransport,
  target: URL,
  init: RequestInit,
  deadline: AbortSignal,
  { note, onBroken, told, isKeyed }: Listening,
): Promise<Response> {
  const method = init.method ?? 'GET';
  // Only a message counts: the optional stream of the server's own messages and the goodbye may fail.
  const tell = method === 'POST' ? note : (): void => undefined;
  const headers = new Headers(init.headers);
  const answer = await exchange({
    base: target,
    path: `${target.pathname}${target.search}`,
    method,
    headers: Object.fromEntries(headers.entries()),
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
  if (status >= 300) {
    const words = method === 'POST' ? await wordsOfRefusal(response, told) : undefined;
    const after = retryAfterMs(response.headers['retry-after'], Date.now());
    tell(refusedWith(status, { words, after, isKeyed, inSession: headers.has('mcp-session-id') }));
    response.destroy();
    if (status <= 399) throw new Error('redirects are not followed');
    return new Response(null, { status });
  }
  // What is said to a notification is not read, so nothing is wrong with it.
  const id = method === 'POST' ? requestId(init.body) : null;
  return asFetched(response, status, id === null ? null : { id, note, onBroken });
}

interface Refusal {
  readonly words: string | undefined;
  readonly after: number | undefined;
  readonly isKeyed: boolean;
  readonly inSession: boolean;
}

function refusedWith(status: number, { words, after, isKeyed, inSession }: Refusal): HttpProblem {
  // 404 is the protocol's word for it; servers made after its first examples say 400.
  const sessionLost = inSession && (status === 404 || (status === 400 && /session/i.test(words ?? '')));
  return {
    errorClass: classOfStatus(status, after !== undefined, isKeyed),
    sent: true,
    status,
    sessionLost,
    message: `it answered ${status}${redirectHint(status)}`,
    ...(words === undefined ? {} : { words }),
    ...(after === undefined ? {} : { retryAfterMs: after }),
  };
}

/** Of a message that is answered; null: it is none. */
function requestId(body: unknown): Json {
  const message = typeof body === 'string' ? (JSON.parse(body) as Json) : null;
  return isObject(message) && 'method' in message ? (message['id'] ?? null) : null;
}

function notDelivered(answer: Exclude<Exchange, { status: 'answered' }>): HttpProblem {
  if (answer.status === 'refused') return { errorClass: 'permanent', sent: false, message: answer.message };
  return { errorClass: 'connection', sent: answer.sent, message: answer.message };
}
