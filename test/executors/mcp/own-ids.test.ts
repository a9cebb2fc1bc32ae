// Servers count the ids of their own requests from 0, as the SDK does: what they say about a reply of ours is never told as the
// answer to our call.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js';
import { closeExecutors, isExecutorAborted, runCall } from '../../../src/executors/index.js';
import { withOwnIds } from '../../../src/executors/mcp/own-ids.js';
import type { ExecutorResult, RunContext } from '../../../src/executors/types.js';
import type { Connection } from '../../../src/model/policy-set.js';
import { contextWith, isGone } from '../world.js';

after(closeExecutors);

const call = { kind: 'mcp', connection: 'c', tool: 't', arguments: {} } as const;
const opening = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } };
const paid = { content: [], structuredContent: { paid: true } };
const json = { 'content-type': 'application/json' };
const events = { 'content-type': 'text/event-stream' };
const said = (more: object): string => JSON.stringify({ jsonrpc: '2.0', ...more });
const badReply = (id: number | string): string => said({ id, error: { code: -32600, message: 'bad reply' } });
const event = (text: string): string => `data: ${text}\n\n`;
const contexts: readonly Partial<RunContext>[] = [{}, { idempotencyKey: 'k' }];

interface Served {
  readonly said: ExecutorResult;
  /** The ids of our requests. */
  readonly ids: readonly number[];
}
interface Does {
  call(response: ServerResponse, id: number, own: ServerResponse): void;
  /** A reply to the server's request. */
  reply?(id: number): void;
}

