import assert from 'node:assert/strict';
import { lastingRights } from '../../../testing/rights.js';
import { after, before, describe, it } from 'node:test';
import type { SubmitRequest } from '../../../src/client/types.js';
import { newId } from '../../../src/model/names/ids.js';
import type { PayloadRef } from '../../../src/model/records.js';
import { until } from '../../../testing/until.js';
import { withDocument } from '../../../src/service/runs/document.js';
import { codes, startApi, type Answer, type Harness } from '../harness.js';

// Many submits to one run at once: what the run could not carry after those before it is refused before anything is stored, and
// what is stored is executed.

const text = { type: 'object', additionalProperties: false, properties: { text: { type: 'string' } } };
const parts = Array.from({ length: 12 }, (_, n) => `part${n}`);
const adds = parts.map((part) => [
  part,
  { target: 'open', inputSchema: text, output: { [part]: '$.arguments.text' } },
]);
const workflows = {
  parts: {
    ...{ owner: 'test', initialState: 'open' },
    states: {
      open: {
        transitions: {
          ...Object.fromEntries(adds),
          call: {
            ...{ target: 'open', inputSchema: text, output: { called: '$.arguments.text' } },
            executor: { kind: 'noop', output: { done: true } },
          },
        },
      },
    },
  },
};

/** Five of these fit the context, six do not. */
const large = 100_000;

