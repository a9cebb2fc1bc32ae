import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { insist, makePeople, decideOn, type People, type Reply } from '../../../drill/caller.js';
import { asSuperuser } from '../../../testing/servers/database.js';
import { getRun, startRun, submit, until } from '../../../testing/flows.js';
import type { EffectSeen } from '../../../testing/services.js';
import { startShipped, type ShippedStack } from '../../../testing/shipped.js';

// Many messages of one run at once, also while its worker stands still. Each is answered, and each answer is what the
// store says in the end.

const flow = 'vendor-invoice-reconciliation';
const draft = 'erp.payment.draft';

interface Stored {
  readonly id: string;
  readonly kind: string;
  readonly answer: { readonly status: string; readonly code?: string } | null;
}

describe('many messages of one run at once', () => {
  let stack: ShippedStack;
  let people: People;
  before(async () => {
    stack = await startShipped();
    people = await makePeople(stack);
  });
  after(() => stack.stop());

  const open = async (): Promise<string> =>
    (await startRun(stack, 'agent', flow, {}, { environment: 'staging' })).run.id;
  const messagesOf = async (run: string): Promise<Stored[]> => {
    const { rows } = await asSuperuser(
      stack.databaseUrl,
      'select id, kind, answer from message where run = $1 order by seq',
      [run],
    );
    return (rows as { id: string; kind: string; answer: string | null }[]).map(({ answer, ...row }) => ({
      ...row,
      answer: answer === null ? null : (JSON.parse(answer) as Stored['answer']),
    }));
  };
  const allAnswered = (run: string): Promise<Stored[]> =>
    until(
      `all answers of ${run}`,
      async () => {
        const found = await messagesOf(run);
        return found.every(({ answer, kind }) => answer !== null || kind === 'start') ? found : null;
      },
      60_000,
    );
  const eventsOf = async (run: string): Promise<string[]> => {
    const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}/history`);
    return (body.events as { eventType: string }[]).map(({ eventType }) =>
      eventType.replace('EVENT_TYPE_', ''),
    );
  };
  const replays = async (run: string): Promise<void> => {
    await until('its history at rest', async () => {
      const last = (await eventsOf(run)).at(-1);
      return !['WORKFLOW_TASK_SCHEDULED', 'WORKFLOW_TASK_STARTED', 'WORKFLOW_EXECUTION_SIGNALED'].includes(
        last ?? '',
      );
    });
    const { body } = await stack.fetchAs('auditor', 'POST', `/v1/runs/${run}/replay`);
    assert.equal(body.ok, true, JSON.stringify(body));
  };
  const draftsOf = async (run: string): Promise<readonly EffectSeen[]> =>
    (await stack.services.drafts()).filter(({ key }) => key.startsWith(run));
  const ask = (run: string, vendor: string, amount: number, key?: string): Promise<Reply> =>
    people.agent.post(`/v1/runs/${run}/transitions/${draft}`, { arguments: { vendor, amount } }, key);
  const resultOf = ({ body }: Reply) =>
    (body as { result?: { status: string; poll: string; approval?: { id: string; digest: string } } }).result;
  /** Gates of one run, each for its vendor. */
  const gates = async (
    run: string,
    count: number,
  ): Promise<{ vendor: string; approval: string; digest: string; poll: string }[]> => {
    const parked = [];
    for (let index = 0; index < count; index += 1) {
      const vendor = `V-${index}`;
      const { status, body } = await submit(stack, 'agent', run, draft, {
        arguments: { vendor, amount: 60_000 },
      });
      assert.equal(status, 202, JSON.stringify(body));
      parked.push({
        vendor,
        approval: body.result.approval.id,
        digest: body.result.approval.digest,
        poll: body.result.poll,
      });
    }
    return parked;
  };
  /** Who was told yes has an effect of theirs, once; who was told no has none, now and later. */
  const decisionsAreTrue = async (
    run: string,
    gated: readonly { vendor: string; approval: string; poll: string }[],
    replies: readonly Reply[],
  ): Promise<void> => {
    for (const [index, { approval, poll }] of gated.entries()) {
      const reply = replies[index];
      assert.ok(reply);
      assert.ok(reply.status === 200 || reply.status === 202, `${approval}: ${JSON.stringify(reply)}`);
      await until(
        `${poll} to be executed`,
        async () => {
          const { body } = await stack.fetchAs('agent', 'GET', poll);
          return body.status === 'executed';
        },
        120_000,
      );
      const { body } = await stack.fetchAs('finance', 'GET', `/v1/approvals/${approval}`);
      assert.equal(body.status, 'consumed');
    }
    const { rows } = await asSuperuser(
      stack.databaseUrl,
      'select status, count(*)::int as count from decision where run = $1 group by 1',
      [run],
    );
    assert.deepEqual(rows, [{ status: 'applied', count: gated.length }]);
    const drafts = await draftsOf(run);
    for (const { vendor } of gated)
      assert.equal(drafts.filter(({ body }) => body['vendor'] === vendor).length, 1, vendor);
  };

  it('24 approvals of one run that are decided at once are each applied and executed once', async () => {
    const run = await open();
    const gated = await gates(run, 24);
    const [controller] = people.controllers;
    const replies = await Promise.all(
      gated.map((gate) => decideOn(controller, { flow, run, expiresAt: 0, ...gate }, 'approve')),
    );
    await decisionsAreTrue(run, gated, replies);
    await replays(run);
  });

  it('16 decisions beside 30 submits: nobody is told what is not so', async () => {
    const run = await open();
    const gated = await gates(run, 16);
    const [controller] = people.controllers;
    const [replies, submits] = await Promise.all([
      Promise.all(gated.map((gate) => decideOn(controller, { flow, run, expiresAt: 0, ...gate }, 'approve'))),
      Promise.all(
        Array.from({ length: 30 }, (_, index) => ask(run, `S-${index}`, index % 2 === 0 ? 10 : 60_000)),
      ),
    ]);
    await decisionsAreTrue(run, gated, replies);
    await allAnswered(run);
    // What was told `executing` is executed by now or soon.
    const results = submits.flatMap((reply) => resultOf(reply) ?? []);
    for (const { poll } of results.filter(({ status }) => status === 'executing'))
      await until(
        `${poll} to have come to something`,
        async () => (await stack.fetchAs('agent', 'GET', poll)).body.status !== 'executing',
        120_000,
      );
    const isPending = results.some(({ status }) => status === 'pending');
    assert.equal((await getRun(stack, 'agent', run)).run.status, isPending ? 'waiting' : 'running');
    const drafts = await draftsOf(run);
    for (const [index, reply] of submits.entries()) {
      const made = drafts.filter(({ body }) => body['vendor'] === `S-${index}`).length;
      const result = resultOf(reply);
      const told = reply.code ?? result?.status ?? 'nothing';
      // An open run is never called closed, and a refusal is final.
      assert.ok(
        ['RUN_BUSY', 'RATE_LIMITED', 'executed', 'pending', 'executing'].includes(told),
        JSON.stringify(reply),
      );
      if (told === 'executed') assert.equal(made, 1, JSON.stringify(reply));
      if (told === 'pending') {
        assert.equal(made, 0);
        const { body } = await stack.fetchAs('finance', 'GET', `/v1/approvals/${result?.approval?.id}`);
        assert.deepEqual([body.status, body.arguments?.vendor], ['open', `S-${index}`], JSON.stringify(body));
      }
      if (reply.code !== null) assert.equal(made, 0, JSON.stringify(reply));
      if (told === 'executing') {
        const { body } = await stack.fetchAs('agent', 'GET', result?.poll ?? '');
        const { status } = body as { status?: string };
        assert.equal(made, status === 'executed' ? 1 : 0, JSON.stringify(body));
      }
    }
    await replays(run);
  });

  for (const count of [12, 40, 90]) {
    it(`${count} messages while the worker stands still are all answered when it goes on, and the history replays`, async () => {
      const run = await open();
      const { pid } = stack.worker;
      process.kill(pid, 'SIGSTOP');
      const replies = Array.from({ length: count }, (_, index) =>
        insist(() => ask(run, `V-${index}`, 60_000, `${run}-${index}`), 300_000),
      );
      try {
        // As many as a run may have unanswered; who comes then is asked to come again.
        const most = Math.min(count, 50);
        await until(
          'their bells in the history',
          async () => {
            const events = await eventsOf(run);
            const bells = events.filter((event) => event === 'WORKFLOW_EXECUTION_SIGNALED').length;
            return bells >= most && events.includes('WORKFLOW_TASK_TIMED_OUT');
          },
          60_000,
        );
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      for (const { reply } of await Promise.all(replies))
        assert.equal(reply.status, 202, JSON.stringify(reply));
      const stored = await allAnswered(run);
      const submits = stored.filter(({ kind }) => kind === 'submit');
      assert.deepEqual(
        [submits.length, submits.filter(({ answer }) => answer?.status === 'pending').length],
        [count, count],
      );
      const seen = await getRun(stack, 'agent', run);
      assert.deepEqual(
        [seen.run.status, new Set(seen.approvals.map(({ id }) => id)).size],
        ['waiting', count],
      );
      assert.deepEqual([stack.worker.pid, stack.worker.running], [pid, true]);
      await replays(run);
      const closed = await submit(stack, 'agent', run, 'complete');
      assert.equal(closed.body.run?.status, 'completed', JSON.stringify(closed.body));
    });
  }
});
