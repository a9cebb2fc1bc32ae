import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import type { AddressInfo } from 'node:net';
import { buildCall, runCall } from '../../src/executors/index.js';
import type { RestCall, RestExecutor as Rest } from '../../src/executors/rest/types.js';
import { parseRetryAfter } from '../../src/executors/connections/network.js';
import type { Built, Call, ExecutorResult, RunContext } from '../../src/executors/types.js';
import type { Path, Template } from '../../src/engine/plan.js';
import type { Json, JsonObject } from '../../src/model/values/json.js';
import { contextWith, makeWorld, restCall, token, type World } from './world.js';

let world: World;
before(async () => {
  world = await makeWorld();
});
after(() => world.close());

const path = (...segments: string[]): Path => ({
  kind: 'path',
  scope: 'arguments',
  segments,
  optional: false,
  text: `$.arguments.${segments.join('.')}`,
});

const executor = (more: Partial<Rest>): Rest => ({
  kind: 'rest',
  connection: 'rest',
  method: 'GET',
  path: { kind: 'text', parts: ['/echo'] },
  query: [],
  headers: [],
  body: null,
  idempotencyKey: false,
  ...more,
});
const build = (more: Partial<Rest>, args: JsonObject = {}): Built<RestCall> =>
  buildCall(executor(more), { arguments: args, context: {}, input: {} }, 'transition') as Built<RestCall>;
const run = (what: Call, more: Partial<RunContext> = {}): Promise<ExecutorResult> =>
  runCall(what, contextWith(world.connections.rest, more));
const lastSeen = (): World['seen'][number] => world.seen.at(-1) ?? assert.fail('nothing arrived');

test('`$.output` is the JSON body, `$.response` has status, headers and body', async () => {
  const result = await run(restCall({ body: { a: 1 } }));
  assert.ok(result.status === 'succeeded');
  const body = result.output as JsonObject;
  const response = result.response as JsonObject;
  assert.equal(body['body'], '{"a":1}');
  assert.equal(response['status'], 200);
  assert.deepEqual(response['body'], body);
  assert.equal((response['headers'] as JsonObject)['content-type'], 'application/json');
});

test('text stays text; what says that it is JSON and is not fails', async () => {
  const text = await run(restCall({ path: '/text' }));
  assert.ok(text.status === 'succeeded');
  assert.equal(text.output, 'plain words');
  const malformed = await run(restCall({ path: '/malformed' }), { hasEffect: false });
  assert.ok(malformed.status === 'failed');
  assert.equal(malformed.errorClass, 'permanent');
});

const classes: readonly (readonly [number, string])[] = [
  [302, 'permanent'],
  [307, 'permanent'],
  [400, 'permanent'],
  [401, 'auth'],
  [403, 'auth'],
  [404, 'permanent'],
  [408, 'timeout'],
  [409, 'permanent'],
  [499, 'permanent'],
  [429, 'rate_limited'],
  [500, 'transient'],
  [502, 'transient'],
  [503, 'transient'],
  [504, 'timeout'],
  [520, 'transient'],
  [522, 'transient'],
  [524, 'transient'],
  [598, 'transient'],
];
for (const [status, errorClass] of classes) {
  test(`status ${status} is \`${errorClass}\`, and nothing is followed`, async () => {
    const before = world.seen.length;
    const result = await run(restCall({ path: `/status/${status}?after=soon` }), { idempotencyKey: 'k' });
    assert.ok(result.status === 'failed');
    assert.equal(result.errorClass, errorClass);
    assert.equal(world.seen.length, before + 1);
    assert.equal((result.response as JsonObject)['status'], status);
  });
}

