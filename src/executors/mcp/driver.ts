import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { z } from 'zod';
import type { JsonObject } from '../../model/values/json.js';
import { headersProblem, openHttpSession, type HttpProblem } from './http/http.js';
import { placeKey, type ToolParams } from './key.js';
import { isMalformedAnswer, whyNotOpened } from './message.js';
import { readToolResult } from './tool-result.js';
import { closeStdioSessions, openStdio } from './stdio.js';
import { NotSent } from './transport.js';
import {
  longestWords,
  quoteError,
  quoteWords,
  readServerError,
  type ServerError,
  type Words,
} from './words.js';
import {
  failure,
  failureAfterSending,
  maxOutputBytes,
  startDeadline,
  stoppedResult,
  success,
  unfitAnswer,
  unusableAnswer,
  type Deadline,
  type Failure,
} from '../answer/outcome.js';
import { parseBase } from '../http/base.js';
import { failureOfStatus } from '../http/status.js';
import { locateCommand } from '../command/place.js';
import { evidence } from './kind.js';
import type { HttpTransport, McpCall, McpConnection, StdioTransport } from './types.js';
import type { ExecutorDriver, ExecutorResult, DriverContext } from '../types.js';

export const mcp: ExecutorDriver<McpCall, McpConnection> = {
  kind: 'mcp',
  run: runMcp,
  locate: (connection, baseDirectory) => {
    const { transport } = connection;
    if (transport.kind !== 'stdio') return { connection, program: null };
    const { command, program } = locateCommand(transport, baseDirectory);
    return { connection: { kind: 'mcp', transport: command }, program };
  },
  close: closeStdioSessions,
};

async function runMcp(call: McpCall, context: DriverContext<McpConnection>): Promise<ExecutorResult> {
  const deadline = startDeadline(context);
  try {
    const { transport } = context.connection;
    return transport.kind === 'stdio'
      ? await callOverStdio(call, transport, context, deadline)
      : await callOverHttp(call, transport, context, deadline);
  } finally {
    deadline.dispose();
  }
}

function describeTool(call: McpCall): string {
  return `tool \`${call.tool}\` of connection \`${call.connection}\``;
}

async function callOverStdio(
  call: McpCall,
  transport: StdioTransport,
  context: DriverContext,
  deadline: Deadline,
): Promise<ExecutorResult> {
  const first = await callServer(call, transport, context, deadline);
  if (first !== 'not_sent') return first;
  // A server that was kept may have stopped reading since its last call: another server is started, once.
  const second = await callServer(call, transport, context, deadline);
  if (second !== 'not_sent') return second;
  return failure('connection', `${describeTool(call)}: its server reads no more; nothing was sent`);
}

/** `not_sent`: the server has not read the call to its end. That server is not used again. */
async function callServer(
  call: McpCall,
  transport: StdioTransport,
  context: DriverContext,
  deadline: Deadline,
): Promise<ExecutorResult | 'not_sent'> {
  const opening = openStdio(transport, context, call.connection);
  const opened = await Promise.race([opening, waitForStop(deadline)]);
  if (opened === 'stopped') {
    // After a time-out the session may still open, for the next call.
    void opening.then((late) => late.status === 'open' && late.session.release(true));
    const what = `${describeTool(call)}: its server, asked to \`initialize\`,`;
    return stoppedResult(context, deadline.whyStopped() ?? 'timeout', false, what);
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
    const stopped = deadline.whyStopped();
    const said = stopped === null ? readServerError(error) : null;
    usable = said !== null;
    if (stopped !== null) return stoppedResult(context, stopped, called, describeTool(call));
    if (said !== null) return toServerFailure(call, said, context);
    if (error instanceof NotSent) return 'not_sent';
    const message = `${describeTool(call)}: its server ended${session.problem(context.excerpts)}`;
    if (called && session.wroteTooMuch()) return unusableAnswer(context, message);
    return called
      ? failureAfterSending(context, 'connection', message)
      : failure('connection', `${message}; nothing was sent`);
  } finally {
    session.release(usable);
  }
}

function waitForStop(deadline: Deadline): Promise<'stopped'> {
  return new Promise((resolve) => {
    if (deadline.signal.aborted) resolve('stopped');
    else deadline.signal.addEventListener('abort', () => resolve('stopped'), { once: true });
  });
}

async function callOverHttp(
  call: McpCall,
  transport: HttpTransport,
  context: DriverContext,
  deadline: Deadline,
): Promise<ExecutorResult> {
  const url = parseBase(transport.url, 'query');
  if (url === null) {
    const rule = 'it needs an http or https address without credentials or fragment';
    return failure(
      'permanent',
      sayNothingSent(`the url of connection \`${call.connection}\` cannot be used; ${rule}`),
    );
  }
  const wrong = headersProblem(transport.headers);
  if (wrong !== null)
    return failure('permanent', sayNothingSent(`connection \`${call.connection}\`: ${wrong}`));
  const first = await callInSession(call, transport, url, context, deadline);
  if ('status' in first) return first;
  // The server has ended the session and has not taken the call, so the call is made once more in a new session.
  const second = await callInSession(call, transport, url, context, deadline);
  if ('status' in second) return second;
  const { lost } = second;
  const errorClass = lost.status === 404 ? 'connection' : lost.errorClass;
  const sent = first.called || second.called;
  const end = sent ? ', and has not taken the call' : ', before the call';
  const message = `${lost.message} in two sessions that it had opened itself${end}`;
  return toHttpFailure(call, { ...lost, errorClass, message }, sent && 'not_taken', context);
}

