// Servers with one struct for every message write null for what they leave out, in what they ask and notify themselves too. A
// message with a method is the server's own, and never the answer to the call, whatever else it carries.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { closeExecutors, runCall } from '../../../src/executors/index.js';
import { toReadableMessage } from '../../../src/executors/mcp/message.js';
import type { ExecutorResult, RunContext } from '../../../src/executors/types.js';
import { contextWith } from '../world.js';

after(closeExecutors);

const call = { kind: 'mcp', connection: 'c', tool: 't', arguments: {} } as const;
const opening = { protocolVersion: '2025-06-18', capabilities: {}, serverInfo: { name: 's', version: '1' } };
const paid = { content: [], structuredContent: { paid: true } };
/** Every field, null where it is left out. */
const full = (more: object): string =>
  JSON.stringify({
    jsonrpc: '2.0',
    id: null,
    method: null,
    params: null,
    result: null,
    error: null,
    ...more,
  });

/** A server over standard streams: `onCall` may use `say` (a text), `full`, `id`, `params`, `paid`, and `lists`, how often it listed its tools. */
function overStdio(onCall: string, more: Partial<RunContext> = {}): Promise<ExecutorResult> {
  const script = `
  const say = (text) => process.stdout.write(text + '\\n');
  const full = ${full.toString()};
  const paid = ${JSON.stringify(paid)};
  const open = { type: 'object' };
  let [lists, called, pongs] = [0, null, 0];
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, method, params } = JSON.parse(line);
    if (method === 'initialize') return say(full({ id, result: ${JSON.stringify(opening)} }));
    if (method === 'tools/list') {
      lists += 1;
      const inputSchema = lists === 1 ? open : { ...open, additionalProperties: false };
      return say(full({ id, result: { tools: [{ name: 't', inputSchema }], nextCursor: null } }));
    }
    if (method === undefined) { pongs += 1; return say(full({ id: called, result: paid })); }
    if (method !== 'tools/call') return;
    called = id;
    ${onCall}
  });`;
  const of = { kind: 'stdio', command: process.execPath, args: ['-e', script], env: {} } as const;
  const transport = { ...of, workingDirectory: null } as const;
  return runCall(call, contextWith({ kind: 'mcp', transport }, more));
}

type Say = (response: ServerResponse, id: number) => void;

/** A server over HTTP. `own`: what it says in its own stream when the call has come; `reply`: to what it is answered. */
async function overHttp(
  does: { initialize?: Say; call: Say; own?: (id: number) => string; reply?: () => void },
  more: Partial<RunContext> = {},
): Promise<ExecutorResult> {
  let own: ServerResponse | null = null;
  const json = { 'content-type': 'application/json' };
  const open: Say = (response, id) => response.writeHead(200, json).end(full({ id, result: opening }));
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      own = response.writeHead(200, { 'content-type': 'text/event-stream' });
      return own.flushHeaders();
    }
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { method, id = 0 } = JSON.parse(body) as { method?: string; id?: number };
      if (method === 'initialize') return (does.initialize ?? open)(response, id);
      response.on('close', () => method === undefined && does.reply?.());
      if (method !== 'tools/call') return response.writeHead(202).end();
      const say = (): void => {
        if (does.own === undefined) return does.call(response, id);
        if (own === null) return void setTimeout(say, 5);
        own.write(`data: ${does.own(id)}\n\n`);
        does.call(response, id);
      };
      say();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  try {
    const transport = { kind: 'http', url, allowPrivate: true, headers: {} } as const;
    return await runCall(call, contextWith({ kind: 'mcp', transport }, more));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const json = { 'content-type': 'application/json' };
const answer: Say = (response, id) => response.writeHead(200, json).end(full({ id, result: paid }));
const refusal = { code: 7, message: 'no such account', data: null };

function isPaid(said: ExecutorResult): void {
  assert.ok(said.status === 'succeeded', JSON.stringify(said));
  assert.deepEqual(said.output, { paid: true });
}

function isRefused(said: ExecutorResult): void {
  assert.ok(said.status === 'failed', JSON.stringify(said));
  assert.equal(said.errorClass, 'permanent', said.message);
  assert.match(said.message, /was refused by its server: .*no such account/);
}

describe('what a server asks or notifies itself is never the answer to the call', { timeout: 60_000 }, () => {
  const carried = ['null', '{}', '{ content: [] }'];
  for (const result of carried)
    test(`over standard streams, under the id of the call, with result ${result}: it is answered`, async () => {
      isPaid(await overStdio(`say(full({ id, method: 'ping', result: ${result} }));`));
    });

  for (const result of [null, {}, { content: [] }])
    test(`over HTTP, under the id of the call, with result ${JSON.stringify(result)}: it is answered`, async () => {
      let pay = (): void => undefined;
      isPaid(
        await overHttp({
          own: (id) => full({ id, method: 'ping', result }),
          call: (response, id) => (pay = () => answer(response, id)),
          reply: () => pay(),
        }),
      );
    });

  test('also where the call is answered by nothing else: its outcome is not known', async () => {
    const said = await overHttp({
      call: (response, id) =>
        response.writeHead(200, json).end(full({ id, method: 'tools/call', result: paid })),
    });
    assert.ok(said.status === 'failed', JSON.stringify(said));
    assert.equal(said.errorClass, 'unknown_outcome', said.message);
    assert.match(said.message, /its JSON does not contain the answer/);
  });
});

describe('null for what is left out', { timeout: 60_000 }, () => {
  test('is read in an answer: over standard streams', async () => {
    isPaid(await overStdio('say(full({ id, result: paid }));'));
    isRefused(await overStdio(`say(full({ id, error: ${JSON.stringify(refusal)} }));`));
  });

  test('is read in an answer: over HTTP', async () => {
    isPaid(await overHttp({ call: answer }));
    const refuse: Say = (response, id) => response.writeHead(200, json).end(full({ id, error: refusal }));
    isRefused(await overHttp({ call: refuse }));
  });

  const nulls = ['', ',"params":null', ',"params":{"_meta":null}', ',"id":null,"result":null,"error":null'];
  for (const more of nulls)
    test(`is read in \`list_changed\`, which moves the key: ${more === '' ? 'none' : more}`, async () => {
      const says = `
      say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"${more}}');
      const isArgument = params.arguments._idempotencyKey !== undefined;
      say(full({ id, result: { content: [], structuredContent: { lists, isArgument } } }));`;
      const outputs = [];
      for (let times = 0; times < 2; times += 1) {
        const said = await overStdio(says, { idempotencyKey: 'k' });
        assert.ok(said.status === 'succeeded', JSON.stringify(said));
        outputs.push(said.output);
      }
      assert.deepEqual(outputs, [
        { lists: 1, isArgument: true },
        { lists: 2, isArgument: false },
      ]);
    });

  for (const more of nulls.slice(0, 3))
    test(`is read in a \`ping\`, which is answered: ${more === '' ? 'none' : more}`, async () => {
      isPaid(await overStdio(`say('{"jsonrpc":"2.0","id":77,"method":"ping"${more}}');`));
    });

  test('leaves a message as it is that has none', () => {
    const text = '{"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": [null]}}';
    const read = toReadableMessage(text);
    assert.ok(read.status === 'readable' && read.text === text);
  });
});
