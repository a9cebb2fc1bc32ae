import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { asSuperuser } from '../../../testing/servers/database.js';
import { action, audit, decide, getRun, parkPayment, submit, until } from '../../../testing/flows.js';
import { rememberRun } from '../../../testing/servers/restore.js';
import { inCampaigns } from '../../../testing/samples.js';
import { shareStack } from '../../../testing/servers/shared-stack.js';
import type { ShippedStack } from '../../../testing/shipped.js';
import type { StateView } from '../../../src/workflows/messages.js';

// A run has two memories: the store and Temporal's history. Where they tell of different pasts nothing goes on by itself.

const namespace = 'countersign-staging';
const draft = 'erp.payment.draft';

describe('a run whose store and history tell of different pasts', () => {
  let stack: ShippedStack;
  before(async () => {
    ({ stack } = await shareStack());
  });

  const handleOf = (run: string): WorkflowHandle =>
    new Client({ connection: stack.connection, namespace }).workflow.getHandle(run);
  const drafts = async (run: string): Promise<number> =>
    (await stack.services.drafts()).filter(({ key }) => key.startsWith(run)).length;
  const forked = (run: string): Promise<unknown> =>
    until(`${run} to be stuck`, async () => {
      const { run: now } = await getRun(stack, 'admin', run);
      return now.status === 'stuck' && now.problem?.code === 'HISTORY_FORKED';
    });
  const wholeChain = async (run: string): Promise<void> => {
    const own = (await audit(stack, run)).filter(({ chain }) => chain === 'run');
    own.sort((a, b) => a.runSeq - b.runSeq);
    for (const [index, record] of own.entries()) {
      assert.equal(record.runSeq, index);
      assert.equal(record.prev, index === 0 ? null : own[index - 1]?.hash);
    }
  };
  /** The checks of its replay that find something. */
  const differing = async (run: string): Promise<readonly string[]> => {
    const { body } = await stack.fetchAs('auditor', 'POST', `/v1/runs/${run}/replay`);
    return (body.checks as { name: string; ok: boolean }[]).flatMap(({ name, ok }) => (ok ? [] : [name]));
  };
  const operate = (run: string, what: 'cancel' | 'retry') =>
    stack.fetchAs('admin', 'POST', `/v1/runs/${run}/${what}`, { reason: 'seen' });

  it('is stuck when its store was restored to an earlier step: HISTORY_FORKED, recorded, and for an operator to end', async () => {
    const parked = await parkPayment(stack);
    const restore = await rememberRun(stack.databaseUrl, parked.run);
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
    await action(stack, 'agent', parked.poll, 'executed');
    await restore();
    assert.equal((await getRun(stack, 'agent', parked.run)).run.status, 'waiting');
    // The store has forgotten that it was decided and done. The history has not.
    const again = await decide(stack, 'finance', parked.approval, 'approve');
    await forked(parked.run);
    assert.equal(await drafts(parked.run), 1, JSON.stringify(again.body));
    const [stuck] = await audit(stack, parked.run, 'run.stuck');
    assert.equal(stuck?.data['code'], 'HISTORY_FORKED');
    const refused = await submit(stack, 'agent', parked.run, draft, {
      arguments: { vendor: 'MORE', amount: 10 },
    });
    assert.equal(refused.body.code, 'RUN_STUCK');
    const cancelled = await operate(parked.run, 'cancel');
    assert.equal(cancelled.body.run?.status, 'cancelled', JSON.stringify(cancelled.body));
    assert.equal(await drafts(parked.run), 1);
    await wholeChain(parked.run);
    await handleOf(parked.run).result();
  });

  const overdue = (run: string): Promise<unknown> =>
    asSuperuser(stack.databaseUrl, 'update run set check_at = 0 where id = $1', [run]);

  it('is found though nobody asks it anything, once something is overdue, where its workflow is ahead of its store', async () => {
    const parked = await parkPayment(stack);
    const restore = await rememberRun(stack.databaseUrl, parked.run);
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
    await action(stack, 'agent', parked.poll, 'executed');
    await restore();
    await overdue(parked.run);
    await forked(parked.run);
    assert.equal(await drafts(parked.run), 1);
    assert.equal((await operate(parked.run, 'cancel')).body.run?.status, 'cancelled');
    await handleOf(parked.run).result();
  });

  it(
    'goes on from its store though nobody asks it anything, once something is overdue, where its workflow is behind',
    inCampaigns,
    async () => {
      const parked = await parkPayment(stack);
      const handle = handleOf(parked.run);
      const { events } = await handle.fetchHistory();
      const first = events?.find(({ workflowTaskCompletedEventAttributes: done }) => done)?.eventId;
      assert.ok(first !== undefined && first !== null);
      const { runId } = await handle.describe();
      // To its first task, and without the signals that have come since.
      await stack.connection.workflowService.resetWorkflowExecution({
        ...{ namespace, reason: 'by somebody', requestId: `${parked.run}-reset` },
        workflowExecution: { workflowId: parked.run, runId },
        workflowTaskFinishEventId: first,
        resetReapplyExcludeTypes: [1],
        resetReapplyType: 2,
      });
      const rev = async (): Promise<number> => (await handle.query<StateView>('state')).rev;
      const store = await asSuperuser(stack.databaseUrl, 'select rev from run where id = $1', [parked.run]);
      const known = store.rows[0] as { readonly rev: number };
      assert.ok((await rev()) < known.rev);
      await overdue(parked.run);
      await until('its workflow to know what the store knows', async () => (await rev()) === known.rev);
      assert.equal((await getRun(stack, 'agent', parked.run)).run.status, 'waiting');
      assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
      await action(stack, 'agent', parked.poll, 'executed');
      assert.equal(await drafts(parked.run), 1);
      assert.deepEqual(
        await differing(parked.run),
        [],
        'its histories tell of less than its store, and of nothing else',
      );
    },
  );

  it(
    'is stuck when its workflow goes on from a past that its store does not have, whoever started that',
    inCampaigns,
    async () => {
      const parked = await parkPayment(stack);
      await handleOf(parked.run).terminate('by a stranger');
      const description = await handleOf(parked.run).fetchHistory();
      const input = description.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
      assert.ok(input?.data);
      const own = JSON.parse(Buffer.from(input.data).toString('utf8')) as { kernel: number; start: object };
      const zero = `sha256:${'0'.repeat(64)}`;
      const carried = {
        ...{ rev: 7, digest: zero, head: zero, state: 'active', status: 'waiting', version: 0 },
        wakeAt: Date.now(),
      };
      await new Client({ connection: stack.connection, namespace }).workflow.start('run', {
        ...{ workflowId: parked.run, taskQueue: stack.taskQueue, args: [{ ...own, carried }] },
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      });
      await forked(parked.run);
      assert.equal(await drafts(parked.run), 0);
      const cancelled = await operate(parked.run, 'cancel');
      assert.equal(cancelled.body.run?.status, 'cancelled', JSON.stringify(cancelled.body));
      await wholeChain(parked.run);
      assert.deepEqual(await differing(parked.run), ['steps']);
    },
  );

  it('takes the steps of its store again when its workflow is reset: nothing is decided or done twice, and it goes on', async () => {
    const parked = await parkPayment(stack);
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
    await action(stack, 'agent', parked.poll, 'executed');
    const records = (await audit(stack, parked.run)).filter(({ chain }) => chain === 'run').length;
    const { events } = await handleOf(parked.run).fetchHistory();
    const first = events?.find(({ workflowTaskCompletedEventAttributes: completed }) => completed)?.eventId;
    assert.ok(first);
    const { runId } = await handleOf(parked.run).describe();
    await stack.connection.workflowService.resetWorkflowExecution({
      ...{ namespace, reason: 'by an operator of Temporal', requestId: `${parked.run}-reset` },
      workflowExecution: { workflowId: parked.run, runId },
      workflowTaskFinishEventId: first,
    });
    const next = await until('the run to go on', async () => {
      const sent = await submit(stack, 'agent', parked.run, draft, {
        arguments: { vendor: 'NEXT', amount: 10 },
      });
      return sent.body.code === 'RUN_BUSY' ? null : sent;
    });
    assert.equal(next.body.result?.status, 'executed', JSON.stringify(next.body));
    assert.equal(await drafts(parked.run), 2);
    const own = (await audit(stack, parked.run)).filter(({ chain }) => chain === 'run');
    const decided = own.filter(({ type }) => type === 'approval.decided');
    assert.deepEqual([decided.length, own.filter(({ type }) => type === 'executor.started').length], [1, 2]);
    assert.ok(own.length > records);
    await wholeChain(parked.run);
    assert.equal((await submit(stack, 'agent', parked.run, 'complete')).body.run?.status, 'completed');
    await handleOf(parked.run).result();
  });
});
