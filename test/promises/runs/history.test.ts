import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { shareStack } from '../../../testing/servers/shared-stack.js';
import type { Stack } from '../../../testing/servers/stack.js';
import { lastBell } from '../../../testing/bells.js';
import { action, decide, getRun, parkPayment, submit, until } from '../../../testing/flows.js';

describe("Temporal's history of a run", () => {
  let stack: Stack;
  before(async () => {
    ({ stack } = await shareStack());
  });
  const finished = async () => {
    const parked = await parkPayment(stack);
    await decide(stack, 'finance', parked.approval, 'approve');
    await action(stack, 'agent', parked.poll, 'executed');
    await submit(stack, 'agent', parked.run, 'complete');
    await until('the end', async () => (await getRun(stack, 'agent', parked.run)).run.status === 'completed');
    return parked;
  };

  /** The store says that a run has ended a moment before Temporal has written its last event. */
  const wholeHistory = (run: string): Promise<string[]> =>
    until(`the whole history of ${run}`, async () => {
      const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}/history`);
      const types = (body as { events: { eventType: string }[] }).events.map(({ eventType }) => eventType);
      return types.at(-1) === 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED' ? types : null;
    });

  it('stays within its event budget: start, submit, park, approve, execute, finish', async () => {
    const parked = await finished();
    const types = await wholeHistory(parked.run);
    const budget: Record<string, number> = {
      EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: 1,
      EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: 1,
      EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: 1,
      // start, submit, decide, complete: one policy check each
      EVENT_TYPE_MARKER_RECORDED: 4,
      EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: 3,
      EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: 0,
      EVENT_TYPE_TIMER_STARTED: 1,
      EVENT_TYPE_TIMER_CANCELED: 1,
      // and one more for the executor's result
      EVENT_TYPE_WORKFLOW_TASK_COMPLETED: 5,
    };
    for (const [type, count] of Object.entries(budget))
      assert.equal(types.filter((one) => one === type).length, count, `${type}\n${types.join('\n')}`);
    const tasks = 5 * 3;
    assert.equal(types.length, 1 + tasks + 4 + 3 + 3 + 2 + 1, types.join('\n'));
  });

  it('replays, and agrees with the record', async () => {
    const parked = await finished();
    const { status, body } = await stack.fetchAs('auditor', 'POST', `/v1/runs/${parked.run}/replay`);
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual((body as { ok: boolean }).ok, true, JSON.stringify(body));
  });

  it('holds no key, no reasoning, no reason, and nothing of what is asked or by whom', async () => {
    const parked = await parkPayment(stack);
    const secret = 'because the auditor said so in a private note';
    await decide(stack, 'finance', parked.approval, 'deny', { reason: secret });
    const { id } = await lastBell(stack, parked.run, 'decide');
    const decoded = await until('the decision in the history', async () => {
      const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${parked.run}/history`);
      const events = (body as { events: unknown[] }).events;
      const text = JSON.stringify(events).replace(/[A-Za-z0-9+/=]{40,}/g, (data) =>
        Buffer.from(data, 'base64').toString('utf8'),
      );
      return text.includes(id) ? text : null;
    });
    for (const key of Object.values(stack.keys)) assert.ok(!decoded.includes(key));
    for (const value of [secret, 'ACME', '60000', 'erp.payment.draft', '"finance"', 'finance.controller'])
      assert.ok(!decoded.includes(value), value);
  });
});