function addServerWords(message: string, words: Words | undefined, { excerpts }: DriverContext): string {
  return words === undefined ? message : `${message}: ${quoteWords(words, excerpts)}`;
}

/**
 * Makes the call in a session of its own. `lost`: the server does not know that session any more, and has not taken the call.
 * `called`: the call itself was what it said this to.
 */
async function callInSession(
  call: McpCall,
  transport: HttpTransport,
  url: URL,
  context: DriverContext,
  deadline: Deadline,
): Promise<ExecutorResult | { readonly lost: HttpProblem; readonly called: boolean }> {
  const session = openHttpSession(transport, url, deadline, context);
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
    const problem = session.problemOf(error);
    const sent = called && problem?.sent !== false;
    const stopped = deadline.whyStopped();
    if (stopped !== null) return stoppedResult(context, stopped, sent, describeTool(call));
    if (problem?.sessionLost === true) return { lost: problem, called };
    if (problem !== null) return toHttpFailure(call, problem, sent, context);
    return toSdkFailure(call, error, sent, context);
  } finally {
    await session.close();
  }
}

function toHttpFailure(
  call: McpCall,
  { words, status, retryAfterMs, errorClass, ...problem }: HttpProblem,
  sent: boolean | 'not_taken',
  context: DriverContext,
): Failure {
  const message = addServerWords(`${describeTool(call)}: ${problem.message}`, words, context);
  const said = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (sent === 'not_taken') return failure(errorClass, message, said);
  if (!sent) return failure(errorClass, sayNothingSent(message), said);
  if (problem.isUnreadable === true) return unusableAnswer(context, message);
  if (status !== undefined) return failureOfStatus(context, status, message, said);
  return errorClass === 'connection'
    ? failureAfterSending(context, errorClass, message, said)
    : failure(errorClass, message, said);
}

/** For a failure before the call itself was sent. */
function sayNothingSent(message: string): string {
  return message.endsWith('nothing was sent') ? message : `${message}; nothing was sent`;
}

/** The failure of a call over HTTP about which HTTP itself has noted no problem. */
function toSdkFailure(call: McpCall, error: unknown, sent: boolean, context: DriverContext): Failure {
  const said = readServerError(error);
  if (said !== null && sent) return toServerFailure(call, said, context);
  if (said !== null) {
    const { message, ...refused } = toServerRefusal(call, said, context);
    return { ...refused, message: sayNothingSent(message) };
  }
  const why = sent ? null : whyNotOpened(error, context.excerpts);
  if (why !== null) return failure('permanent', `${describeTool(call)}: ${why}; nothing was sent`);
  if (sent && isMalformedAnswer(error))
    return unusableAnswer(
      context,
      `${describeTool(call)}: what its server answered is no message of the protocol`,
    );
  const message = `${describeTool(call)}: the connection broke off`;
  return sent
    ? failureAfterSending(context, 'connection', message)
    : failure('connection', `${message}; nothing was sent`);
}

async function paramsOf(
  client: Client,
  call: McpCall,
  context: DriverContext,
  deadline: Deadline,
): Promise<ToolParams | Failure> {
  const placed = await placeKey(client, call, context.idempotencyKey, optionsOf(context, deadline));
  if (placed.status === 'placed') return placed.params;
  const said = addServerWords(`${describeTool(call)}: ${placed.why}`, placed.words, context);
  return failure(placed.errorClass, sayNothingSent(said));
}

/** Options for the SDK. Its own time-out comes after ours, so that `deadline` decides. */
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

/** Of a call that was sent. */
function toServerFailure(call: McpCall, said: ServerError, context: DriverContext): Failure {
  // In a stream, which has other messages too, nobody knows what an error without an id is about: not that the call was refused.
  const ofAnother = said.isWithoutId ? 'an error without an id, which may be about another message: ' : '';
  if (!said.isWithoutId && said.broken === null) return toServerRefusal(call, said, context);
  const why = `${ofAnother}${quoteError(said, context.excerpts)}`;
  return unfitAnswer(context, `${describeTool(call)} answered no tool result: ${why}`);
}

function toServerRefusal(call: McpCall, said: ServerError, { excerpts }: DriverContext): Failure {
  return failure(
    'permanent',
    `${describeTool(call)} was refused by its server: ${quoteError(said, excerpts)}`,
  );
}

function toResult(call: McpCall, said: JsonObject, context: DriverContext): ExecutorResult {
  const result = readToolResult(said, context.excerpts);
  if (result.status === 'unreadable')
    return unusableAnswer(context, `${describeTool(call)}: what it answered cannot be read: ${result.why}`);
  // The server answered, so it may have done what it was asked: not tried again, and not by a fallback.
  if (result.status === 'malformed')
    return unfitAnswer(context, `${describeTool(call)} answered no tool result: ${result.why}`);
  if (result.status === 'too_large')
    return unusableAnswer(context, `${describeTool(call)}: the result cannot be read: ${result.why}`);
  const { output, exact } = result;
  if (Buffer.byteLength(JSON.stringify(output)) > maxOutputBytes)
    return unusableAnswer(
      context,
      `${describeTool(call)}: the result is over ${maxOutputBytes} bytes: ask for less`,
    );
  if (result.isError) {
    // Masked before the blocks are joined by blanks: a secret may be spread over two blocks.
    const words = context.excerpts.start(result.text, longestWords).replaceAll('\0', ' ');
    const why = words === '' ? 'no reason given' : words;
    return failure('permanent', `${describeTool(call)} failed: ${why}`, { response: output });
  }
  return success(evidence, output, { exact });
}