describe('what is submitted to a run at once', () => {
  let api: Harness;
  /** Payloads that the service has read, to play what waits for a run. */
  const read: PayloadRef[] = [];
  before(async () => {
    api = await startApi((deps) => {
      const { getAllReadable } = deps.payloads;
      const payloads = {
        ...deps.payloads,
        getAllReadable: (...[q, refs]: Parameters<typeof getAllReadable>) => {
          read.push(...refs.filter(({ role }) => role === 'args'));
          return getAllReadable(q, refs);
        },
      };
      return { ...deps, payloads };
    });
    await api.load({ 'flows/parts.json': { version: 1, workflows } });
  });
  after(() => api.stop());
  const start = async (): Promise<string> => {
    api.kernel.idle = false;
    return (await api.ask('agent', 'POST', '/v1/flows/parts/runs', {})).body.run.id;
  };
  const submit = (run: string, name: string, length: number): Promise<Answer> =>
    api.ask('agent', 'POST', `/v1/runs/${run}/transitions/${name}?wait=0`, {
      arguments: { text: 'x'.repeat(length) },
    });
  const submitAll = (run: string, names: readonly string[], length = large): Promise<Answer[]> =>
    Promise.all(names.map((name) => submit(run, name, length)));
  /** Of the submits: one more payload is the input of the run. */
  const stored = async (run: string): Promise<unknown> => {
    const { rows } = await api.database.pool.query(
      `select (select count(*)::int from message where run = $1 and kind = 'submit') as messages,
              (select count(*)::int - 1 from payload where run = $1) as payloads`,
      [run],
    );
    return rows[0];
  };
  const kinds = (answers: readonly Answer[]): string[] =>
    answers.map((answer) => (answer.status === 202 ? 'taken' : codes(answer).join())).sort();
  const refused = '422,RUN_FULL';
  const workOn = async (): Promise<void> => {
    api.kernel.idle = false;
    await api.kernel.settled();
  };
  const answersOf = async (run: string): Promise<string[]> => {
    const { rows } = await api.database.pool.query<{ answer: string | null }>(
      `select answer from message where run = $1 and kind = 'submit' order by seq`,
      [run],
    );
    return rows.map(({ answer }) => (answer === null ? 'none' : JSON.parse(answer).status));
  };

  it('is refused before anything is stored where it does not fit behind the others; each that is stored is executed', async () => {
    const run = await start();
    api.kernel.idle = true;
    read.length = 0;
    const answers = await submitAll(run, parts.slice(0, 8));
    assert.deepEqual(kinds(answers), [...Array(3).fill(refused), ...Array(5).fill('taken')]);
    for (const { status, body } of answers)
      if (status === 422)
        assert.match(body.detail, /context would take 600\d{3} bytes, and 524288 are the most/);
    assert.deepEqual(await stored(run), { messages: 5, payloads: 5 });
    assert.deepEqual(kinds(await submitAll(run, parts.slice(8, 10), 1_000)), ['taken', 'taken'], 'these fit');
    assert.deepEqual(read, [], 'each was played when it came, and none is read and played again');
    await workOn();
    assert.deepEqual(await answersOf(run), Array(7).fill('executed'));
    assert.equal((await api.ask('agent', 'GET', `/v1/runs/${run}`)).body.run.version, 7);
  });

  it('is held to the run as a step has left it in between', async () => {
    const run = await start();
    api.kernel.idle = true;
    assert.deepEqual(kinds(await submitAll(run, parts.slice(0, 3))), Array(3).fill('taken'));
    await workOn();
    api.kernel.idle = true;
    const second = kinds(await submitAll(run, parts.slice(3, 8)));
    assert.deepEqual(second, [...Array(3).fill(refused), 'taken', 'taken']);
    assert.deepEqual(await stored(run), { messages: 5, payloads: 5 });
    await workOn();
    assert.deepEqual(await answersOf(run), Array(5).fill('executed'));
  });

  it('is held to the run as the one before it has left it, where each is worked before the next', async () => {
    const run = await start();
    for (const name of parts.slice(0, 5)) {
      api.kernel.idle = true;
      assert.deepEqual(kinds([await submit(run, name, large)]), ['taken']);
      await workOn();
    }
    assert.deepEqual(kinds([await submit(run, 'part5', large)]), [refused]);
    assert.deepEqual(await stored(run), { messages: 5, payloads: 5 });
  });

  it('is kept while its principal has as many reads of runs at work as it may', async () => {
    const run = await start();
    api.kernel.idle = true;
    const { body: principal } = await api.ask('agent', 'GET', '/v1/whoami');
    let end = (): void => undefined;
    const held = new Promise<void>((resolve) => (end = resolve));
    const reader = { deps: api.deps, principal };
    const reads = [1, 2].map(() => withDocument(reader, run, () => held));
    const sent = submitAll(run, parts.slice(0, 2), 10);
    try {
      await until(
        'both are kept',
        async () => JSON.stringify(await stored(run)).includes('"messages":2'),
        5_000,
      );
    } finally {
      end();
    }
    assert.deepEqual(kinds(await sent), ['taken', 'taken']);
    await Promise.all(reads);
    await workOn();
    assert.deepEqual(await answersOf(run), ['executed', 'executed']);
  });

  it('is held also to what another process has kept of the same run, which is read once', async () => {
    const run = await start();
    api.kernel.idle = true;
    const send = (name: string): Promise<unknown> =>
      api.deps.client.submit({
        ...{ run, messageId: newId('msg'), transition: name, arguments: { text: 'x'.repeat(large) } },
        ...{ expectedVersion: null, principal: { id: 'bot', kind: 'agent', roles: [], permissions: [] } },
        ...{ trace: null, waitMs: 1, rights: lastingRights },
      } as SubmitRequest);
    for (const name of parts.slice(0, 4)) await send(name);
    read.length = 0;
    assert.deepEqual(kinds(await submitAll(run, parts.slice(4, 7))), [refused, refused, 'taken']);
    assert.equal(read.length, 4);
    await workOn();
    assert.deepEqual(await answersOf(run), Array(5).fill('executed'));
  });

  it('is left to the run where an effect comes before it, of which nobody knows what comes', async () => {
    const run = await start();
    api.kernel.idle = true;
    assert.deepEqual(kinds([await submit(run, 'call', 10)]), ['taken']);
    assert.deepEqual(kinds([await submit(run, 'part0', 600_000)]), ['taken']);
    await workOn();
    assert.equal((await answersOf(run))[1], 'refused');
  });

  it('is left to the run where a decision, a cancel or a retry waits too', async () => {
    const run = await start();
    api.kernel.idle = true;
    const cancel = await api.ask('admin', 'POST', `/v1/runs/${run}/cancel?wait=0`, { reason: 'a mistake' });
    assert.equal(cancel.status, 202, cancel.text);
    assert.deepEqual(kinds([await submit(run, 'part0', 600_000)]), ['taken']);
    await workOn();
    assert.deepEqual(await answersOf(run), ['refused']);
  });
});