async function overHttp(does: Does, more: Partial<RunContext> = {}): Promise<Served> {
  const ids: number[] = [];
  let giveOwn: (own: ServerResponse) => void = () => undefined;
  const own = new Promise<ServerResponse>((resolve) => (giveOwn = resolve));
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, events).flushHeaders();
      return giveOwn(response);
    }
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { method, id } = JSON.parse(body) as { method?: string; id?: number };
      if (method === undefined || id === undefined) {
        response.writeHead(202).end();
        return method === undefined && id !== undefined ? does.reply?.(id) : undefined;
      }
      ids.push(id);
      if (method === 'tools/call') return void own.then((stream) => does.call(response, id, stream));
      const result = method === 'initialize' ? opening : { tools: [] };
      return response.writeHead(200, json).end(said({ id, result }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  try {
    const transport = { kind: 'http', url, allowPrivate: true, headers: {} } as const;
    const context = contextWith({ kind: 'mcp', transport }, { timeoutMs: 120_000, ...more });
    return { said: await runCall(call, context), ids };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Pings with the ids 0 to 3 in the stream of the call, says of each reply that it was bad, and does the call then. */
function pingingOverHttp(where: 'in the stream of the call' | 'in its own stream'): Does {
  let [to, end, bad] = [(_: string): void => undefined, (): void => undefined, 0];
  return {
    call: (response, id, own) => {
      response.writeHead(200, events).flushHeaders();
      const stream = where === 'in its own stream' ? own : response;
      to = (text) => void stream.write(event(text));
      end = () => response.end(event(said({ id, result: paid })));
      for (let ping = 0; ping < 4; ping += 1) to(said({ id: ping, method: 'ping' }));
    },
    reply: (id) => {
      to(badReply(id));
      bad += 1;
      // Late enough that what it said of the reply was read.
      if (bad === 4) setTimeout(end, 100);
    },
  };
}

/** A server over standard streams, of which `onCall` is what a call makes it do, and `onReply` a reply. */
function stdio(onCall: string, onReply = ''): Connection {
  const script = `
  const say = (more) => console.log(JSON.stringify({ jsonrpc: '2.0', ...more }));
  const paid = (more) => ({ ...${JSON.stringify(paid)}, ...more });
  const ids = [];
  let [called, bad] = [null, 0];
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method } = JSON.parse(line);
    if (method === undefined) { ${onReply} return; }
    if (id !== undefined) ids.push(id);
    if (method === 'initialize') say({ id, result: ${JSON.stringify(opening)} });
    if (method === 'tools/list') say({ id, result: { tools: [] } });
    if (method === 'tools/call') { called = id; ${onCall} }
  });`;
  const of = { kind: 'stdio', command: process.execPath, args: ['-e', script], env: {} } as const;
  return { kind: 'mcp', transport: { ...of, workingDirectory: null } };
}

function assertPaid(result: ExecutorResult): void {
  assert.ok(result.status === 'succeeded', JSON.stringify(result));
  assert.deepEqual(result.output, { paid: true });
}

describe(
  'an error about a reply of ours, under the id of a request of the server',
  { timeout: 60_000 },
  () => {
    for (const more of contexts) {
      const how = more.idempotencyKey === undefined ? 'without a key' : 'with a key';
      for (const where of ['in the stream of the call', 'in its own stream'] as const)
        test(`is not told as the refusal of the call, which is done: over HTTP, ${where}, ${how}`, async () => {
          assertPaid((await overHttp(pingingOverHttp(where), more)).said);
        });

      test(`is not told as the refusal of the call, which is done: over standard streams, ${how}`, async () => {
        const pinging = stdio(
          "for (let id = 0; id < 4; id += 1) say({ id, method: 'ping' });",
          `say({ id, error: { code: -32600, message: 'bad reply' } });
        bad += 1;
        if (bad % 4 === 0) say({ id: called, result: paid() });`,
        );
        for (let times = 0; times < 2; times += 1)
          assertPaid(await runCall(call, contextWith(pinging, more)));
      });
    }

    test('leaves the outcome unknown where nothing else answers the call', async () => {
      for (const id of [0, 1, 2, '1', -1]) {
        const streamed = await overHttp({
          call: (response) => response.writeHead(200, events).end(event(badReply(id))),
        });
        const alone = await overHttp({ call: (response) => response.writeHead(200, json).end(badReply(id)) });
        for (const { said: result } of [streamed, alone]) {
          assert.ok(result.status === 'failed', JSON.stringify(result));
          assert.equal(result.errorClass, 'unknown_outcome', result.message);
          assert.match(result.message, /without the answer|does not contain the answer/);
          assert.doesNotMatch(result.message, /bad reply|\d{6}/);
        }
      }
    });

    test('says nothing beside the answer in the same JSON', async () => {
      const { said: result } = await overHttp({
        call: (response, id) =>
          response.writeHead(200, json).end(`[${badReply(1)},${said({ id, result: paid })}]`),
      });
      assertPaid(result);
    });
  },
);

describe('the ids of our requests', { timeout: 60_000 }, () => {
  test('are no small numbers, and others in each session: over HTTP', async () => {
    const answer: Does = {
      call: (response, id) => response.writeHead(200, json).end(said({ id: String(id), result: paid })),
    };
    const sessions = [await overHttp(answer), await overHttp(answer)];
    for (const { said: result } of sessions) assertPaid(result);
    const ids = sessions.flatMap((session) => session.ids);
    assert.equal(new Set(ids).size, 4);
    assert.ok(
      ids.every((id) => Number.isInteger(id) && id >= 1_000_000 && id < 2 ** 31),
      String(ids),
    );
  });

  test('are no small numbers: over standard streams', async () => {
    const result = await runCall(
      call,
      contextWith(stdio('say({ id, result: paid({ structuredContent: { ids } }) });')),
    );
    assert.ok(result.status === 'succeeded', JSON.stringify(result));
    const { ids } = result.output as { ids: number[] };
    assert.equal(ids.length, 2);
    assert.ok(
      ids.every((id) => id >= 1_000_000),
      String(ids),
    );
  });

  test('are the same wherever they stand: in a request, in what cancels it, and in its answer', async () => {
    const sent: JSONRPCMessage[] = [];
    const inner: Transport = {
      start: () => Promise.resolve(),
      close: () => Promise.resolve(),
      send: (message) => Promise.resolve(void sent.push(message)),
    };
    const outer = withOwnIds(inner);
    const heard: JSONRPCMessage[] = [];
    const errors: Error[] = [];
    outer.onmessage = (message) => void heard.push(message);
    outer.onerror = (error) => void errors.push(error);
    await outer.start();
    const cancelled = { requestId: 3, reason: 'late' };
    await outer.send({ jsonrpc: '2.0', id: 3, method: 'tools/call' });
    await outer.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: cancelled });
    const others: JSONRPCMessage[] = [
      { jsonrpc: '2.0', id: 3, result: {} },
      { jsonrpc: '2.0', id: 'a', error: { code: 1, message: 'no' } },
      { jsonrpc: '2.0', method: 'notifications/initialized' },
    ];
    for (const message of others) await outer.send(message);
    const [request, cancel, ...rest] = sent;
    assert.ok(request !== undefined && 'id' in request && typeof request.id === 'number');
    assert.ok(request.id > 1_000_000);
    assert.deepEqual(cancel, {
      jsonrpc: '2.0',
      method: 'notifications/cancelled',
      params: { ...cancelled, requestId: request.id },
    });
    assert.deepEqual(rest, others);

    const ofServer: JSONRPCMessage[] = [
      { jsonrpc: '2.0', id: 3, method: 'ping' },
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 3 } },
    ];
    const answers = [request.id, String(request.id)].map(
      (id) => ({ jsonrpc: '2.0', id, result: {} }) as const,
    );
    const strange = [3, 'a', -1].map((id) => ({ jsonrpc: '2.0', id, result: {} }) as const);
    for (const message of [...ofServer, ...answers, ...strange]) inner.onmessage?.(message);
    const answer = { jsonrpc: '2.0', id: 3, result: {} };
    assert.deepEqual(heard, [...ofServer, answer, answer]);
    assert.equal(errors.length, strange.length);
  });
});

