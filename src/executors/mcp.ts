import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { z } from 'zod';
import type { Executor } from '../engine/plan.js';
import { resolveTemplate } from '../engine/template.js';
import type { JsonObject } from '../model/json.js';
import { isObject } from '../model/json.js';
import type { Connection } from '../model/policy-set.js';
import type { Room } from '../engine/room.js';
import { headersProblem, httpSession, type HttpProblem } from './mcp-http.js';
import { isServersWord, readToolResult, takesArgument } from './mcp-message.js';
import { openStdio } from './mcp-stdio.js';
import {
  failure,
  failureAfterSending,
  maxOutputBytes,
  startDeadline,
  stoppedResult,
  unusableAnswer,
  type Deadline,
} from './outcome.js';
import { parseBase } from './rest.js';
import type { Built, Call, ExecutorDriver, ExecutorResult, DriverContext, Scopes } from './types.js';
import { pathText, unresolved, unusable } from './values.js';

type McpCall = Extract<Call, { kind: 'mcp' }>;
type Transport = Extract<Connection, { kind: 'mcp' }>['transport'];

export const mcp: ExecutorDriver<'mcp'> = { kind: 'mcp', build: buildMcp, run: runMcp };

function buildMcp(
  executor: Extract<Executor, { kind: 'mcp' }>,
  scopes: Scopes,
  at: 'transition' | 'onEnter',
  room: Room,
): Built {
  const call = (args: JsonObject): Built => ({
    status: 'built',
    call: { kind: 'mcp', connection: executor.connection, tool: executor.tool, arguments: args },
  });
  if (executor.map === null) return call(at === 'onEnter' ? scopes.input : scopes.arguments);
  const resolved = resolveTemplate(executor.map, scopes, room);
  if (resolved.status !== 'resolved') return unresolved(resolved, `\`map\` for tool \`${executor.tool}\``);
  if (!isObject(resolved.value))
    return unusable(pathText(executor.map), '`map`', 'is no object, and a tool takes named arguments');
  return call(resolved.value);
}

