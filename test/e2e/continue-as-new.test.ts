import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startServices, type Services } from '../support/services.js';
import { startStack, type Stack } from '../support/stack.js';
import { action, audit, decide, getRun, parkedPayment, submit, until } from '../support/flows.js';

// A long run is carried over to a new execution; here the server suggests it after a few events.

describe('a run that continues as new', () => {
  let stack: Stack;
  let services: Services;
  before(async () => {
    services = await startServices();
    const dynamicConfig = ['limit.historyCount.suggestContinueAsNew=20'];
    stack = await startStack({ env: services.env, own: true, dynamicConfig });
  });
  after(async () => {
    await stack.stop();
    await services.stop();
  });
  const events = async (run: string): Promise<readonly { eventType: string }[]> => {
    const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}/history`);
    return body.events;
  };

  it('keeps its open gate, its deadline, what it has seen, and its chain', async () => {
    const parked = await parkedPayment(stack);
    for (let vendor = 0; vendor < 6; vendor += 1) {
      const args = { arguments: { vendor: `V-${vendor}`, amount: 10 } };
      assert.equal((await submit(stack, 'agent', parked.run, 'erp.payment.draft', args)).status, 200);
    }
    await until('a new execution', async () => {
      const found = await events(parked.run);
      return JSON.stringify(found[0]).includes('continuedExecutionRunId":"') && found.length < 60;
    });
    assert.equal((await getRun(stack, 'agent', parked.run)).run.version, 6);
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
    await action(stack, 'agent', parked.poll, 'executed');
    const drafts = (await services.drafts()).filter((one) => one.key.startsWith(parked.run));
    assert.equal(drafts.length, 7);
    const own = (await audit(stack, parked.run)).filter((one) => one.chain === 'run');
    for (const [index, one] of own.entries()) {
      assert.equal(one.runSeq, index);
      assert.equal(one.prev, index === 0 ? null : own[index - 1]?.hash);
    }
    assert.equal((await submit(stack, 'agent', parked.run, 'complete')).body.run.status, 'completed');
  });
});
