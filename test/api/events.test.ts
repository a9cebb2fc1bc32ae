import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { setImmediate as later } from 'node:timers/promises';
import { after, before, describe, it } from 'node:test';
import { makeServer, type ApiDeps } from '../../src/api/index.js';
import type { AuditItem } from '../../src/audit/index.js';
import { until } from '../../testing/until.js';
import { codes, startApi, type Harness } from './harness.js';

interface Event {
  readonly id: number;
  readonly event: string;
  readonly data: {
    readonly run: string;
    readonly about: string;
    readonly type: string;
    readonly index: number;
  };
}

/** Reads events until `enough` gives true, then closes the stream. */
async function listen(
  api: Harness,
  as: string,
  path: string,
  enough: (events: Event[]) => boolean,
  headers = {},
  during: () => Promise<void> = async () => undefined,
): Promise<Event[]> {
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(10_000)]);
  const response = await fetch(`${api.url}${path}`, {
    signal,
    headers: { authorization: `Bearer ${api.keys[as]}`, ...headers },
  });
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const acted = during();
  const events: Event[] = [];
  let text = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString();
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? '';
      if (field('id') !== '')
        events.push({ id: Number(field('id')), event: field('event'), data: JSON.parse(field('data')) });
    }
    if (enough(events)) break;
  }
  stop.abort();
  await acted;
  return events;
}