const openStatuses = [408, 499, 502, 504, 520, 522, 524, 598];
for (const status of openStatuses)
  test(`status ${status} is an unknown outcome with an effect and without a key, over MCP too`, async () => {
    const tool = { kind: 'mcp', connection: 'mcp', tool: `status-${status}`, arguments: {} } as const;
    const toolConnection = {
      kind: 'mcp',
      transport: {
        kind: 'http',
        url: `${world.url}/mcp`,
        allowPrivate: true,
        headers: { authorization: 'env://TEST_TOKEN' },
      },
    } as const;
    const asked = (more: Partial<RunContext>): Promise<ExecutorResult>[] => [
      run(restCall({ path: `/status/${status}` }), more),
      runCall(tool, contextWith(toolConnection, more)),
    ];
    const usual = classes.find(([known]) => known === status)?.[1];
    for (const [more, errorClass, effectPossible] of [
      [{}, 'unknown_outcome', true],
      [{ idempotencyKey: 'k' }, usual, true],
      [{ hasEffect: false }, usual, false],
    ] as const)
      for (const result of await Promise.all(asked(more))) {
        assert.ok(result.status === 'failed', JSON.stringify(result));
        assert.deepEqual([result.errorClass, result.effectPossible], [errorClass, effectPossible]);
        assert.match(result.message, new RegExp(`answered ${status}`));
      }
  });

/** Over REST and over MCP. */
const answeredWith = (status: number, more: Partial<RunContext>, headers = {}): Promise<ExecutorResult>[] => {
  const after = 'retry-after' in headers ? '9' : 'soon';
  const tool = { kind: 'mcp', connection: 'mcp', tool: `status-${status}-${after}`, arguments: {} } as const;
  return [
    run(restCall({ path: `/status/${status}?after=${after}` }), more),
    runCall(tool, contextWith(world.connections.http, more)),
  ];
};

test('another 5xx keeps its class, and that its effect may have happened is kept with it, over MCP too', async () => {
  for (const status of [500, 501, 503, 529])
    for (const [more, inDoubt] of [
      [{}, true],
      [{ idempotencyKey: 'k' }, true],
      [{ hasEffect: false }, undefined],
    ] as const)
      for (const result of await Promise.all(answeredWith(status, more))) {
        assert.ok(result.status === 'failed', JSON.stringify(result));
        assert.deepEqual(
          [result.errorClass, result.effectInDoubt, result.effectPossible],
          ['transient', inDoubt, undefined],
        );
      }
});

test('a redirect is how services answer what they have done: an unknown outcome without a key, over MCP too', async () => {
  for (const status of [300, 301, 302, 303, 304])
    for (const [more, errorClass, effectPossible] of [
      [{}, 'unknown_outcome', true],
      [{ idempotencyKey: 'k' }, 'permanent', true],
      [{ hasEffect: false }, 'permanent', undefined],
    ] as const)
      for (const result of await Promise.all(answeredWith(status, more))) {
        assert.ok(result.status === 'failed', JSON.stringify(result));
        assert.deepEqual([result.errorClass, result.effectPossible], [errorClass, effectPossible]);
        assert.match(result.message, new RegExp(`answered ${status}.*redirects are not followed`));
      }
  // These say that nothing was done at this address.
  for (const status of [307, 308])
    for (const result of await Promise.all(answeredWith(status, {}))) {
      assert.ok(result.status === 'failed', JSON.stringify(result));
      assert.deepEqual([result.errorClass, result.effectPossible], ['permanent', undefined]);
      assert.match(result.message, /redirects are not followed/);
    }
  for (const status of [302, 303]) {
    const read = await run(restCall({ path: `/status/${status}` }), { hasEffect: false });
    assert.ok(read.status === 'failed' && read.errorClass === 'permanent', JSON.stringify(read));
  }
});

test('Retry-After says of 403 that it is a limit, and of 409 and 425 under a key that they pass, over MCP too', async () => {
  const rows: readonly (readonly [number, Partial<RunContext>, string, string])[] = [
    [403, {}, 'rate_limited', 'auth'],
    [401, {}, 'auth', 'auth'],
    [409, { idempotencyKey: 'k' }, 'transient', 'permanent'],
    [425, { idempotencyKey: 'k' }, 'transient', 'permanent'],
    [409, {}, 'permanent', 'permanent'],
    [422, { idempotencyKey: 'k' }, 'permanent', 'permanent'],
  ];
  for (const [status, more, withIt, without] of rows)
    for (const [headers, errorClass] of [
      [{ 'retry-after': '9' }, withIt],
      [{}, without],
    ] as const)
      for (const result of await Promise.all(answeredWith(status, more, headers))) {
        assert.ok(result.status === 'failed', JSON.stringify(result));
        assert.equal(result.errorClass, errorClass, result.message);
        assert.equal(result.retryAfterMs, 'retry-after' in headers ? 9_000 : undefined);
      }
});