async function runMcp(call: McpCall, context: DriverContext): Promise<ExecutorResult> {
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
  context: DriverContext,
  deadline: Deadline,
): Promise<ExecutorResult> {
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
    called = true;
    return toResult(call, await callTool(session.client, params, context, deadline), context);
  } catch (error) {
    const stopped = deadline.stopped();
    usable = stopped === null && isServersWord(error);
    if (stopped !== null) return stoppedResult(context, stopped, called, who(call));
    if (usable) return refusedByServer(call, error, context);
    const message = `${who(call)}: its server ended${session.problem(context.told)}`;
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
  transport: Extract<Transport, { kind: 'http' }>,
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
  const session = httpSession(transport, url, deadline);
  let called = false;
  try {
    await session.client.connect(session.transport, {
      signal: deadline.signal,
      timeout: context.timeoutMs + 1_000,
    });
    const params = await paramsOf(session.client, call, context, deadline);
    called = true;
    return toResult(call, await callTool(session.client, params, context, deadline), context);
  } catch (error) {
    const problem = session.problem();
    const sent = called && problem?.sent !== false;
    const stopped = deadline.stopped();
    if (stopped !== null) return stoppedResult(context, stopped, sent, who(call));
    if (problem !== null) return httpFailure(call, problem, sent, context);
    if (isServersWord(error)) return refusedByServer(call, error, context);
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
  context: DriverContext,
): ExecutorResult {
  const message = `${who(call)}: ${problem.message}`;
  if (problem.isUnreadable === true && sent) return unusableAnswer(context, message);
  const said = problem.retryAfterMs === undefined ? {} : { retryAfterMs: problem.retryAfterMs };
  const isOpen = problem.errorClass === 'connection' || problem.outcomeOpen === true;
  return isOpen && sent
    ? failureAfterSending(context, problem.errorClass, message, said)
    : failure(problem.errorClass, message, said);
}

type Params = { name: string; arguments: JsonObject; _meta?: JsonObject };

/** Of a server, in a message. */
const longestWords = 500;
const keyName = '_idempotencyKey';

/** The key goes beside the arguments of a tool whose schema is closed: among them, the tool would refuse the call. */
async function paramsOf(
  client: Client,
  call: McpCall,
  context: DriverContext,
  deadline: Deadline,
): Promise<Params> {
  const key = context.idempotencyKey;
  if (key === null) return { name: call.tool, arguments: call.arguments };
  return (await takesKey(client, call.tool, context, deadline))
    ? { name: call.tool, arguments: { ...call.arguments, [keyName]: key } }
    : { name: call.tool, arguments: call.arguments, _meta: { [keyName]: key } };
}

/** For as long as the session is. */
const knownTools = new WeakMap<Client, Map<string, boolean>>();
const maxPages = 50;

async function takesKey(
  client: Client,
  tool: string,
  context: DriverContext,
  deadline: Deadline,
): Promise<boolean> {
  const known = knownTools.get(client)?.get(tool);
  if (known !== undefined) return known;
  const found = new Map<string, boolean>();
  let cursor: string | undefined;
  for (let page = 0; page < maxPages; page += 1) {
    const params = cursor === undefined ? {} : { cursor };
    const listed = await client
      .request({ method: 'tools/list', params }, toolList, optionsOf(context, deadline))
      // A server need not be able to list its tools.
      .catch((error: unknown) => {
        if (isServersWord(error) || error instanceof z.core.$ZodError) return { tools: [] };
        throw error;
      });
    for (const one of listed.tools) found.set(one.name, takesArgument(one as JsonObject, keyName));
    cursor = 'nextCursor' in listed ? listed.nextCursor : undefined;
    if (cursor === undefined || found.has(tool)) break;
  }
  knownTools.set(client, found);
  return found.get(tool) ?? true;
}

const toolList = z.looseObject({
  tools: z.array(z.looseObject({ name: z.string() })),
  nextCursor: z.string().optional(),
});

/** The deadline is ours: the client's own must not come first. */
function optionsOf(context: DriverContext, deadline: Deadline): { signal: AbortSignal; timeout: number } {
  return { signal: deadline.signal, timeout: Math.min(context.timeoutMs + 1_000, 2_147_483_647) };
}

async function callTool(
  client: Client,
  params: Params,
  context: DriverContext,
  deadline: Deadline,
): Promise<JsonObject> {
  const request = { method: 'tools/call', params } as const;
  return (await client.request(request, z.looseObject({}), optionsOf(context, deadline))) as JsonObject;
}

function refusedByServer(call: McpCall, error: unknown, context: DriverContext): ExecutorResult {
  const said = error instanceof Error ? context.told.start(error.message, longestWords) : 'no reason given';
  return failure('permanent', `${who(call)} was refused by its server: ${said}`);
}

function toResult(call: McpCall, said: JsonObject, context: DriverContext): ExecutorResult {
  const result = readToolResult(said, context.told);
  // It answered, so it may well have done it: not tried again, and not elsewhere.
  if (result.status === 'malformed')
    return failure('permanent', `${who(call)} answered no tool result: ${result.why}`, {
      effectPossible: context.hasEffect,
    });
  const { output, exact } = result;
  if (Buffer.byteLength(JSON.stringify(output)) > maxOutputBytes)
    return unusableAnswer(context, `${who(call)}: the result is over ${maxOutputBytes} bytes: ask for less`);
  if (result.isError) {
    const why = result.text === '' ? 'no reason given' : context.told.start(result.text, longestWords);
    return failure('permanent', `${who(call)} failed: ${why}`, { response: output });
  }
  return {
    ...{ status: 'succeeded', output, response: output, evidence: ['mcp_tool_result'] },
    ...(exact.length === 0 ? {} : { exact }),
  };
}