describe('GET /v1/events', () => {
  let api: Harness;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());
  const start = async (as: string): Promise<string> =>
    (await api.ask(as, 'POST', '/v1/flows/pay/runs', {})).body.run.id;

  it('tells what happens as it happens, and goes on after the last event seen', async () => {
    let run = '';
    const first = await listen(
      api,
      'auditor',
      '/v1/events',
      (found) => found.some((event) => event.event === 'run.started'),
      {},
      async () => {
        run = await start('agent');
      },
    );
    assert.ok(
      first.every(
        (event) =>
          event.event === event.data.type && event.id === event.data.index && event.event !== 'api.called',
      ),
    );
    const last = first.at(-1)?.id ?? 0;
    await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.balance`, {});
    const rest = await listen(
      api,
      'auditor',
      '/v1/events',
      (found) => found.some((event) => event.event === 'executor.succeeded'),
      { 'last-event-id': String(last) },
    );
    assert.ok(rest.every((event) => event.id > last));
    assert.equal(rest[0]?.event, 'transition.requested');
  });

  it('tells only what the caller may see', async () => {
    const mine = await start('employee');
    const other = await start('agent');
    const marker = await start('employee');
    const seen = await listen(
      api,
      'employee',
      '/v1/events',
      (found) => found.some((event) => event.data.run === marker),
      { 'last-event-id': '0' },
    );
    const runs = new Set(seen.map((event) => event.data.run || event.data.about));
    assert.ok(runs.has(mine) && !runs.has(other) && !runs.has(''));
  });

  it('can be narrowed to a run and to types', async () => {
    const run = await start('agent');
    const found = await listen(
      api,
      'agent',
      `/v1/events?run=${run}&type=run.started,api.called`,
      (events) => events.length >= 2,
      { 'last-event-id': '0' },
    );
    assert.deepEqual(
      found.map((event) => event.event),
      ['run.started', 'api.called'],
    );
    assert.deepEqual(
      codes(await api.ask('agent', 'GET', '/v1/events', undefined, { 'last-event-id': 'x' })),
      [422, 'REQUEST_INVALID'],
    );
    assert.deepEqual(codes(await api.ask('agent', 'GET', '/v1/events?type=nothing')), [
      422,
      'REQUEST_INVALID',
    ]);
  });
});

describe('a reader of events that takes nothing', () => {
  /** More bytes than fit into the buffers between server and reader. */
  const large = {
    index: 1,
    type: 'api.called',
    data: { text: 'x'.repeat(32_000_000) },
  } as unknown as AuditItem;
  /** The stream's timers, which the test fires itself: the heartbeat, and the end of the wait for a stalled reader. */
  const held = new Map<number, () => void>();
  let judge: 'as it is' | 'refuse' | 'fail' = 'as it is';
  let told = (): void => undefined;
  let left = (): void => undefined;
  const real = { setInterval: globalThis.setInterval, setTimeout: globalThis.setTimeout };
  let api: Harness;
  const changed = (deps: ApiDeps): ApiDeps => ({
    ...deps,
    authenticate: (header) => {
      if (judge === 'fail') return Promise.reject(new Error('the store is away'));
      return judge === 'refuse'
        ? Promise.resolve({ status: 'refused', reason: 'revoked' })
        : deps.authenticate(header);
    },
    feed: {
      ...deps.feed,
      streams: {
        ...deps.feed.streams,
        take: (principal) => {
          const seat = deps.feed.streams.take(principal);
          return seat && { leave: () => (seat.leave(), left()) };
        },
      },
      sights: { ...deps.feed.sights, visible: (_principal, items) => (told(), Promise.resolve(items)) },
      follow: () => {
        held.clear();
        const items = [[large]];
        return {
          leave: () => undefined,
          next: async (signal) => {
            const next = items.pop();
            if (next === undefined && !signal.aborted) await once(signal, 'abort');
            return next ?? [];
          },
        };
      },
    },
  });
  before(async () => {
    api = await startApi(changed);
    const hold = (name: 'setInterval' | 'setTimeout', ms: number): void => {
      const set = real[name] as (act: () => void, after?: number) => NodeJS.Timeout;
      const holding = (act: () => void, after?: number): NodeJS.Timeout => {
        if (after !== ms) return set(act, after);
        held.set(ms, act);
        return set(() => undefined, ms).unref();
      };
      Object.assign(globalThis, { [name]: holding });
    };
    hold('setInterval', 15_000);
    hold('setTimeout', 30_000);
  });
  after(async () => {
    Object.assign(globalThis, real);
    await api.stop();
  });

  for (const [why, said] of [
    ['the store is away at one heartbeat', 'fail'],
    ['its key is revoked', 'refuse'],
  ] as const)
    it(`is cut off, gives up its seat, and ends nobody else’s answer, where ${why}`, async () => {
      judge = 'as it is';
      const isTold = new Promise<void>((resolve) => (told = resolve));
      const isLeft = new Promise<void>((resolve) => (left = resolve));
      const { hostname, port } = new URL(api.url);
      const socket = net.connect(Number(port), hostname).pause();
      socket.on('error', () => undefined);
      const head = ['GET /v1/events?type=api.called HTTP/1.1', 'host: x', 'last-event-id: 0'];
      socket.write([...head, `authorization: Bearer ${api.keys['auditor']}`, '', ''].join('\r\n'));
      await isTold;
      await later();
      judge = said;
      held.get(15_000)?.();
      await later();
      // What the reader has not taken is still in the buffers, so its connection is still open.
      judge = 'as it is';
      held.get(15_000)?.();
      await api.ask('auditor', 'GET', '/v1/whoami');
      const cut = held.get(30_000);
      assert.ok(cut, 'nobody cuts it off');
      cut();
      await isLeft;
      socket.destroy();
      assert.deepEqual(api.logged, []);
      assert.equal((await api.ask('auditor', 'GET', '/v1/whoami')).status, 200);
    });
});

it('an answer that is written to once it has ended is cut off and counted, and the others are served', async () => {
  const api = await startApi();
  const server = makeServer(api.deps);
  server.on('request', (_request, response: ServerResponse) => {
    response.end('x');
    response.write('y');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await fetch(`http://127.0.0.1:${port}/livez`).then(
    (response) => response.text(),
    () => null,
  );
  await until('the error', () =>
    api.logged.some((line) => /the answer to GET \/livez: .*write after end/.test(line)),
  );
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await api.stop();
});
