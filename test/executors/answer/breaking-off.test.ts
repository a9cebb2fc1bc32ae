// Mostly waits: for the time-outs of silent answers.
// Answers whose end is the end of their connection (HTTP/1.0, many small servers): Node calls them whole also when the
// connection was reset or the request given up.
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { closeExecutors, runCall } from '../../../src/executors/index.js';
import type { Call, ExecutorResult, RunContext } from '../../../src/executors/types.js';
import { contextWith } from '../world.js';

/** What came with the head has been read: a reset beside unread data looks like an end to libuv, and nobody can tell. */
function received(): Promise<void> {
  return new Promise((resolve) => {
    const name = 'http.client.response.finish';
    const onResponse = (): void => {
      unsubscribe(name, onResponse);
      setImmediate(resolve);
    };
    subscribe(name, onResponse);
  });
}

type Method = 'GET' | 'POST';

describe('an answer that ends with its connection', () => {
  const server = createServer();
  let answer: (socket: Socket, path: string) => void = () => undefined;
  before(async () => {
    server.on('connection', (socket: Socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (head: Buffer) => answer(socket, head.toString('latin1').split(' ')[1] ?? ''));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(async () => {
    server.close();
    await closeExecutors();
  });

  const ask = (method: Method, more: Partial<RunContext> = {}, at = '/'): Promise<ExecutorResult> => {
    const call: Call = {
      ...{ kind: 'rest', connection: 'c', method, path: at, writtenPath: at },
      ...{ query: [], headers: [], body: undefined },
    };
    const { port } = server.address() as AddressInfo;
    const connection = { kind: 'rest', baseUrl: `http://127.0.0.1:${port}`, allowPrivate: true, headers: {} };
    return runCall(call, contextWith(connection as RunContext['connection'], more));
  };
  const heads = {
    'HTTP/1.1': 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n',
    'HTTP/1.0': 'HTTP/1.0 200 OK\r\nContent-Type: text/csv\r\n\r\n',
    gzip: 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n\r\n',
  };
  const begun = { nothing: '', 'all of its JSON': '{"items":[1,2]}', 'a line': 'id,amount\n1,10\n' };
  const classOf = (result: ExecutorResult): string =>
    result.status === 'failed' ? result.errorClass : `${result.status} ${JSON.stringify(result)}`;

  it('is not whole where it is silent until the time is up, whatever is there by then', async () => {
    const told = Object.values(heads).flatMap((text) => Object.values(begun).map((body) => text + body));
    answer = (socket, path) => void socket.write(told[Number(path.slice(1))] ?? '');
    // Long enough for all of them to be sent.
    const soon = { timeoutMs: 3_000 };
    await Promise.all(
      told.map(async (text, index) => {
        const at = `/${index}`;
        const results = await Promise.all([
          ask('POST', soon, at),
          ask('POST', { ...soon, idempotencyKey: 'k' }, at),
          ask('GET', { ...soon, hasEffect: false }, at),
        ]);
        assert.deepEqual(results.map(classOf), ['unknown_outcome', 'timeout', 'timeout'], text);
      }),
    );
  });

  for (const [name, text] of Object.entries(heads))
    for (const [what, body] of Object.entries(begun)) {
      const given = `${name}, ${what} is there`;

      it(`is not whole where the connection is reset: ${given}`, async () => {
        answer = (socket) => {
          socket.write(text + body);
          void received().then(() => socket.resetAndDestroy());
        };
        assert.equal(classOf(await ask('POST')), 'unknown_outcome');
        assert.equal(classOf(await ask('POST', { idempotencyKey: 'k' })), 'connection');
        assert.equal(classOf(await ask('GET', { hasEffect: false })), 'connection');
      });

      it(`is not whole where its run is cancelled: ${given}`, async () => {
        const cancel = new AbortController();
        answer = (socket) => {
          socket.write(text + body);
          void received().then(() => cancel.abort());
        };
        await assert.rejects(ask('POST', { signal: cancel.signal }), { name: 'AbortError' });
      });
    }

  it('is whole where the connection ends well', async () => {
    answer = (socket) => void socket.end(`${heads['HTTP/1.1']}{"items":[1,2]}`);
    const result = await ask('POST');
    assert.ok(result.status === 'succeeded', JSON.stringify(result));
    assert.deepEqual(result.output, { items: [1, 2] });
  });
});
