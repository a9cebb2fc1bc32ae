import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
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

/** Reads until `enough` says so, then lets go. */
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
      (found) => found.some((one) => one.event === 'run.started'),
      {},
      async () => {
        run = await start('agent');
      },
    );
    assert.ok(
      first.every(
        (one) => one.event === one.data.type && one.id === one.data.index && one.event !== 'api.called',
      ),
    );
    const last = first.at(-1)?.id ?? 0;
    await api.ask('agent', 'POST', `/v1/runs/${run}/transitions/bank.balance`, {});
    const rest = await listen(
      api,
      'auditor',
      '/v1/events',
      (found) => found.some((one) => one.event === 'executor.succeeded'),
      { 'last-event-id': String(last) },
    );
    assert.ok(rest.every((one) => one.id > last));
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
      (found) => found.some((one) => one.data.run === marker),
      { 'last-event-id': '0' },
    );
    const runs = new Set(seen.map((one) => one.data.run || one.data.about));
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
      found.map((one) => one.event),
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
