import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { z } from 'zod';
import type { JsonObject } from '../../model/json.js';
import { headersProblem, httpSession, type HttpProblem } from './http.js';
import { placeKey, type ToolParams } from './key.js';
import { isNoAnswer, isServersWord, readToolResult, whyNotOpened } from './message.js';
import { closeStdioSessions, openStdio } from './stdio.js';
import { NotSent } from './transport.js';
import {
  failure,
  failureAfterSending,
  maxOutputBytes,
  startDeadline,
  stoppedResult,
  unfitAnswer,
  unusableAnswer,
  type Deadline,
  type Failure,
} from '../answer/outcome.js';
import { parseBase } from '../rest/rest.js';
import { failureOfStatus } from '../rest/status.js';
import { placeCommand } from '../cli/place.js';
import { evidence } from './kind.js';
import type { HttpTransport, McpCall, McpConnection, StdioTransport } from './types.js';
import type { ExecutorDriver, ExecutorResult, DriverContext } from '../types.js';

export const mcp: ExecutorDriver<McpCall, McpConnection> = {
  kind: 'mcp',
  run: runMcp,
  place: (connection, baseDirectory) => {
    const { transport } = connection;
    if (transport.kind !== 'stdio') return { connection, program: null };
    const { command, program } = placeCommand(transport, baseDirectory);
    return { connection: { kind: 'mcp', transport: command }, program };
  },
  close: closeStdioSessions,
};

async function runMcp(call: McpCall, context: DriverContext<McpConnection>): Promise<ExecutorResult> {
  const deadline = startDeadline(context);
  try {
    const { transport } = context.connection;
    return transport.kind === 'stdio'
      ? await overStdio(call, transport, context, deadline)
      : await overHttp(call, transport, context, deadline);
  } finally {
    deadline.dispose();
  }
}

function who(call: McpCall): string {
  return `tool \`${call.tool}\` of connection \`${call.connection}\``;
}

async function overStdio(
  call: McpCall,
  transport: StdioTransport,
  context: DriverContext,
  deadline: Deadline,
): Promise<ExecutorResult> {
  const first = await withServer(call, transport, context, deadline);
  if (first !== 'not_sent') return first;
  // A server that was kept may have stopped reading since its last call: another one is started, once.
  const second = await withServer(call, transport, context, deadline);
  if (second !== 'not_sent') return second;
  return failure('connection', `${who(call)}: its server reads no more; nothing was sent`);
}

/** `not_sent`: the server has not read the call to its end. It serves nobody else. */
async function withServer(
  call: McpCall,
  transport: StdioTransport,
  context: DriverContext,
  deadline: Deadline,
): Promise<ExecutorResult | 'not_sent'> {
  const opening = openStdio(transport, context, call.connection);
  const opened = await Promise.race([opening, stopOf(deadline)]);
  if (opened === 'stopped') {
    // It may still open, for the next call.
    void opening.then((late) => late.status === 'open' && late.session.release(true));
    return stoppedResult(context, deadline.stopped() ?? 'timeout', false, who(call));
  }
  if (opened.status === 'failed') return opened;
  const { session } = opened;
  let usable = true;
  let called = false;
  try {
    const params = await paramsOf(session.client, call, context, deadline);
    if ('status' in params) return params;
    called = true;
    return toResult(call, await callTool(session.client, params, context, deadline), context);
  } catch (error) {
    const stopped = deadline.stopped();
    usable = stopped === null && isServersWord(error);
    if (stopped !== null) return stoppedResult(context, stopped, called, who(call));
    if (usable) return refusedByServer(call, error, context);
    if (error instanceof NotSent) return 'not_sent';
    const message = `${who(call)}: its server ended${session.problem(context.told)}`;
    if (called && session.wroteTooMuch()) return unusableAnswer(context, message);
    return called
      ? failureAfterSending(context, 'connection', message)
      : failure('connection', `${message}; nothing was sent`);
  } finally {
    session.release(usable);
  }
}

function stopOf(deadline: Deadline): Promise<'stopped'> {
  return new Promise((resolve) => {
    if (deadline.signal.aborted) resolve('stopped');
    else deadline.signal.addEventListener('abort', () => resolve('stopped'), { once: true });
  });
}

async function overHttp(
  call: McpCall,
  transport: HttpTransport,
  context: DriverContext,
  deadline: Deadline,
): Promise<ExecutorResult> {
  const url = parseBase(transport.url, 'query');
  if (url === null) {
    const rule = 'it needs an http or https address without credentials or fragment';
    return failure('permanent', `the url of connection \`${call.connection}\` cannot be used; ${rule}`);
  }
  const wrong = headersProblem(transport.headers);
  if (wrong !== null) return failure('permanent', `connection \`${call.connection}\`: ${wrong}`);
  const first = await inSession(call, transport, url, context, deadline);
  if ('status' in first) return first;
  // The protocol's word for a session that the server has ended is no word on the call: it has not taken it.
  const second = await inSession(call, transport, url, context, deadline);
  if ('status' in second) return second;
  const { lost } = second;
  const errorClass = lost.status === 404 ? 'connection' : lost.errorClass;
  const message = `${lost.message} in two sessions that it had opened itself, and has not taken the call`;
  const { words, ...of } = lost;
  return httpFailure(
    call,
    { ...of, errorClass, message: withWords(message, words, context) },
    'not_taken',
    context,
  );
}

function withWords(message: string, words: string | undefined, { told }: DriverContext): string {
  return words === undefined || words === '' ? message : `${message}: ${told.start(words, longestWords)}`;
}