test('a status that leaves the outcome open is none for a call that changes nothing', async () => {
  const result = await run(restCall({ path: '/status/504', method: 'GET' }), { hasEffect: false });
  assert.ok(result.status === 'failed');
  assert.deepEqual([result.errorClass, result.effectPossible], ['timeout', false]);
});

test('Retry-After is read as seconds and as a date', async () => {
  const result = await run(restCall({ path: '/status/429' }));
  assert.ok(result.status === 'failed');
  assert.equal(result.retryAfterMs, 7000);
  const now = Date.parse('2026-11-21T10:00:00Z');
  assert.equal(parseRetryAfter('Sat, 21 Nov 2026 10:00:09 GMT', now), 9000);
  assert.equal(parseRetryAfter('Sat, 21 Nov 2026 09:00:00 GMT', now), 0);
  for (const zone of ['UTC', '+0000', '-0000'])
    assert.equal(parseRetryAfter(`Sat, 21 Nov 2026 10:00:09 ${zone}`, now), 9000, zone);
  assert.equal(parseRetryAfter('1.5', now), 1500);
  for (const unreadable of ['soon', '-5', '', '1e3', '1.', '1.5.2', 'Sat, 21 Nov 2026 10:00:09 +0200'])
    assert.equal(parseRetryAfter(unreadable, now), undefined, unreadable);
});

test('a value in a path stays in its segment', () => {
  const at = (id: Json): string => {
    const built = build({ path: { kind: 'text', parts: ['/users/', path('id'), '/x'] } }, { id });
    return built.status === 'built' && built.call.kind === 'rest' ? built.call.path : built.status;
  };
  assert.equal(at('a b/c?d#e&f'), '/users/a%20b%2Fc%3Fd%23e%26f/x');
  assert.equal(at('ümlaut'), '/users/%C3%BCmlaut/x');
  assert.equal(at('%2e%2e'), '/users/%252e%252e/x');
  assert.equal(at(7), '/users/7/x');
  for (const escaping of ['..', '.', '../admin', '..\\admin', '', '\ud800', null, {}, ['a']]) {
    assert.equal(at(escaping), 'unresolved', JSON.stringify(escaping));
  }
});

test('a failure names the path as it is written: no argument stands in what is kept for good', async () => {
  const hole: Path = {
    ...{ kind: 'path', scope: 'arguments', segments: ['id'], optional: false },
    text: '$.arguments.id',
  };
  const path = { kind: 'text', parts: ['/status/400/', hole] } as const;
  const query: Rest['query'] = [{ key: 'q', value: hole }];
  const built = build({ path, query, headers: [{ key: 'x-id', value: hole }] }, { id: 'SSN-123-45-6789' });
  assert.ok(built.status === 'built');
  const result = await run(built.call);
  assert.match(lastSeen().url, /SSN-123-45-6789/);
  assert.ok(result.status === 'failed');
  assert.equal(result.message, 'connection `rest` answered 400 to `GET /status/400/{$.arguments.id}`');
});

test('a path can neither name another host nor lose its base', async () => {
  const base = { ...world.connections.rest, baseUrl: `${world.url}/api/` } as RunContext['connection'];
  await runCall(restCall({ path: '//evil.example/x' }), contextWith(base));
  assert.equal(lastSeen().url, '/api//evil.example/x');
});

