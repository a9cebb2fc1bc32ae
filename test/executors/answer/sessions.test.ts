// A session over HTTP is ended with its call, whatever became of the call: a server that is not told keeps it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { closeExecutors, runCall } from '../../../src/executors/index.js';
import type { ExecutorResult, RunContext } from '../../../src/executors/types.js';
import { contextWith } from '../world.js';

after(closeExecutors);

const events = { 'content-type': 'text/event-stream' };
const json = { 'content-type': 'application/json' };
const opening = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } };
const result = (id: number, of: object): string => JSON.stringify({ jsonrpc: '2.0', id, result: of });

type Say = (response: ServerResponse, id: number, own: ServerResponse) => void;
interface Told {
  readonly said: ExecutorResult | 'aborted';
  /** The sessions that the server was asked to end. */
  readonly ended: readonly unknown[];
  /** Was the request to end it still waiting for its answer when the call was told? */
  readonly isFirst: boolean;
}

/** Makes a call. The server does not answer the request to end the session before `until`. */
async function callServer(
  { call, initialized = 202, until }: { call: Say; initialized?: number; until: 'at once' | 'told' },
  more: Partial<RunContext> = {},
): Promise<Told> {
  const ended: unknown[] = [];
  let own: (response: ServerResponse) => void;
  const ownStream = new Promise<ServerResponse>((resolve) => (own = resolve));
  let end: (response: ServerResponse) => void;
  const ending = new Promise<ServerResponse>((resolve) => (end = resolve));
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, events).flushHeaders();
      return own(response);
    }
    if (request.method === 'DELETE') {
      ended.push(request.headers['mcp-session-id']);
      if (until === 'at once') response.writeHead(200).end();
      return end(response);
    }
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { method, id = 0 } = JSON.parse(body) as { method: string; id?: number };
      if (method === 'initialize')
        return response.writeHead(200, { ...json, 'mcp-session-id': 's' }).end(result(id, opening));
      if (method === 'tools/call') return void ownStream.then((stream) => call(response, id, stream));
      return response.writeHead(initialized).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  try {
    const transport = { kind: 'http', url, allowPrivate: true, headers: {} } as const;
    const context = contextWith({ kind: 'mcp', transport }, more);
    const made = { kind: 'mcp', connection: 'c', tool: 't', arguments: {} } as const;
    const said = await runCall(made, context).catch(() => 'aborted' as const);
    const { destroyed } = await ending;
    return { said, ended, isFirst: !destroyed };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

function statusOf({ said }: Told): string {
  if (said === 'aborted') return said;
  return said.status === 'failed' ? said.errorClass : said.status;
}

describe('a session over HTTP is ended', { timeout: 60_000 }, () => {
  const answered: readonly (readonly [string, string, Say])[] = [
    [
      'that succeeded',
      'succeeded',
      (response, id) => response.writeHead(200, json).end(result(id, { content: [] })),
    ],
    ['that was refused', 'permanent', (response) => response.writeHead(422, json).end('{}')],
  ];
  for (const [how, status, call] of answered)
    test(`after a call ${how}`, async () => {
      const told = await callServer({ call, until: 'at once' });
      assert.deepEqual([statusOf(told), told.ended], [status, ['s']]);
    });

  const unanswered: readonly (readonly [string, Say])[] = [
    ['whose stream ended without the answer', (response) => response.writeHead(200, events).end(': x\n\n')],
    [
      'whose server wants to be polled',
      (response) => response.writeHead(200, events).end('id: 1\ndata: \n\n'),
    ],
    [
      'that was left to a stream that ended',
      (response, _id, own) => {
        own.end();
        response.writeHead(202).end();
      },
    ],
    [
      'whose answer broke off',
      (response) => response.writeHead(200, json).write('{', () => response.destroy()),
    ],
  ];
  for (const [how, call] of unanswered)
    test(`after a call ${how}, which does not wait for it`, async () => {
      const told = await callServer({ call, until: 'told' });
      assert.deepEqual([statusOf(told), told.ended, told.isFirst], ['unknown_outcome', ['s'], true]);
    });

  test('after a call that timed out, which does not wait for it', async () => {
    const told = await callServer({ call: () => undefined, until: 'told' }, { timeoutMs: 500 });
    assert.deepEqual([statusOf(told), told.ended, told.isFirst], ['unknown_outcome', ['s'], true]);
  });

  test('after a call that was cancelled, which does not wait for it', async () => {
    const cancel = new AbortController();
    const told = await callServer({ call: () => cancel.abort(), until: 'told' }, { signal: cancel.signal });
    assert.deepEqual([statusOf(told), told.ended, told.isFirst], ['aborted', ['s'], true]);
  });

  test('where it could not be begun', async () => {
    const told = await callServer({ call: () => undefined, initialized: 401, until: 'at once' });
    assert.deepEqual([statusOf(told), told.ended], ['auth', ['s']]);
  });
});