describe('a server over standard streams', { timeout: 60_000 }, () => {
  for (const [how, id, more] of [
    ['a list', '[id]', 'result: paid()'],
    ['an object', '{ id }', 'result: paid()'],
    ['a list, as an error', '[id]', "error: { code: 1, message: 'no' }"],
  ] as const)
    test(`that answers under an id which is none is told at once, and is not waited for: ${how}`, async () => {
      const result = await runCall(
        call,
        contextWith(stdio(`say({ id: ${id}, ${more} });`), { timeoutMs: 120_000 }),
      );
      assert.ok(result.status === 'failed', JSON.stringify(result));
      assert.deepEqual([result.errorClass, result.effectPossible], ['unknown_outcome', true], result.message);
      assert.match(result.message, /it answered with an id that is neither a number nor a text/);
    });

  test('that has not answered `initialize` ends at once where its call is cancelled', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-opening-'));
    const file = join(folder, 'pid');
    // It ends neither with its input nor by itself.
    const script = `process.stdin.resume(); setInterval(() => undefined, 1000);
    require('node:fs').writeFileSync(process.env.FILE, process.pid + ' ');`;
    const of = {
      kind: 'stdio',
      command: process.execPath,
      args: ['-e', script],
      env: { FILE: file },
    } as const;
    const cancel = new AbortController();
    const context = contextWith(
      { kind: 'mcp', transport: { ...of, workingDirectory: null } },
      { timeoutMs: 120_000, signal: cancel.signal },
    );
    const making = assert.rejects(runCall(call, context), isExecutorAborted);
    const pid = (): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');
    while (!pid().endsWith(' ')) await new Promise((resolve) => setTimeout(resolve, 20));
    cancel.abort();
    await making;
    assert.ok(await isGone(Number(pid())), 'it is still there');
    rmSync(folder, { recursive: true });
  });
});
