import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import type { Payload, ProtoFailure } from '@temporalio/common';
import { lastBell } from '../../../testing/bells.js';
import { parkPayment, until } from '../../../testing/flows.js';
import { shareStack } from '../../../testing/servers/shared-stack.js';
import type { ShippedStack } from '../../../testing/shipped.js';
import { newId } from '../../../src/model/names/ids.js';
import { kernelVersion } from '../../../src/workflows/versions.js';

// Who may write to the namespace can start a workflow of any id and type on our task queue, with anything beside its input (of
// which attack.test.ts tells). Whatever our worker throws over would be tried again for ever, and nobody would be told.

const namespace = 'countersign-staging';
const encoded = (encoding: string, text: string): Payload => ({
  metadata: { encoding: Buffer.from(encoding) },
  data: Buffer.from(text),
});
const of = (name: string) => ({ workflowType: { name } });
const after = (failure: ProtoFailure) => ({ continuedFailure: { message: 'before', ...failure } });

const started: Readonly<Record<string, object>> = {
  'an id with a NUL': { workflowId: 'x\0y' },
  'such an id that begins as ours do': { workflowId: `${newId('run')}\0` },
  'a type that we do not have': of('RunWorkflow'),
  'a type that every object has': of('valueOf'),
  'a type that every object has, and that throws': of('__defineGetter__'),
  'the type of nothing': of('__proto__'),
  'a memo of an unknown encoding': { memo: { fields: { note: encoded('unknown', '?') } } },
  'a failure before it, of an unknown kind': after({ activityFailureInfo: { retryState: 88 as never } }),
  'a result before it that cannot be read': { lastCompletionResult: { payloads: [encoded('unknown', '?')] } },
};

describe("a stranger's workflow on our task queue", () => {
  let stack: ShippedStack;
  before(async () => {
    ({ stack } = await shareStack());
  });

  it('ends with a reason, whatever is strange about it, and its tasks are tried once', async () => {
    const { workflowService } = stack.connection;
    const { pid } = stack.worker;
    const start = await lastBell(stack, (await parkPayment(stack)).run, 'start');
    const input = JSON.stringify({ kernel: kernelVersion, start, carried: null });
    const ends = Object.entries(started).map(async ([name, strange]) => {
      const execution = { workflowId: newId('run'), ...strange };
      await workflowService.startWorkflowExecution({
        ...{ namespace, requestId: randomUUID(), taskQueue: { name: stack.taskQueue } },
        ...{ workflowType: { name: 'run' }, input: { payloads: [encoded('json/plain', input)] } },
        ...execution,
      });
      const { workflowId } = execution;
      const events = await until(`the end of ${name}`, async () => {
        const asked = { namespace, execution: { workflowId } };
        const { history } = await workflowService.getWorkflowExecutionHistory(asked);
        const all = history?.events ?? [];
        return all.some((event) => event.workflowTaskFailedEventAttributes) ||
          all.at(-1)?.workflowExecutionFailedEventAttributes
          ? all
          : null;
      });
      const end = events.at(-1)?.workflowExecutionFailedEventAttributes?.failure?.applicationFailureInfo;
      assert.equal(end?.type, 'START_REFUSED', name);
    });
    await Promise.all(ends);
    assert.deepEqual([stack.worker.pid, stack.worker.running], [pid, true], stack.logs());
  });
});
