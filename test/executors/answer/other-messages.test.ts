// What becomes of another message of an MCP session (a reply to the server, a notification, an earlier request) says nothing
// about the call: it is not made again for it, and not called refused.
import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer, type ClientRequest, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { closeExecutors, runCall } from '../../../src/executors/index.js';
import { maxReplies, maxWaitingReplies } from '../../../src/executors/mcp/limits.js';
import type { ExecutorResult, RunContext } from '../../../src/executors/types.js';
import type { JsonObject } from '../../../src/model/values/json.js';
import { contextWith } from '../world.js';

after(closeExecutors);

const events = { 'content-type': 'text/event-stream' };
const json = { 'content-type': 'application/json' };
const call = { kind: 'mcp', connection: 'c', tool: 't', arguments: {} } as const;
const opening = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } };
const paid = { content: [], structuredContent: { paid: true } };
const result = (id: number, of: object): string => JSON.stringify({ jsonrpc: '2.0', id, result: of });
const event = (text: string): string => `data: ${text}\n\n`;
const ask = (method: string): string =>
  event(JSON.stringify({ jsonrpc: '2.0', id: 'of-the-server', method, params: {} }));
const withoutId = '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"bad reply"}}';
const sessionLost = '{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No valid session ID"}}';

type Say = (response: ServerResponse, id: number) => void;
interface Behaviour {
  readonly initialize?: Say;
  readonly initialized?: Say;
  readonly call: Say;
  /** To what the server asked itself. */
  readonly reply?: Say;
  readonly own?: Say;
}

interface Outcome {
  readonly said: ExecutorResult;
  readonly calls: number;
}

