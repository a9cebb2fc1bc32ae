// An MCP server over HTTP that answers a call without its answer: that is told at once, unless another stream may still bring it.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { closeExecutors, runCall } from '../../../src/executors/index.js';
import { maxMessageBytes } from '../../../src/executors/mcp/limits.js';
import type { ExecutorResult, RunContext } from '../../../src/executors/types.js';
import { contextWith } from '../world.js';

after(closeExecutors);

const events = { 'content-type': 'text/event-stream' };
const json = { 'content-type': 'application/json' };
const message = (id: number, of: object): string => JSON.stringify({ jsonrpc: '2.0', id, result: of });
const opening = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } };
const log =
  '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":{"error":"x"}}}';
const paid = { content: [], structuredContent: { paid: true } };

/** The server's own stream, that of its session; null: it has none. */
type Own = ServerResponse | null;
/** `id`: that of the call. */
type Say = (response: ServerResponse, own: Own, id: number) => void;

/** A call to a server that answers it with `say`. */
async function callServer(
  say: Say,
  hasOwn: boolean,
  more: Partial<RunContext> = {},
): Promise<ExecutorResult> {
  let giveOwn: (own: Own) => void = () => undefined;
  const own = new Promise<Own>((resolve) => {
    giveOwn = resolve;
  });
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      if (hasOwn) response.writeHead(200, events).flushHeaders();
      else response.writeHead(405).end();
      return giveOwn(hasOwn ? response : null);
    }
    if (request.method !== 'POST') return void response.writeHead(405).end();
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { method, id = 0 } = JSON.parse(body) as { method: string; id?: number };
      if (method === 'initialize') return response.writeHead(200, json).end(message(id, opening));
      if (method === 'tools/call') return void own.then((stream) => say(response, stream, id));
      return response.writeHead(202).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  try {
    const transport = { kind: 'http', url, allowPrivate: true, headers: {} } as const;
    const call = { kind: 'mcp', connection: 'c', tool: 't', arguments: {} } as const;
    // Longer than a test may take: what is told is not told by the time-out.
    return await runCall(call, contextWith({ kind: 'mcp', transport }, { timeoutMs: 120_000, ...more }));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const answerTo202: Say = (response, own, id) => {
  response.writeHead(202).end();
  own?.write(`data: ${message(id, paid)}\n\n`);
};

describe('a call that is answered without its answer', { timeout: 60_000 }, () => {
  const unanswered: readonly (readonly [string, Say, boolean])[] = [
    ['202, and the server has no stream of its own', (response) => response.writeHead(202).end(), false],
    ['202 as empty JSON', (response) => response.writeHead(202, json).end(), false],
    [
      '202 with other words',
      (response) => response.writeHead(202, { 'content-type': 'text/plain' }).end('ok'),
      false,
    ],
    [
      '202 with JSON that is no message',
      (response) => response.writeHead(202, json).end('{"ok":true}'),
      false,
    ],
    ['202 as events without any', (response) => response.writeHead(202, events).end(), false],
    [
      '202, and the stream of the server ends',
      (response, own) => {
        response.writeHead(202).end();
        own?.end();
      },
      true,
    ],
    [
      'an error in the log, and its stream of events ends',
      (response) =>
        response
          .writeHead(200, events)
          .end('data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error"}}\n\n'),
      false,
    ],
    ...(
      [
        ['an error in the data of the log', () => log],
        ['an error that is none', () => '{"error":"Session not found"}'],
        ['the answer to another', (id: number) => message(id + 8, paid)],
        [
          'a request that has an error',
          (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"ping","error":{}}`,
        ],
      ] as const
    ).map(
      ([what, text]) =>
        [
          `${what}, and its stream of events ends`,
          (response: ServerResponse, _own: Own, id: number) =>
            response.writeHead(200, events).end(`data: ${text(id)}\n\n`),
          false,
        ] as const,
    ),
    [
      '202, and the stream of the server ends with an error in the data of the log',
      (response, own) => {
        response.writeHead(202).end();
        own?.end(`data: ${log}\n\n`);
      },
      true,
    ],
    [
      'the answer under the name of another event',
      (response, _own, id) =>
        response.writeHead(200, events).end(`event: done\ndata: ${message(id, paid)}\n\n`),
      false,
    ],
    ['no message at all', (response) => response.writeHead(200, json).end('[]'), false],
    [
      'the answer to another',
      (response, _own, id) => response.writeHead(200, json).end(message(id + 8, paid)),
      false,
    ],
    [
      'a notification',
      (response) => response.writeHead(200, json).end('{"jsonrpc":"2.0","method":"notifications/message"}'),
      false,
    ],
    ['none, although its own stream is open', (response) => response.writeHead(200, json).end('[]'), true],
  ];
  for (const [how, say, hasOwn] of unanswered)
    test(`${how}: is told at once, and may have had its effect`, async () => {
      for (const [more, errorClass] of [
        [{ hasEffect: false }, 'connection'],
        [{}, 'unknown_outcome'],
      ] as const) {
        const said = await callServer(say, hasOwn, more);
        assert.ok(said.status === 'failed', JSON.stringify(said));
        assert.equal(said.errorClass, errorClass, said.message);
        assert.match(said.message, /the answer/);
      }
    });

  for (const [how, say, why] of [
    [
      'not UTF-8',
      (response) => response.writeHead(202, json).end(Buffer.from([0x22, 0xe9, 0x22])),
      /not UTF-8/,
    ],
    [
      'packed in an unknown way',
      (response) => response.writeHead(202, { ...json, 'content-encoding': 'x' }).end('?'),
      /content encoding/,
    ],
    [
      'not UTF-8 behind a notification that names an error',
      (response) => {
        response.writeHead(202, events);
        response.write('data: {"jsonrpc":"2.0","method":"notifications/x","params":{"error":1}}\n\n');
        response.end(Buffer.from([0xe9, 0x0a]));
      },
      /not UTF-8/,
    ],
  ] as readonly (readonly [string, Say, RegExp])[])
    test(`202 with a body that is ${how}, and no other stream: is told at once, with what was wrong`, async () => {
      const said = await callServer(say, false, { hasEffect: false });
      assert.ok(said.status === 'failed', JSON.stringify(said));
      assert.match(said.message, why);
    });

  const large = { content: [{ type: 'text', text: 'x'.repeat(maxMessageBytes) }] };
  const unread: readonly (readonly [string, Say, RegExp])[] = [
    ...([{}, json] as const).map(
      (headers) =>
        [
          `too large, after a 202 as ${JSON.stringify(headers)}`,
          (response: ServerResponse, own: Own, id: number) => {
            response.writeHead(202, headers).end();
            own?.end(`data: ${message(id, large)}\n\n`);
          },
          /its answer is over \d+ bytes/,
        ] as const,
    ),
    [
      'not UTF-8, before the 202',
      (response, own) => {
        own?.on('close', () => response.writeHead(202).end());
        own?.write(Buffer.from([0xe9, 0x0a]));
      },
      /not UTF-8/,
    ],
  ];
  for (const [how, say, why] of unread)
    test(`whose answer was left to the stream of the server, which is ${how}: is told at once, with what was wrong`, async () => {
      const said = await callServer(say, true, { hasEffect: false });
      assert.ok(said.status === 'failed', JSON.stringify(said));
      assert.equal(said.errorClass, 'permanent', said.message);
      assert.match(said.message, why);
    });

  const answered: readonly (readonly [string, Say, boolean])[] = [
    [
      'as an event of a 202',
      (response, _own, id) => response.writeHead(202, events).end(`data: ${message(id, paid)}\n\n`),
      false,
    ],
    ['as JSON of a 202', (response, _own, id) => response.writeHead(202, json).end(message(id, paid)), false],
    ['in the stream of the server, after a 202', answerTo202, true],
    ...(
      [
        [
          'that breaks off',
          (response) => response.writeHead(202, events).write(': x\n\n', () => response.destroy()),
        ],
        [
          'that is packed wrongly',
          (response) => response.writeHead(202, { ...json, 'content-encoding': 'gzip' }).end(),
        ],
        [
          'that is packed in an unknown way',
          (response) => response.writeHead(202, { ...json, 'content-encoding': 'x' }).end('?'),
        ],
        [
          'that is not UTF-8',
          (response) => response.writeHead(202, json).end(Buffer.from([0x22, 0xe9, 0x22])),
        ],
      ] as readonly (readonly [string, Say])[]
    ).map(
      ([how, say]) =>
        [
          `in the stream of the server, after a 202 with a body ${how}`,
          (response: ServerResponse, own: Own, id: number) => {
            response.on('close', () => void setImmediate(() => own?.write(`data: ${message(id, paid)}\n\n`)));
            say(response, own, id);
          },
          true,
        ] as const,
    ),
    [
      'in the stream of the server, which ends with it before the 202',
      (response, own, id) => {
        own?.end(`data: ${message(id, paid)}\n\n`);
        own?.on('finish', () => response.writeHead(202).end());
      },
      true,
    ],
    [
      'in the stream of the server, after a 202 with JSON that is no message',
      (response, own, id) => {
        response.writeHead(202, json).end('null');
        own?.write(`data: ${message(id, paid)}\n\n`);
      },
      true,
    ],
  ];
  for (const [where, say, hasOwn] of answered)
    test(`is answered where the answer stands ${where}`, async () => {
      const said = await callServer(say, hasOwn);
      assert.ok(said.status === 'succeeded', JSON.stringify(said));
      assert.deepEqual(said.output, { paid: true });
    });
});
