import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { shareStack } from '../../../testing/servers/shared-stack.js';
import type { ShippedStack } from '../../../testing/shipped.js';
import type { Answer } from '../../../testing/servers/stack.js';
import { action, decide } from '../../../testing/flows.js';

describe('a payment that is asked for with the start of its run', () => {
  let stack: ShippedStack;
  before(async () => {
    ({ stack } = await shareStack());
  });
  const ask = (query = ''): Promise<Answer> =>
    stack.fetchAs('agent', 'POST', `/v1/flows/vendor-invoice-reconciliation/runs${query}`, {
      environment: 'staging',
      submit: { transition: 'erp.payment.draft', arguments: { vendor: 'ACME', amount: 60_000 } },
    });
  const approve = async ({ body }: Answer): Promise<void> => {
    await decide(stack, 'finance', body.result.approval.id, 'approve');
    await action(stack, 'agent', body.result.poll, 'executed');
    const drafts = (await stack.services.drafts()).filter((one) => one.key.startsWith(body.run.id));
    assert.equal(drafts.length, 1);
  };

  it("parks in the run's first workflow task, and runs once when approved", async () => {
    const parked = await ask();
    assert.deepEqual(
      [parked.status, parked.body.result.status],
      [202, 'pending'],
      JSON.stringify(parked.body),
    );
    const history = await stack.fetchAs('auditor', 'GET', `/v1/runs/${parked.body.run.id}/history`);
    const tasks = (history.body.events as { eventType: string }[]).filter(({ eventType }) =>
      eventType.endsWith('WORKFLOW_TASK_COMPLETED'),
    );
    assert.equal(tasks.length, 1);
    await approve(parked);
  });
});