/** Makes a call to a server over HTTP, and counts how often it comes. */
async function callServer(
  make: (server: Server) => Behaviour,
  more: Partial<RunContext> = {},
): Promise<Outcome> {
  let calls = 0;
  const accept: Say = (response) => response.writeHead(202).end();
  const open: Say = (response, id) =>
    response.writeHead(200, { ...json, 'mcp-session-id': 's' }).end(result(id, opening));
  const server = createServer((request, response) => {
    if (request.method === 'GET' && does.own !== undefined) return does.own(response, 0);
    if (request.method !== 'POST') return void response.writeHead(405).end();
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { method, id = 0 } = JSON.parse(body) as { method?: string; id?: number };
      if (method === 'initialize') return (does.initialize ?? open)(response, id);
      if (method === 'tools/list') return response.writeHead(200, json).end(result(id, { tools: [] }));
      if (method === 'tools/call') {
        calls += 1;
        return does.call(response, id);
      }
      return ((method === undefined ? does.reply : does.initialized) ?? accept)(response, id);
    });
  });
  const does = make(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  try {
    const transport = { kind: 'http', url, allowPrivate: true, headers: {} } as const;
    // Longer than a test may take: what is told is not told by the time-out.
    const context = contextWith({ kind: 'mcp', transport }, { timeoutMs: 120_000, ...more });
    return { said: await runCall(call, context), calls };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Answers with a status, and then, when the client has read it, goes on. */
const refuse =
  (status: number, then: () => void, body = ''): Say =>
  (response) => {
    response.socket?.on('close', () => setImmediate(then));
    response.writeHead(status, { ...json, 'retry-after': '0' }).end(body);
  };

/** Takes the call, asks something of its own in its stream, and goes on with the stream when the reply has got its answer. */
const askingInCall = (
  method: string,
  reply: (then: () => void) => Say,
  goOn: (response: ServerResponse, id: number) => void = (response) => response.destroy(),
): Behaviour => {
  let then = (): void => undefined;
  return {
    call: (response, id) => {
      then = () => goOn(response, id);
      response.writeHead(200, events).write(ask(method));
    },
    reply: (response, id) => reply(() => then())(response, id),
  };
};

/** The same in the server's own stream. */
const askingInOwn = (reply: (then: () => void) => Say): Behaviour => {
  let own: ServerResponse | null = null;
  let then = (): void => undefined;
  return {
    own: (response) => {
      own = response.writeHead(200, events);
      own.flushHeaders();
    },
    call: (response) => {
      response.writeHead(200, events).write(': taken\n\n');
      then = () => response.destroy();
      own?.write(ask('ping'));
    },
    reply: (response, id) => reply(() => then())(response, id),
  };
};

/** Takes the call, and no new connection after it. The stream breaks when the reply has found nobody. */
const closing = (server: Server): Behaviour => ({
  initialize: (response, id) =>
    response.writeHead(200, { ...json, connection: 'close' }).end(result(id, opening)),
  call: (response) => {
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const onFailed = (failed: unknown): void => {
      if ((failed as { request: ClientRequest }).request.getHeader('host') !== host) return;
      diagnostics.unsubscribe('http.client.request.error', onFailed);
      setImmediate(() => response.destroy());
    };
    diagnostics.subscribe('http.client.request.error', onFailed);
    server.close();
    response.writeHead(200, events).write(ask('ping'));
  },
});

/** Asks something in the stream of `initialize`, and answers that when the reply was refused. */
const askingBefore = (): Behaviour => {
  let then = (): void => undefined;
  return {
    initialize: (response, id) => {
      then = () => response.end(event(result(id, opening)));
      response.writeHead(200, { ...events, 'mcp-session-id': 's' }).write(ask('ping'));
    },
    reply: refuse(404, () => then()),
    call: (response) => response.writeHead(200, events).write(': taken\n\n', () => response.destroy()),
  };
};

describe(
  'a call that was taken, and is lost after a reply of its session has failed',
  { timeout: 60_000 },
  () => {
    const statuses = [400, 401, 404, 429, 500];
    const failing: readonly (readonly [string, (server: Server) => Behaviour])[] = [
      ...statuses.map(
        (status) =>
          [
            `with ${status}`,
            () => askingInCall('ping', (then) => refuse(status, then, status === 400 ? sessionLost : '')),
          ] as const,
      ),
      ['with 404, to an elicitation', () => askingInCall('elicitation/create', (then) => refuse(404, then))],
      ['with 404, to what the own stream asked', () => askingInOwn((then) => refuse(404, then))],
      ['with 404, before the call', askingBefore],
      ['because nobody listens any more', closing],
    ];
    for (const [how, make] of failing)
      test(`is made once, and its outcome is not known: ${how}`, async () => {
        const { said, calls } = await callServer(make);
        assert.ok(said.status === 'failed', JSON.stringify(said));
        assert.deepEqual([said.errorClass, calls], ['unknown_outcome', 1], said.message);
        assert.match(said.message, /broke off; whether its effect happened is not known/);
      });

    test('may have had its effect, with a key too', async () => {
      const make = (): Behaviour => askingInCall('ping', (then) => refuse(404, then));
      const { said, calls } = await callServer(make, { idempotencyKey: 'k' });
      assert.ok(said.status === 'failed', JSON.stringify(said));
      assert.deepEqual([said.errorClass, said.effectPossible, calls], ['connection', true, 1], said.message);
    });
  },
);

describe('a call over HTTP', { timeout: 60_000 }, () => {
  test('has succeeded where its answer comes, whatever became of a reply', async () => {
    const { said } = await callServer(() =>
      askingInCall(
        'ping',
        (then) => refuse(404, then, sessionLost),
        (response, id) => response.end(event(result(id, paid))),
      ),
    );
    assert.ok(said.status === 'succeeded', JSON.stringify(said));
  });

  test('is refused by its own refusal, although the stream of an earlier request broke after its answer', async () => {
    let first: ServerResponse | null = null;
    const { said } = await callServer(() => ({
      initialize: (response, id) => {
        first = response.writeHead(200, events);
        first.write(event(result(id, opening)));
      },
      initialized: (response) => {
        first?.socket?.on('close', () => setImmediate(() => response.writeHead(202).end()));
        first?.destroy();
      },
      call: (response) => response.writeHead(422, json).end('{"error":{"message":"amount is missing"}}'),
    }));
    assert.ok(said.status === 'failed', JSON.stringify(said));
    assert.equal(said.errorClass, 'permanent');
    assert.match(said.message, /it answered 422: amount is missing$/);
  });

  test('is lost, and not unreadable, where what the server has for a stream of its own is a page', async () => {
    let give: (own: ServerResponse) => void = () => undefined;
    const asked = new Promise<ServerResponse>((resolve) => {
      give = resolve;
    });
    const { said, calls } = await callServer(
      () => ({
        own: (response) => give(response),
        call: (response) => {
          response.writeHead(202).end();
          void asked.then((own) => own.writeHead(200, { 'content-type': 'text/html' }).write('<html>'));
        },
      }),
      { hasEffect: false },
    );
    assert.ok(said.status === 'failed', JSON.stringify(said));
    assert.deepEqual([said.errorClass, calls], ['connection', 1], said.message);
    assert.match(said.message, /it answered 202, and no stream is open that could bring the answer/);
  });

  test('says why the notification before it was refused, and that nothing was sent', async () => {
    const { said, calls } = await callServer(() => ({
      initialized: (response) => response.writeHead(401).end(),
      call: (response, id) => response.writeHead(200, json).end(result(id, paid)),
    }));
    assert.ok(said.status === 'failed', JSON.stringify(said));
    assert.deepEqual([said.errorClass, calls], ['auth', 0]);
    assert.match(said.message, /it answered 401; nothing was sent$/);
  });
});

describe('an error without an id, in the stream of a call over HTTP', { timeout: 60_000 }, () => {
  const accept = (then: () => void): Say => refuse(202, then);
  const mayBeOther = /answered no tool result: an error without an id, which may be about .*: bad reply; /;

  test('does not say that the call was refused: it may be about a reply, and the answer after it counts', async () => {
    const { said } = await callServer(() =>
      askingInCall('ping', accept, (response, id) => {
        response.write(event(withoutId));
        setTimeout(() => response.end(event(result(id, paid))), 50);
      }),
    );
    assert.ok(said.status === 'succeeded', JSON.stringify(said));
    assert.deepEqual(said.output, { paid: true });
  });

  test('counts for nothing where the answer comes, also where nothing else was sent', async () => {
    const { said } = await callServer(() => ({
      call: (response, id) =>
        response.writeHead(200, events).end(event(withoutId) + event(withoutId) + event(result(id, paid))),
    }));
    assert.ok(said.status === 'succeeded', JSON.stringify(said));
  });

  for (const [how, more, expected] of [
    ['without a key', {}, ['unknown_outcome', true]],
    ['with a key', { idempotencyKey: 'k' }, ['permanent', true]],
    ['without an effect', { hasEffect: false }, ['permanent', undefined]],
  ] as const)
    test(`leaves in doubt what became of a call that has no other answer: ${how}`, async () => {
      for (const make of [
        (): Behaviour => ({ call: (response) => response.writeHead(200, events).end(event(withoutId)) }),
        (): Behaviour => askingInCall('ping', accept, (response) => response.end(event(withoutId))),
      ]) {
        const { said, calls } = await callServer(make, more);
        assert.ok(said.status === 'failed', JSON.stringify(said));
        assert.deepEqual([said.errorClass, said.effectPossible, calls], [...expected, 1], said.message);
        assert.match(`${said.message}; `, mayBeOther);
      }
    });

  test('is waited past in the stream of a 202 too, for the answer in the own stream of the server', async () => {
    let own: ServerResponse | null = null;
    const { said } = await callServer(() => ({
      own: (response) => {
        own = response.writeHead(200, events);
        own.flushHeaders();
      },
      call: (response, id) => {
        // Late enough that the stream of the 202 has been read.
        response.socket?.on('close', () => setTimeout(() => own?.write(event(result(id, paid))), 100));
        response.writeHead(202, { ...events, connection: 'close' }).end(event(withoutId));
      },
    }));
    assert.ok(said.status === 'succeeded', JSON.stringify(said));
  });

  test('is the refusal in a JSON body, which is about its own request only, unless the answer is there too', async () => {
    const asJson = (body: (id: number) => string): Promise<Outcome> =>
      callServer(() => ({ call: (response, id) => response.writeHead(200, json).end(body(id)) }));
    for (const body of [withoutId, `[${withoutId}]`]) {
      const { said } = await asJson(() => body);
      assert.ok(said.status === 'failed', JSON.stringify(said));
      assert.deepEqual([said.errorClass, said.effectPossible], ['permanent', undefined], said.message);
      assert.match(said.message, /was refused by its server: .*bad reply$/);
    }
    const both = await asJson((id) => `[${withoutId},${result(id, paid)}]`);
    assert.ok(both.said.status === 'succeeded', JSON.stringify(both.said));
  });

  test('is no answer either where its id is a list: the end of the stream tells', async () => {
    const { said } = await callServer(() => ({
      call: (response, id) =>
        response.writeHead(200, events).end(event(result(id, paid).replace(`"id":${id}`, `"id":[${id}]`))),
    }));
    assert.ok(said.status === 'failed', JSON.stringify(said));
    assert.equal(said.errorClass, 'unknown_outcome');
    assert.match(said.message, /its stream of events ended without the answer/);
  });
});

describe('a call whose answer stands beside an error without an id', { timeout: 60_000 }, () => {
  test('succeeds beside an error without an id in the body of its answer, also where a null stands in the answer', async () => {
    const answers = [
      '{"jsonrpc":"2.0","id":ID,"method":null,"result":RESULT}',
      '{"jsonrpc":"2.0","id":" ID","result":RESULT}',
    ];
    for (const written of answers)
      for (const order of [0, 1]) {
        const { said } = await callServer(() => ({
          call: (response, id) => {
            const answer = written.replace('ID', String(id)).replace('RESULT', JSON.stringify(paid));
            const body = order === 0 ? [withoutId, answer] : [answer, withoutId];
            response.writeHead(200, json).end(`[${body.join(',')}]`);
          },
        }));
        assert.equal(said.status, 'succeeded', `${written}, ${order}: ${JSON.stringify(said)}`);
      }
  });

  test('is in doubt where a result without its id stands there', async () => {
    const unnamed = `{"jsonrpc":"2.0","id":null,"result":${JSON.stringify(paid)}}`;
    for (const body of [
      [withoutId, unnamed],
      [unnamed, withoutId],
    ]) {
      const { said } = await callServer(() => ({
        call: (response) => response.writeHead(200, json).end(`[${body.join(',')}]`),
      }));
      assert.ok(said.status === 'failed');
      assert.deepEqual([said.errorClass, said.effectPossible], ['unknown_outcome', true], said.message);
    }
  });
});

describe('the replies to a server that asks without end', { timeout: 60_000 }, () => {
  const asked = 400;
  const pings = (count: number): string =>
    Array.from({ length: count }, (_, id) =>
      event(JSON.stringify({ jsonrpc: '2.0', id: `p${id}`, method: 'ping' })),
    ).join('');
  const flood = pings(asked);

  test('are sent a few at a time, and all of them', async () => {
    let [underWay, most, replies] = [0, 0, 0];
    let end = (): void => undefined;
    const { said } = await callServer(() => ({
      call: (response, id) => {
        end = () => response.end(event(result(id, paid)));
        response.writeHead(200, events).write(flood);
      },
      reply: (response) => {
        underWay += 1;
        most = Math.max(most, underWay);
        setTimeout(() => {
          underWay -= 1;
          replies += 1;
          response.writeHead(202).end();
          if (replies === asked) end();
        }, 5);
      },
    }));
    assert.ok(said.status === 'succeeded', JSON.stringify(said));
    assert.deepEqual([most <= maxReplies, replies], [true, asked], `${most} at a time`);
  });

  test('that nobody takes are not sent any more once the call has ended', async () => {
    let replies = 0;
    const { said } = await callServer(() => ({
      call: (response, id) => response.writeHead(200, events).write(flood + event(result(id, paid))),
      reply: () => (replies += 1),
    }));
    assert.ok(said.status === 'succeeded', JSON.stringify(said));
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.ok(replies <= maxReplies, `${replies} replies`);
  });

  test('end the session where too many wait, and what became of the call is not known', async () => {
    const { said, calls } = await callServer(() => ({
      call: (response) => response.writeHead(200, events).write(pings(maxWaitingReplies + maxReplies + 1)),
      reply: () => undefined,
    }));
    assert.ok(said.status === 'failed', JSON.stringify(said));
    assert.deepEqual([said.errorClass, calls], ['unknown_outcome', 1], said.message);
    assert.match(said.message, /its server asks on, and over 1000 replies to it wait to be sent/);
  });
});

describe('a call over standard streams', { timeout: 60_000 }, () => {
  /**
   * `complains`: what it answers with an error without an id; `late`: the opening, when a call comes that has the
   * argument `late`; `call`: the opening, and then each call, which it does not make.
   */
  const overStdio = (
    complains: 'initialized' | 'reply' | 'late' | 'call',
    more: Partial<RunContext> = {},
    args: JsonObject = {},
  ): Promise<ExecutorResult> => {
    const script = `
    const say = (message) => console.log(JSON.stringify({ jsonrpc: '2.0', ...message }));
    const complain = () => say({ id: null, error: { code: -32601, message: 'unknown method' } });
    const pay = () => say({ id: called, result: ${JSON.stringify(paid)} });
    let called;
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const { id, method, params } = JSON.parse(line);
      if (method === 'initialize') return say({ id, result: ${JSON.stringify(opening)} });
      if (method === 'tools/list') return say({ id, result: { tools: [] } });
      if (method === 'tools/call') called = id;
      if (method === 'notifications/initialized' && '${complains}' === 'call') complain();
      if (method === 'tools/call' && '${complains}' === 'call') complain();
      if (method === 'tools/call' && '${complains}' === 'late') { if (params.arguments.late) complain(); pay(); }
      // Late enough that the call is on its way.
      if (method === 'tools/call' && '${complains}' === 'initialized') { complain(); pay(); }
      if (method === 'tools/call' && '${complains}' === 'reply') say({ id: 'of-the-server', method: 'ping' });
      if (method === undefined) { complain(); pay(); }
    });`;
    const of = { kind: 'stdio', command: process.execPath, args: ['-e', script], env: {} } as const;
    const transport = { ...of, workingDirectory: null } as const;
    return runCall({ ...call, arguments: args }, contextWith({ kind: 'mcp', transport }, more));
  };
  const inDoubt = (said: ExecutorResult, errorClass: string): void => {
    assert.ok(said.status === 'failed', JSON.stringify(said));
    assert.deepEqual([said.errorClass, said.effectPossible], [errorClass, true], said.message);
    assert.match(
      said.message,
      /an error without an id, which may be about another message: .*unknown method; its/,
    );
  };

  test('is not called refused for a late error without an id, and is told: with a key', async () => {
    inDoubt(await overStdio('late', { idempotencyKey: 'k' }, { late: true }), 'permanent');
  });

  test('is not called refused for a late error without an id, and is told: without a key', async () => {
    assert.equal((await overStdio('late')).status, 'succeeded');
    inDoubt(await overStdio('late', {}, { late: true }), 'unknown_outcome');
    // The server is kept, and serves the next call.
    assert.equal((await overStdio('late')).status, 'succeeded');
  });

  test('is not waited for where each other message has had its error without an id', async () => {
    const endless = { timeoutMs: 120_000 };
    inDoubt(await overStdio('call', endless), 'unknown_outcome');
    inDoubt(await overStdio('call', { ...endless, idempotencyKey: 'k' }), 'permanent');
    const said = await overStdio('call', { ...endless, hasEffect: false });
    assert.ok(said.status === 'failed', JSON.stringify(said));
    assert.deepEqual([said.errorClass, said.effectPossible], ['permanent', undefined], said.message);
  });
  for (const complains of ['initialized', 'reply'] as const)
    test(`is not refused by an error without an id, which may be about another message: ${complains}`, async () => {
      const said = await overStdio(complains);
      assert.ok(said.status === 'succeeded', JSON.stringify(said));
      assert.deepEqual(said.output, { paid: true });
    });
});
