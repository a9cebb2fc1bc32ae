import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { joinStack } from '../../../testing/servers/joint-stack.js';
import { inCampaigns } from '../../../testing/samples.js';
import { startShipped, type ShippedStack } from '../../../testing/shipped.js';
import type { Answer, Stack } from '../../../testing/servers/stack.js';
import { action, decide, getRun, startRun, submit, until } from '../../../testing/flows.js';
import { asSuperuser } from '../../../testing/servers/database.js';

// What one agent's key may send: as much as is taken, a run can carry; what is more is refused before anything is stored.

const kib = 1024;
const flows = `
version: 1
workflows:
  large:
    owner: test
    inputSchema: { type: object, additionalProperties: false, properties: { text: { type: string }, list: { type: array } } }
    initialState: open
    states:
      open:
        transitions:
          send:
            target: open
            tier: reversible
            executor: { kind: noop, output: { sent: true } }
            inputSchema: { type: object, additionalProperties: false, required: [text], properties: { text: { type: string } } }
            gate: { roles: [finance.controller], timeout: { after: 24h } }
          close: { target: closed }
      closed: { terminal: true }
`;

const joint = joinStack(() => ({
  policies: {
    'roles.yaml': 'version: 1\nroles: { finance.controller: { permissions: [] } }\n',
    'flows/desk.yaml': flows,
  },
}));

