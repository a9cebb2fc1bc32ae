import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client, Connection } from '@temporalio/client';
import type { StateView } from '../../../src/workflows/messages.js';
import { startShipped, type ShippedStack } from '../../../testing/shipped.js';
import { startStack, type Stack } from '../../../testing/servers/stack.js';
import { action, audit, decide, getRun, parkPayment, submit, until } from '../../../testing/flows.js';

// A long run is carried over to a new execution; here the server suggests it after a few events.

/** Temporal's HTTP port writes JSON payloads as JSON. */
function readQuery(result: unknown): StateView {
  const [first] = Array.isArray(result) ? result : (result as { payloads: unknown[] }).payloads;
  const { data } = first as { data?: string };
  return (data === undefined ? first : JSON.parse(Buffer.from(data, 'base64').toString('utf8'))) as StateView;
}

/** Of each execution of a run that another has followed: how many events it has. */
async function followed(client: Client, run: string): Promise<readonly number[]> {
  const { raw } = await client.workflow.getHandle(run).describe();
  let id = raw.workflowExecutionInfo?.firstRunId ?? '';
  for (const found: number[] = []; ;) {
    const { events } = await client.workflow.getHandle(run, id).fetchHistory();
    id = events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? '';
    if (id === '') return found;
    found.push(events?.length ?? 0);
  }
}

describe('a run that continues as new', () => {
  let stack: ShippedStack;
  before(async () => {
    const dynamicConfig = ['limit.historyCount.suggestContinueAsNew=20'];
    stack = await startShipped({ own: true, dynamicConfig });
  });
  after(() => stack.stop());
  const events = async (run: string): Promise<readonly { eventType: string }[]> => {
    const { body } = await stack.fetchAs('auditor', 'GET', `/v1/runs/${run}/history`);
    return body.events;
  };

  const state = async (run: string): Promise<StateView> => {
    const path = `/api/v1/namespaces/countersign-staging/workflows/${run}/query/state`;
    const response = await fetch(`${stack.temporalHttp}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: { queryType: 'state' } }),
    });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    const { queryResult } = JSON.parse(text) as { queryResult: unknown };
    return readQuery(queryResult);
  };

  it('does so as soon as it may, also when it is signalled without a pause', async () => {
    const connection = await Connection.connect({ address: stack.temporalAddress });
    try {
      const client = new Client({ connection, namespace: 'countersign-staging' });
      const { run } = await parkPayment(stack);
      const signal = async (): Promise<void> => {
        for (let left = 100; left > 0; left -= 1) await client.workflow.getHandle(run).signal('wake');
      };
      await Promise.all([signal(), signal(), signal()]);
      const executions = await followed(client, run);
      // The server takes no end of a history beside a signal that has just come: the task after it ends the history.
      assert.ok(executions.length > 2, executions.join(', '));
      assert.equal((await submit(stack, 'agent', run, 'complete')).body.run.status, 'completed');
    } finally {
      await connection.close();
    }
  });

  it('keeps its open gate, its deadline, what it was asked, and its chain, whose head its state has at once', async () => {
    const parked = await parkPayment(stack);
    for (let vendor = 0; vendor < 6; vendor += 1) {
      const args = { arguments: { vendor: `V-${vendor}`, amount: 10 } };
      assert.equal((await submit(stack, 'agent', parked.run, 'erp.payment.draft', args)).status, 200);
    }
    await until('a new execution', async () => {
      const started = (await events(parked.run)).findLast(
        ({ eventType }) => eventType.endsWith('STARTED') && eventType.includes('WORKFLOW_EXECUTION'),
      );
      return JSON.stringify(started).includes('continuedExecutionRunId":"');
    });
    assert.equal((await getRun(stack, 'agent', parked.run)).run.version, 6);
    // Nothing has happened in the new execution yet, and it knows what the one before it knew.
    const own = async () => (await audit(stack, parked.run)).filter(({ chain }) => chain === 'run');
    const queried = await state(parked.run);
    assert.deepEqual(
      [queried.run, queried.state, queried.status, queried.version],
      [parked.run, 'active', 'waiting', 6],
    );
    assert.equal(queried.head, (await own()).at(-1)?.hash);
    assert.ok(queried.rev > 6);
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
    await action(stack, 'agent', parked.poll, 'executed');
    const drafts = (await stack.services.drafts()).filter((one) => one.key.startsWith(parked.run));
    assert.equal(drafts.length, 7);
    const records = await own();
    for (const [index, record] of records.entries()) {
      assert.equal(record.runSeq, index);
      assert.equal(record.prev, index === 0 ? null : records[index - 1]?.hash);
    }
    assert.equal((await submit(stack, 'agent', parked.run, 'complete')).body.run.status, 'completed');
    // All of its histories, from its start on, each step of the store in one of them.
    assert.match((await events(parked.run))[0]?.eventType ?? '', /WORKFLOW_EXECUTION_STARTED$/u);
    const { body } = await stack.fetchAs('auditor', 'POST', `/v1/runs/${parked.run}/replay`);
    assert.deepEqual(
      body.checks.filter(({ ok }: { ok: boolean }) => !ok),
      [],
    );
    const details = body.checks.map(({ detail }: { detail: string }) => detail).join('\n');
    assert.match(details, /events of [2-9] executions replay on this build/u);
    assert.doesNotMatch(details, /stand in no history/u);
  });
});

describe('a run whose server suggests nothing', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack.stop());

  it('continues as new after about 250 events, so that no worker replays more of it than that', async () => {
    const connection = await Connection.connect({ address: stack.temporalAddress });
    try {
      const client = new Client({ connection, namespace: 'countersign-staging' });
      const { run } = await parkPayment(stack);
      while ((await followed(client, run)).length === 0)
        for (let left = 25; left > 0; left -= 1) await client.workflow.getHandle(run).signal('wake');
      const [events = 0] = await followed(client, run);
      assert.ok(events >= 250 && events < 500, String(events));
      assert.equal((await submit(stack, 'agent', run, 'complete')).body.run.status, 'completed');
    } finally {
      await connection.close();
    }
  });
});
