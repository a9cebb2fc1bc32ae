import { CallToolResultSchema, type CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { ErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js';
import type { Executor } from '../engine/plan.js';
import { resolveTemplate } from '../engine/template.js';
import type { Json, JsonObject } from '../model/json.js';
import { isObject } from '../model/json.js';
import type { Connection } from '../model/policy-set.js';
import { truncate } from '../model/text.js';
import { httpSession, type HttpProblem } from './mcp-http.js';
import { openStdio } from './mcp-stdio.js';
import {
  failure,
  failureAfterSending,
  maxOutputBytes,
  startDeadline,
  stoppedResult,
  type Deadline,
} from './outcome.js';
import { parseBase } from './rest.js';
import type { Built, Call, ExecutorDriver, ExecutorResult, RunContext, Scopes } from './types.js';
import { pathText, unresolved, unusable } from './values.js';

type McpCall = Extract<Call, { kind: 'mcp' }>;
type Transport = Extract<Connection, { kind: 'mcp' }>['transport'];

export const mcp: ExecutorDriver<'mcp'> = { kind: 'mcp', build: buildMcp, run: runMcp };

function buildMcp(
  executor: Extract<Executor, { kind: 'mcp' }>,
  scopes: Scopes,
  at: 'transition' | 'onEnter',
): Built {
  const call = (args: JsonObject): Built => ({
    status: 'built',
    call: { kind: 'mcp', connection: executor.connection, tool: executor.tool, arguments: args },
  });
  if (executor.map === null) return call(at === 'onEnter' ? scopes.input : scopes.arguments);
  const resolved = resolveTemplate(executor.map, scopes);
  if (resolved.status === 'unresolved')
    return unresolved(resolved.path, `\`map\` for tool \`${executor.tool}\``);
  if (!isObject(resolved.value))
    return unusable(pathText(executor.map), '`map`', 'is no object, and a tool takes named arguments');
  return call(resolved.value);
}

async function runMcp(call: McpCall, context: RunContext): Promise<ExecutorResult> {
  if (context.connection?.kind !== 'mcp') {
    return failure(
      'permanent',
      `\`${call.connection}\` is no mcp connection of this environment; declare it in connections.yaml`,
    );
  }
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
  transport: Extract<Transport, { kind: 'stdio' }>,
  context: RunContext,
  deadline: Deadline,
): Promise<ExecutorResult> {
  const opening = openStdio(transport, context.baseDirectory, call.connection);
  const opened = await Promise.race([opening, stopOf(deadline)]);
  if (opened === 'stopped') {
    // It may still open, for the next call.
    void opening.then((late) => late.status === 'open' && late.session.release(true));
    return stoppedResult(context, deadline.stopped() ?? 'timeout', false, who(call));
  }
  if (opened.status === 'failed') return opened;
  const { session } = opened;
  let usable = true;
  try {
    return toResult(call, await callTool(session.client, call, context, deadline), context);
  } catch (error) {
    const stopped = deadline.stopped();
    usable = stopped === null && isProtocolAnswer(error);
    if (stopped !== null) return stoppedResult(context, stopped, true, who(call));
    if (usable) return refusedByServer(call, error);
    return failureAfterSending(context, 'connection', `${who(call)}: its server ended${session.problem()}`);
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
  transport: Extract<Transport, { kind: 'http' }>,
  context: RunContext,
  deadline: Deadline,
): Promise<ExecutorResult> {
  const url = parseBase(transport.url, 'query');
  if (url === null) {
    const rule = 'it needs an http or https address without credentials or fragment';
    return failure('permanent', `the url of connection \`${call.connection}\` cannot be used; ${rule}`);
  }
  const session = httpSession(transport, url, deadline);
  let called = false;
  try {
    await session.client.connect(session.transport, {
      signal: deadline.signal,
      timeout: context.timeoutMs + 1_000,
    });
    called = true;
    return toResult(call, await callTool(session.client, call, context, deadline), context);
  } catch (error) {
    const problem = session.problem();
    const sent = called && problem?.sent !== false;
    const stopped = deadline.stopped();
    if (stopped !== null) return stoppedResult(context, stopped, sent, who(call));
    if (problem !== null) return httpFailure(call, problem, sent, context);
    if (isProtocolAnswer(error)) return refusedByServer(call, error);
    const message = `${who(call)}: the connection broke off`;
    return sent
      ? failureAfterSending(context, 'connection', message)
      : failure('connection', `${message}; nothing was sent`);
  } finally {
    await session.close();
  }
}

function httpFailure(
  call: McpCall,
  problem: HttpProblem,
  sent: boolean,
  context: RunContext,
): ExecutorResult {
  const message = `${who(call)}: ${problem.message}`;
  const lost = problem.errorClass === 'connection' && sent;
  if (lost) return failureAfterSending(context, 'connection', message);
  return failure(
    problem.errorClass,
    message,
    problem.retryAfterMs === undefined ? {} : { retryAfterMs: problem.retryAfterMs },
  );
}

async function callTool(
  client: Client,
  call: McpCall,
  context: RunContext,
  deadline: Deadline,
): Promise<CallToolResult> {
  const key = context.idempotencyKey;
  const args = { ...call.arguments, ...(key === null ? {} : { _idempotencyKey: key }) };
  // The deadline is ours: the client's own must not come first.
  const options = { signal: deadline.signal, timeout: Math.min(context.timeoutMs + 1_000, 2_147_483_647) };
  const result = await client.callTool({ name: call.tool, arguments: args }, CallToolResultSchema, options);
  return result as CallToolResult;
}

/** The server answered, and said no: not a lost connection. */
function isProtocolAnswer(error: unknown): boolean {
  const lost: readonly number[] = [ErrorCode.ConnectionClosed, ErrorCode.RequestTimeout];
  return error instanceof McpError && !lost.includes(error.code);
}

function refusedByServer(call: McpCall, error: unknown): ExecutorResult {
  const said = error instanceof Error ? truncate(error.message, 500) : 'no reason given';
  return failure('permanent', `${who(call)} was refused by its server: ${said}`);
}

function toResult(call: McpCall, result: CallToolResult, context: RunContext): ExecutorResult {
  const output = outputOf(result);
  if (Buffer.byteLength(JSON.stringify(output)) > maxOutputBytes) {
    return failureAfterSending(
      context,
      'permanent',
      `${who(call)}: the result is over ${maxOutputBytes} bytes; ask for less`,
    );
  }
  if (result.isError === true)
    return failure('permanent', `${who(call)} failed: ${textOf(result)}`, { response: output });
  return { status: 'succeeded', output, response: output, evidence: ['mcp_tool_result'] };
}

/** What is structured, else a single text that is JSON, else the content as it came. */
function outputOf(result: CallToolResult): Json {
  if (result.structuredContent !== undefined) return result.structuredContent as JsonObject;
  const only = result.content.length === 1 ? result.content[0] : undefined;
  if (only?.type === 'text') {
    try {
      return JSON.parse(only.text) as Json;
    } catch {
      // Text that is no JSON is content like any other.
    }
  }
  return { content: result.content as unknown as Json };
}

function textOf(result: CallToolResult): string {
  const text = result.content.flatMap((item) => (item.type === 'text' ? [item.text] : [])).join(' ');
  return text === '' ? 'no reason given' : truncate(text, 500);
}