describe('large values', () => {
  let stack: Stack;
  before(async () => {
    stack = await joint();
  });

  const open = async (): Promise<string> => (await startRun(stack, 'agent', 'large', {})).run.id;
  const send = (run: string, text: string, extra: object = {}): Promise<Answer> =>
    stack.fetchAs('agent', 'POST', `/v1/runs/${run}/transitions/send`, { arguments: { text, ...extra } });
  const text = (bytes: number, first: string): string => first.padEnd(bytes, 'x');
  const messages = async (run: string): Promise<number> => {
    const { rows } = await asSuperuser(
      stack.databaseUrl,
      'select count(*)::int as count from message where run = $1',
      [run],
    );
    return (rows[0] as { count: number }).count;
  };
  const documentBytes = async (run: string): Promise<number> => {
    const { rows } = await asSuperuser(
      stack.databaseUrl,
      'select length(doc) as bytes from run where id = $1',
      [run],
    );
    return (rows[0] as { bytes: number }).bytes;
  };
  /** It is the process that was started, and it still takes the steps of other runs and of this one. */
  const works = async (worker: number, run: string): Promise<void> => {
    assert.equal(stack.worker.pid, worker);
    assert.equal(stack.worker.running, true, stack.logs());
    for (const other of [await open(), run]) {
      const closed = await submit(stack, 'agent', other, 'close');
      assert.deepEqual(
        [closed.status, closed.body.run?.status],
        [200, 'completed'],
        JSON.stringify(closed.body),
      );
    }
  };
  const approve = async ({ body }: Answer): Promise<void> => {
    const decided = await decide(stack, 'finance', body.result.approval.id, 'approve');
    assert.equal(decided.status, 200, JSON.stringify(decided.body));
    await action(stack, 'agent', body.result.poll, 'executed');
  };

  it('two submits of 900 KB each wait at their gates, and the history of their run is as short as for two words', async () => {
    const { pid } = stack.worker;
    const sizes: number[] = [];
    let run = '';
    for (const bytes of [900_000, 1]) {
      run = await open();
      const sent = await Promise.all(['a', 'b'].map((first) => send(run, text(bytes, first))));
      for (const { status, body } of sent)
        assert.deepEqual([status, body.result?.status], [202, 'pending'], JSON.stringify(body).slice(0, 500));
      assert.equal((await getRun(stack, 'agent', run)).approvals.length, 2);
      for (const each of sent) await approve(each);
      const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}/history`);
      for (const event of body.events as unknown[]) assert.ok(JSON.stringify(event).length < 4_000);
      sizes.push(JSON.stringify(body).length);
    }
    // Grouped otherwise, they are some events more or fewer.
    assert.ok(Math.abs((sizes[0] ?? 0) - (sizes[1] ?? 0)) < 20_000, JSON.stringify(sizes));
    await works(pid, run);
  });

  it(
    'eight submits at once of 950 KB that do not fit the schema are each refused, and nothing falls over',
    inCampaigns,
    async () => {
      const { pid } = stack.worker;
      const run = await open();
      const sent = await Promise.all(
        Array.from({ length: 8 }, (_, index) => send(run, `${index}`, { more: text(950_000, `${index}`) })),
      );
      for (const { status, body } of sent) {
        assert.equal(status, 422, JSON.stringify(body).slice(0, 500));
        // Those that came while the others waited for their answers may have found no room.
        assert.ok(['INPUT_INVALID', 'RUN_FULL'].includes(body.code as string), body.code);
        assert.ok(JSON.stringify(body).length < 20_000);
      }
      assert.ok(sent.some(({ body }) => body.code === 'INPUT_INVALID'));
      const alone = await send(run, 'alone', { more: text(950_000, 'alone') });
      assert.deepEqual([alone.status, alone.body.code], [422, 'INPUT_INVALID']);
      await works(pid, run);
    },
  );

  it('a run goes on after four open approvals of 400 KiB, and takes no more than it can carry', async () => {
    const { pid } = stack.worker;
    const run = await open();
    const sent: Answer[] = [];
    for (let index = 0; index < 4; index += 1) sent.push(await send(run, text(400 * kib, `${index}`)));
    for (const { status, body } of sent) assert.equal(status, 202, JSON.stringify(body).slice(0, 500));
    // 4 MiB is what a run's open approvals may hold together.
    for (let index = 4; index < 10; index += 1) {
      const { status, body } = await send(run, text(400 * kib, `${index}`));
      assert.equal(status, 202, JSON.stringify(body).slice(0, 500));
    }
    const stored = await messages(run);
    const over = await send(run, text(400 * kib, 'over'));
    assert.deepEqual([over.status, over.body.code], [422, 'RUN_FULL']);
    assert.match(over.body.detail as string, /\d+ bytes .*\d+/);
    assert.equal(await messages(run), stored, 'nothing is stored of what is refused at the door');
    assert.ok((await documentBytes(run)) < 100_000, 'the values stand once, outside the document');
    for (const each of sent) await approve(each);
    const again = await send(run, text(400 * kib, 'over'));
    assert.equal(again.status, 202, JSON.stringify(again.body).slice(0, 500));
    await approve(again);
    await works(pid, run);
  });

  it(
    'a run goes on after 47 approvals of 30 KiB that were each decided and executed, and holds none of them',
    inCampaigns,
    async () => {
      const { pid } = stack.worker;
      const run = await open();
      const first = await documentBytes(run);
      for (let index = 0; index < 47; index += 1) {
        const sent = await send(run, text(30 * kib, `${index}`));
        assert.equal(sent.status, 202, JSON.stringify(sent.body).slice(0, 500));
        await approve(sent);
      }
      const { run: last } = await getRun(stack, 'agent', run);
      assert.deepEqual([last.version, last.status], [47, 'running']);
      const grown = (await documentBytes(run)) - first;
      assert.ok(grown < 10_000, `its document has grown by ${grown} bytes`);
      await works(pid, run);
    },
  );

  it('what is over a megabyte as canonical JSON is refused before a run or a message is stored', async () => {
    // As text it is half a megabyte, and fewer values than a request may have: 1e15 is 16 digits in its canonical form.
    const large = `{"text":"${text(300_000, '')}","list":[${'1e15,'.repeat(49_900)}1]}`;
    const trace = `{"parameters":${large}}`;
    const run = await open();
    const stored = async (): Promise<unknown> =>
      (
        await asSuperuser(
          stack.databaseUrl,
          'select (select count(*) from run) as runs, (select count(*) from message) as messages',
        )
      ).rows[0];
    const before = await stored();
    const transition = `/v1/runs/${run}/transitions/send`;
    const flow = '/v1/flows/large/runs';
    for (const [path, body, what] of [
      [transition, `{"arguments":${large}}`, 'the arguments'],
      [transition, `{"arguments":{"text":"a"},"trace":${trace}}`, 'the trace'],
      [flow, `{"input":${large}}`, 'the input'],
      [flow, `{"trace":${trace}}`, 'the trace'],
      [flow, `{"submit":{"transition":"send","arguments":${large}}}`, 'the arguments'],
    ] as const) {
      const sent = await stack.fetchAs('agent', 'POST', path, body);
      assert.deepEqual(
        [sent.status, sent.body.code],
        [413, 'TOO_LARGE'],
        JSON.stringify(sent.body).slice(0, 500),
      );
      assert.match(sent.body.detail as string, new RegExp(`^${what} take 1\\d{6} bytes as canonical JSON, `));
      assert.deepEqual(await stored(), before);
    }
  });
});

describe('large values with the shipped policies', inCampaigns, () => {
  let stack: ShippedStack;
  before(async () => {
    stack = await startShipped();
  });
  after(() => stack.stop());

  it('a start with 900,000 characters and a submit of 700,000 are answered, and the worker lives', async () => {
    const { pid } = stack.worker;
    const input = { employee: 'e'.repeat(900_000), amount: 100, category: 'travel' };
    const started = await stack.fetchAs('employee', 'POST', '/v1/flows/expense_approval/runs', { input });
    assert.ok([201, 202].includes(started.status), JSON.stringify(started.body).slice(0, 500));
    const id = (started.body.run as { id: string }).id;
    await until('the start to settle', async () => (await getRun(stack, 'employee', id)).run.version > 0);
    const sent = await submit(stack, 'employee', id, 'to_manager', {
      arguments: { note: 'n'.repeat(700_000) },
    });
    assert.ok([200, 202, 422].includes(sent.status), JSON.stringify(sent.body).slice(0, 500));
    assert.deepEqual([stack.worker.pid, stack.worker.running], [pid, true], stack.logs());
    const next = await startRun(stack, 'employee', 'expense_approval', {
      employee: 'e',
      amount: 1,
      category: 'travel',
    });
    assert.equal((await submit(stack, 'employee', next.run.id, 'to_manager')).status, 200);
  });
});