/** The call in a session of its own. `lost`: the server does not know that session any more, and has taken nothing. */
async function inSession(
  call: McpCall,
  transport: HttpTransport,
  url: URL,
  context: DriverContext,
  deadline: Deadline,
): Promise<ExecutorResult | { readonly lost: HttpProblem }> {
  const session = httpSession(transport, url, deadline, context);
  let called = false;
  try {
    await session.client.connect(session.transport, {
      signal: deadline.signal,
      timeout: context.timeoutMs + 1_000,
    });
    const params = await paramsOf(session.client, call, context, deadline);
    if ('status' in params) return params;
    called = true;
    return toResult(call, await callTool(session.client, params, context, deadline), context);
  } catch (error) {
    const problem = session.problem();
    const sent = called && problem?.sent !== false;
    const stopped = deadline.stopped();
    if (stopped !== null) return stoppedResult(context, stopped, sent, who(call));
    if (problem?.sessionLost === true) return { lost: problem };
    if (problem !== null) return httpFailure(call, problem, sent, context);
    return sdkFailure(call, error, sent, context);
  } finally {
    await session.close();
  }
}

function httpFailure(
  call: McpCall,
  { words, status, retryAfterMs, errorClass, ...problem }: HttpProblem,
  sent: boolean | 'not_taken',
  context: DriverContext,
): Failure {
  const message = withWords(`${who(call)}: ${problem.message}`, words, context);
  const said = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (sent === 'not_taken') return failure(errorClass, message, said);
  if (!sent) return failure(errorClass, nothingSent(message), said);
  if (problem.isUnreadable === true) return unusableAnswer(context, message);
  if (status !== undefined) return failureOfStatus(context, status, message, said);
  return errorClass === 'connection'
    ? failureAfterSending(context, errorClass, message, said)
    : failure(errorClass, message, said);
}

/** The call came after what failed here. */
function nothingSent(message: string): string {
  return message.endsWith('nothing was sent') ? message : `${message}; nothing was sent`;
}

/** What the SDK made of an answer, or of none. */
function sdkFailure(call: McpCall, error: unknown, sent: boolean, context: DriverContext): Failure {
  if (isServersWord(error)) {
    const refused = refusedByServer(call, error, context);
    return sent ? refused : { ...refused, message: nothingSent(refused.message) };
  }
  const why = sent ? null : whyNotOpened(error, context.told);
  if (why !== null) return failure('permanent', `${who(call)}: ${why}; nothing was sent`);
  if (sent && isNoAnswer(error))
    return unusableAnswer(context, `${who(call)}: what its server answered is no message of the protocol`);
  const message = `${who(call)}: the connection broke off`;
  return sent
    ? failureAfterSending(context, 'connection', message)
    : failure('connection', `${message}; nothing was sent`);
}

/** Of a server, in a message. */
const longestWords = 500;

async function paramsOf(
  client: Client,
  call: McpCall,
  context: DriverContext,
  deadline: Deadline,
): Promise<ToolParams | Failure> {
  const { idempotencyKey: key, told } = context;
  const placed = await placeKey(client, call, key, optionsOf(context, deadline));
  if (placed.status === 'placed') return placed.params;
  const said = placed.words === undefined ? '' : `: ${told.start(placed.words, longestWords)}`;
  return failure(placed.errorClass, `${who(call)}: ${placed.why}${said}; nothing was sent`);
}

/** The deadline is ours: the client's own must not come first. */
function optionsOf(context: DriverContext, deadline: Deadline): { signal: AbortSignal; timeout: number } {
  return { signal: deadline.signal, timeout: Math.min(context.timeoutMs + 1_000, 2_147_483_647) };
}

async function callTool(
  client: Client,
  params: ToolParams,
  context: DriverContext,
  deadline: Deadline,
): Promise<JsonObject> {
  const request = { method: 'tools/call', params } as const;
  return (await client.request(request, z.looseObject({}), optionsOf(context, deadline))) as JsonObject;
}

function refusedByServer(call: McpCall, error: unknown, context: DriverContext): Failure {
  const said = error instanceof Error ? context.told.start(error.message, longestWords) : 'no reason given';
  return failure('permanent', `${who(call)} was refused by its server: ${said}`);
}

function toResult(call: McpCall, said: JsonObject, context: DriverContext): ExecutorResult {
  const result = readToolResult(said, context.told);
  if (result.status === 'unreadable')
    return unusableAnswer(context, `${who(call)}: what it answered cannot be read: ${result.why}`);
  // It answered, so it may well have done it: not tried again, and not elsewhere.
  if (result.status === 'malformed')
    return unfitAnswer(context, `${who(call)} answered no tool result: ${result.why}`);
  if (result.status === 'too_large')
    return unusableAnswer(context, `${who(call)}: the result cannot be read: ${result.why}`);
  const { output, exact } = result;
  if (Buffer.byteLength(JSON.stringify(output)) > maxOutputBytes)
    return unusableAnswer(context, `${who(call)}: the result is over ${maxOutputBytes} bytes: ask for less`);
  if (result.isError) {
    // A secret may be cut by the end of a block.
    const words = context.told.start(result.text, longestWords).replaceAll('\0', ' ');
    const why = words === '' ? 'no reason given' : words;
    return failure('permanent', `${who(call)} failed: ${why}`, { response: output });
  }
  return {
    status: 'succeeded',
    output,
    response: output,
    evidence: [evidence],
    ...(exact.length === 0 ? {} : { exact }),
  };
}