test('query and header values are templates; an optional one that is missing is left out', async () => {
  const optional: Template = { ...path('gone'), optional: true };
  const built = build(
    {
      query: [
        { key: 'q', value: path('q') },
        { key: 'gone', value: optional },
      ],
      headers: [{ key: 'X-Note', value: path('n') }],
    },
    { q: 'a&b=c', n: 5 },
  );
  assert.ok(built.status === 'built');
  await run(built.call);
  assert.equal(lastSeen().url, '/echo?q=a%26b%3Dc');
  assert.equal(lastSeen().headers['x-note'], '5');
});

test('a header cannot be smuggled, and the ones that steer a request cannot be set', () => {
  const header = (key: string, value: string): string =>
    build({ headers: [{ key, value: { kind: 'literal', value } }] }).status;
  assert.equal(header('X-Fine', 'yes'), 'built');
  assert.equal(header('X-Bad', 'a\r\nX-Evil: 1'), 'unresolved');
  for (const name of ['Host', 'content-length', 'Transfer-Encoding', 'no good'])
    assert.equal(header(name, '1'), 'unresolved', name);
});

test('a header’s value is ASCII by the time that its approver sees it', () => {
  const built = build({ headers: [{ key: 'X-Name', value: path('name') }] }, { name: 'Zoë 日本' });
  assert.ok(built.status === 'built' && built.call.kind === 'rest');
  assert.deepEqual(built.call.headers, [['X-Name', 'Zo%C3%AB %E6%97%A5%E6%9C%AC']]);
});

test("a connection's headers cannot be overridden, whatever their case, nor can the idempotency key", async () => {
  const headers = [
    ['AUTHORIZATION', 'mine'],
    ['Idempotency-Key', 'mine'],
  ] as const;
  await run(restCall({ headers }), { idempotencyKey: 'the-key' });
  assert.equal(lastSeen().headers.authorization, token);
  assert.equal(lastSeen().headers['idempotency-key'], 'the-key');
});

test('a read that its connection, as it is by then, makes another method is not sent', async () => {
  const { rest } = world.connections;
  assert.ok(rest.kind === 'rest');
  const ways = [
    { headers: { ...rest.headers, 'X-HTTP-Method-Override': 'DELETE' } },
    { headers: { ...rest.headers, 'Content-Type': 'multipart/form-data; boundary=b' } },
    { baseUrl: `${rest.baseUrl}/x;_method=DELETE` },
  ];
  for (const way of ways) {
    const count = world.seen.length;
    const asked = (hasEffect: boolean): Promise<ExecutorResult> =>
      runCall(
        restCall({ body: 'a=1', headers: [['content-type', 'text/plain']] }),
        contextWith({ ...rest, ...way }, { hasEffect }),
      );
    const refused = await asked(false);
    assert.ok(refused.status === 'failed' && refused.errorClass === 'permanent', JSON.stringify(refused));
    assert.match(refused.message, /may make it another than the one that is looked at/);
    assert.equal(world.seen.length, count);
    await asked(true);
    assert.equal(world.seen.length, count + 1);
  }
});

test('nobody there: `connection`, and nothing was sent', async () => {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  const connection = {
    kind: 'rest',
    baseUrl: `http://127.0.0.1:${port}`,
    allowPrivate: true,
    headers: {},
  } as const;
  const result = await runCall(restCall({}), contextWith(connection));
  assert.ok(result.status === 'failed');
  assert.equal(result.errorClass, 'connection');
});

test('a connection lost after sending is an unknown outcome, unless a key or no effect makes it harmless: whatever its method', async () => {
  const lost = async (at: string, more: Partial<RunContext>, method = 'POST'): Promise<string> => {
    const result = await run(restCall({ path: at, method }), more);
    return result.status === 'failed' ? result.errorClass : result.status;
  };
  for (const at of ['/drop', '/cut']) {
    assert.equal(await lost(at, {}), 'unknown_outcome');
    assert.equal(await lost(at, { idempotencyKey: 'k' }), 'connection');
    assert.equal(await lost(at, { hasEffect: false }), 'connection');
    assert.equal(await lost(at, {}, 'GET'), 'unknown_outcome');
  }
});
