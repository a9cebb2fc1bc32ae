// The world that the drivers are tried on: a real HTTP server, a real command, a real MCP server over stdio and HTTP.
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Connection } from '../../src/model/policy-set.js';
import type { CliConnection } from '../../src/executors/cli/types.js';
import { runCall } from '../../src/executors/index.js';
import type { McpConnection } from '../../src/executors/mcp/types.js';
import type { RestCall, RestConnection } from '../../src/executors/rest/types.js';
import type { ExecutorResult, RunContext } from '../../src/executors/types.js';
import { programArgs } from '../../testing/programs.js';
import type { Target, TargetAnswer } from '../activities/execute/target.js';
import { toolServer } from './fixtures/tools.js';

export const token = 'tok-4711-very-secret';
export const root = fileURLToPath(new URL('../..', import.meta.url));
const fixture = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface World {
  readonly url: string;
  readonly seen: Seen[];
  readonly connections: {
    readonly rest: RestConnection;
    readonly cli: CliConnection;
    readonly stdio: McpConnection;
    readonly http: McpConnection;
  };
  /** Resolves with the process ids that the hanging call reports, once one hangs. */
  hanging(): Promise<number[]>;
  close(): Promise<void>;
}

export async function makeWorld(): Promise<World> {
  const events = new EventEmitter();
  const seen: Seen[] = [];
  const server = createServer((request, response) => void answer(request, response, events, seen));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    seen,
    connections: connectionsTo(url),
    hanging: async () => (await once(events, 'hanging'))[0] as number[],
    close: () => closeServer(server),
  };
}

function connectionsTo(url: string): World['connections'] {
  const env = { TOKEN: 'env://TEST_TOKEN', HANG_URL: `${url}/hanging` };
  const headers = { Authorization: 'env://TEST_TOKEN' };
  const child = { command: process.execPath, env, workingDirectory: null };
  return {
    rest: { kind: 'rest', baseUrl: url, allowPrivate: true, headers },
    cli: { kind: 'cli', ...child, args: [fixture('command.mjs')] },
    stdio: {
      kind: 'mcp',
      transport: { kind: 'stdio', ...child, args: programArgs('test/executors/fixtures/tools.ts') },
    },
    http: { kind: 'mcp', transport: { kind: 'http', url: `${url}/mcp`, allowPrivate: true, headers } },
  };
}

export function contextWith(connection: Connection | null, more: Partial<RunContext> = {}): RunContext {
  return {
    idempotencyKey: null,
    timeoutMs: 20_000,
    signal: new AbortController().signal,
    hasEffect: true,
    connection,
    baseDirectory: root,
    references: { env: { TEST_TOKEN: token }, secretsDirectory: null },
    ...more,
  };
}

/** An MCP server over standard streams: this script, run by Node. */
export function mcpServer(script: string, env: Readonly<Record<string, string>>): Connection {
  const [command, args] = [process.execPath, ['-e', script]];
  return { kind: 'mcp', transport: { kind: 'stdio', command, args, env, workingDirectory: null } };
}

/** Whether a process ends, within ten seconds. */
export async function isGone(pid: number): Promise<boolean> {
  for (let tries = 0; tries < 500; tries += 1) {
    try {
      process.kill(pid, 0);
    } catch {
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  events: EventEmitter,
  seen: Seen[],
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://world');
  if (url.pathname === '/mcp')
    return await answerMcp(request, response, `http://${request.headers.host ?? ''}/hanging`);
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString('utf8');
  seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
  const json = (status: number, value: unknown, headers: Record<string, string> = {}): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
  };
  const [, what = '', detail = ''] = url.pathname.split('/');
  switch (what) {
    case 'hang':
      events.emit('hanging', []);
      return;
    case 'hanging':
      events.emit('hanging', (url.searchParams.get('pids') ?? '').split(',').filter(Boolean).map(Number));
      return json(200, {});
    case 'big':
      return json(200, 'x'.repeat(1_500_000));
    case 'leak':
      return json(400, { you: request.headers.authorization });
    case 'status':
      return json(
        Number(detail),
        { status: Number(detail) },
        { location: '/echo', 'retry-after': url.searchParams.get('after') ?? '7' },
      );
    case 'malformed':
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"half":');
      return;
    case 'nested':
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('['.repeat(2_000) + ']'.repeat(2_000));
      return;
    case 'text':
      response.writeHead(200, { 'content-type': 'text/plain' }).end('plain words');
      return;
    case 'cut':
      response.writeHead(200, { 'content-length': '100' }).write('half');
      setImmediate(() => response.destroy());
      return;
    case 'drop':
      request.socket.destroy();
      return;
    default:
      return json(200, { url: request.url, body, key: request.headers['idempotency-key'] ?? null });
  }
}

async function answerMcp(request: IncomingMessage, response: ServerResponse, hangUrl: string): Promise<void> {
  if (request.headers.authorization !== token) return void response.writeHead(401).end();
  if (request.method !== 'POST') return void response.writeHead(405).end();
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const message = JSON.parse(Buffer.concat(chunks).toString('utf8')) as {
    method?: string;
    params?: { name?: string };
  };
  if (message.params?.name === 'cut') {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('event: message\n');
    setImmediate(() => response.destroy());
    return;
  }
  if (message.params?.name === 'busy') return void response.writeHead(503, { 'retry-after': '3' }).end();
  const [, status, after = 'soon'] = /^status-(\d+)(?:-(\w+))?$/.exec(message.params?.name ?? '') ?? [];
  if (status !== undefined) return void response.writeHead(Number(status), { 'retry-after': after }).end();
  if (message.params?.name === 'moved') return void response.writeHead(307, { location: '/mcp' }).end();
  process.env['TOKEN'] = token;
  const server = toolServer(hangUrl);
  const transport = new StreamableHTTPServerTransport({
    enableJsonResponse: request.headers['user-agent'] === 'json',
  });
  response.on('close', () => void server.close());
  await server.connect(transport as Parameters<typeof server.connect>[0]);
  await transport.handleRequest(request, response, message);
}

/** To what answers with what it was sent, unless `more` says another path. */
export const restCall = (more: Partial<RestCall> = {}): RestCall => ({
  ...{ kind: 'rest', connection: 'rest', method: 'POST', path: '/echo', writtenPath: '/echo' },
  ...{ query: [], headers: [], body: undefined },
  ...more,
});

/** A target that is sent our token in a header, and what came of asking it. */
export function askWithToken(
  target: Target,
  answer: TargetAnswer,
  more: Partial<RunContext> = {},
): Promise<ExecutorResult> {
  target.say(answer);
  const connection: Connection = {
    ...{ kind: 'rest', baseUrl: target.url, allowPrivate: true },
    headers: { authorization: 'env://TEST_TOKEN' },
  };
  return runCall(restCall({ path: '/', writtenPath: '/' }), contextWith(connection, more));
}

/** A program that has our token in its environment. */
export function childWithToken(script: string): {
  command: string;
  args: string[];
  env: Record<string, string>;
  workingDirectory: null;
} {
  return {
    ...{ command: process.execPath, args: ['-e', script], env: { TOKEN: 'env://TEST_TOKEN' } },
    workingDirectory: null,
  };
}
