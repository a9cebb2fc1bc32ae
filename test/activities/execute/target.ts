// A target that answers as it is told, one answer a request.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isObject, type Json } from '../../../src/model/values/json.js';

export type TargetAnswer =
  | number
  /** Takes the request and never answers. */
  | 'hang'
  /** Takes the request and breaks the connection. */
  | 'drop'
  /** Answers with that status once it is known. */
  | Promise<number>
  /** The same, and is called once the request is there. */
  | (() => Promise<number>)
  | {
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string | string[]>>;
      /** A function makes it from the id of the JSON-RPC request that it answers. */
      readonly body?: string | Buffer | ((id: Json) => string | Buffer);
    };

export interface TargetRequest {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export interface Target {
  readonly url: string;
  readonly requests: TargetRequest[];
  /** Forgets what it was asked; what it says next, in order. 200 when nothing is left. */
  say(...answers: readonly TargetAnswer[]): void;
  close(): Promise<void>;
}

export async function makeTarget(): Promise<Target> {
  const requests: TargetRequest[] = [];
  let answers: TargetAnswer[] = [];
  const server = createServer((request, response) => {
    // MCP's own: a stream for what the server wants to say, and the end of a session.
    if (request.url === '/mcp' && request.method !== 'POST') return void response.writeHead(405).end();
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      requests.push({ path: request.url ?? '', headers: request.headers, body });
      give(answers.shift() ?? 200, request, body, response);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    say: (...next) => {
      requests.length = 0;
      answers = [...next];
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function give(answer: TargetAnswer, request: IncomingMessage, asked: string, response: ServerResponse): void {
  if (answer === 'hang') return;
  if (answer === 'drop') return void request.socket.destroy();
  if (typeof answer === 'function') return give(answer(), request, asked, response);
  if (answer instanceof Promise)
    return void answer.then((status) => give(status, request, asked, response)).catch(() => undefined);
  const {
    status = 200,
    headers = {},
    body = '{}',
  } = typeof answer === 'number' ? { status: answer } : answer;
  response
    .writeHead(status, { 'content-type': 'application/json', ...headers })
    .end(typeof body === 'function' ? body(idOf(asked)) : body);
}

function idOf(asked: string): Json {
  const message = JSON.parse(asked) as Json;
  return isObject(message) ? (message['id'] ?? null) : null;
}
