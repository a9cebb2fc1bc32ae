import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { benchPolicies, connectGoverned, type Governed, type Parked } from '../../bench/governed.js';
import { getApproval } from '../../src/store/approvals/approvals.js';
import { projectRoot } from '../../testing/paths.js';
import { joinStack } from '../../testing/servers/joint-stack.js';
import type { Stack } from '../../testing/servers/stack.js';

describe('the workflow bundle', () => {
  const bundle = readFileSync(join(projectRoot, 'dist', 'workflow-bundle.js'), 'utf8');

  it('stays under 2 MB: every parked run in a worker carries its modules', () => {
    assert.ok(Buffer.byteLength(bundle) < 2_000_000, `${Buffer.byteLength(bundle)} bytes`);
  });

  it('holds the kernel, and nothing that validates, parses, signs or stores', () => {
    const sources = new Set(
      [...bundle.matchAll(/node_modules\/((?:@[\w.-]+\/)?[\w.-]+)/g)].map((one) => one[1]),
    );
    assert.ok(
      bundle.includes('START_REFUSED') && sources.has('@temporalio/workflow'),
      'the search itself works',
    );
    for (const name of ['zod', 'ajv', 'ajv-formats', 'yaml', 'pg', 'jose', '@noble/curves', '@noble/hashes'])
      assert.ok(!sources.has(name), `${name} is in the bundle`);
    assert.ok(!/src\/(policy|schema|store|db|audit|auth|executors)\//.test(bundle));
  });
});

const joint = joinStack(() => ({ policies: benchPolicies }));

describe("a governed run's history", () => {
  let stack: Stack;
  let governed: Governed;
  before(async () => {
    stack = await joint();
    governed = await connectGoverned(stack);
  });
  after(() => governed.close());

  const eventsOf = async (run: string): Promise<string[]> => {
    const history = await governed.deps.temporal.workflow.getHandle(run).fetchHistory();
    const { events } = JSON.parse(historyToJSON(history)) as { events: { eventType: string }[] };
    return events.map((one) => one.eventType.replace('EVENT_TYPE_', ''));
  };

  async function parkApart(): Promise<Parked> {
    const request = governed.startRequest();
    assert.equal((await governed.client.start(request)).status, 'settled');
    const sent = await governed.client.submit(governed.submitRequest(request.run));
    assert.ok(sent.status === 'answered' && sent.answer.status === 'pending', JSON.stringify(sent));
    const row = await getApproval(governed.deps.pool, sent.answer.approval);
    assert.ok(row);
    return { run: request.run, approval: row.id, digest: row.digest };
  }

  it('has 20 events with the timer of its gate, in 3 workflow tasks, when start and submit come in one call', async () => {
    const parked = await governed.park();
    await governed.approve(parked);
    await governed.ended(parked.run);
    const events = await eventsOf(parked.run);
    const timer = events.filter((event) => event.startsWith('TIMER_'));
    assert.deepEqual(timer, ['TIMER_STARTED', 'TIMER_CANCELED']);
    assert.equal(events.length, 20, events.join('\n'));
    assert.equal(events.filter((event) => event === 'WORKFLOW_TASK_COMPLETED').length, 3);
    assert.equal(events.filter((event) => event === 'MARKER_RECORDED').length, 2);
  });

  it('has four more where start and submit come apart', async () => {
    const parked = await parkApart();
    await governed.approve(parked);
    await governed.ended(parked.run);
    const events = await eventsOf(parked.run);
    assert.equal(events.length, 20 + 4, events.join('\n'));
  });
});
