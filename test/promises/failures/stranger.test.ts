// Mostly waits: for an execution that is under way.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { Client } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import type { Bell } from '../../../src/model/message.js';
import { newId } from '../../../src/model/names/ids.js';
import { lastBell } from '../../../testing/bells.js';
import { action, audit, decide, getRun, parkPayment, until } from '../../../testing/flows.js';
import { inCampaigns } from '../../../testing/samples.js';
import { shareStack } from '../../../testing/servers/shared-stack.js';
import type { ShippedStack } from '../../../testing/shipped.js';

// Who may write to the namespace can have a workflow of their own, on a worker of their own, call our activities through
// our task queue, with anything. (A local activity runs in the worker that runs its workflow: a stranger's is their own
// code, and ours are only called by our own workflow, whose starts are forged in attack.test.ts.)

const namespace = 'countersign-staging';

interface Call {
  readonly workflowType: string;
  readonly workflowId: string;
  readonly activity: string;
  readonly input: readonly Payload[];
}

interface Failed {
  readonly type: string;
  readonly message: string;
}

describe("a stranger's workflow that calls our activities through the task queue", () => {
  let stack: ShippedStack;
  before(async () => {
    ({ stack } = await shareStack());
  });

  const payload = (value: unknown): Payload => ({
    metadata: { encoding: Buffer.from('json/plain') },
    data: Buffer.from(JSON.stringify(value)),
  });

  /** Starts the workflow, and is its worker: one command that schedules the activity, and what became of it. */
  async function call({ workflowType, workflowId, activity, input }: Call): Promise<Failed | 'completed'> {
    const { workflowService } = stack.connection;
    const taskQueue = { name: `stranger-${randomUUID()}` };
    const client = new Client({ connection: stack.connection, namespace });
    const handle = await client.workflow.start(workflowType, {
      ...{ workflowId, taskQueue: taskQueue.name, args: [] },
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    });
    const task = await stack.connection.withDeadline(Date.now() + 60_000, () =>
      workflowService.pollWorkflowTaskQueue({ namespace, taskQueue, identity: 'stranger' }),
    );
    assert.ok(task.taskToken.length > 0, 'the stranger gets the task of their workflow');
    await workflowService.respondWorkflowTaskCompleted({
      ...{ namespace, taskToken: task.taskToken, identity: 'stranger' },
      commands: [
        {
          // COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK
          commandType: 1,
          scheduleActivityTaskCommandAttributes: {
            ...{ activityId: '1', activityType: { name: activity }, taskQueue: { name: stack.taskQueue } },
            input: { payloads: [...input] },
            startToCloseTimeout: { seconds: 20 as never },
            scheduleToCloseTimeout: { seconds: 60 as never },
            retryPolicy: { maximumAttempts: 3 },
          },
        },
      ],
    });
    try {
      return await until(
        `${activity} to end`,
        async () => {
          for (const event of (await handle.fetchHistory()).events ?? []) {
            if (event.activityTaskCompletedEventAttributes) return 'completed' as const;
            const failure = event.activityTaskFailedEventAttributes?.failure;
            if (failure)
              return {
                type: failure.applicationFailureInfo?.type ?? '',
                message: failure.message ?? '',
              };
            if (event.activityTaskTimedOutEventAttributes) return { type: 'TIMEOUT', message: '' };
          }
          return null;
        },
        90_000,
      );
    } finally {
      await handle.terminate('the test is over');
    }
  }

  const stepInputs = (
    run: string,
    approval: string,
    bell: Bell,
    start: Bell,
  ): Record<string, readonly Payload[]> => {
    const given = { run, rev: 3, builtOn: null, arrivals: [], gaveUp: null };
    return {
      'a forged deadline': [payload({ ...given, arrivals: [{ kind: 'time' }] })],
      'a deadline of the first kernel': [
        payload({ ...given, events: [{ kind: 'deadline', approval, at: '2020-01-01T00:00:00Z' }] }),
      ],
      'a null document and the old start': [
        payload({ ...given, rev: 1, arrivals: [{ kind: 'message', bell: start }] }),
      ],
      'a message that was taken': [payload({ ...given, arrivals: [{ kind: 'message', bell }] })],
      'a step that was given up': [payload({ ...given, gaveUp: 'because' })],
      'an execution that is called lost': [
        payload({ ...given, arrivals: [{ kind: 'abandoned', action: 'act_1' }] }),
      ],
      'arrivals that are none': [payload({ ...given, arrivals: 'many' })],
      'a run that is no text': [payload({ ...given, run: { id: run } })],
      null: [payload(null)],
      text: [payload('garbage')],
      'no input': [],
      'another encoding': [{ metadata: { encoding: Buffer.from('binary/none') }, data: Buffer.from('??') }],
      'broken JSON': [{ metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('{"run') }],
    };
  };

  it('is refused, whatever it calls itself and whatever it brings; the run stays as it is, and the worker lives', async () => {
    const parked = await parkPayment(stack);
    const { pid } = stack.worker;
    const bell = await lastBell(stack, parked.run, 'submit');
    const start = await lastBell(stack, parked.run, 'start');
    const inputs = stepInputs(parked.run, parked.approval, bell, start);
    const records = (await audit(stack, parked.run)).length;
    for (const [name, input] of Object.entries(inputs)) {
      for (const workflowType of ['stranger', 'run']) {
        const workflowId = `stranger-${randomUUID()}`;
        const failed = await call({ workflowType, workflowId, activity: 'step', input });
        assert.ok(
          failed !== 'completed' && failed.type === 'NOT_THE_RUN',
          `${name}: ${JSON.stringify(failed)}`,
        );
      }
    }
    assert.equal(
      (await audit(stack, parked.run)).length,
      records,
      'nothing is recorded of the run, for nothing has happened to it',
    );
    assert.deepEqual([stack.worker.pid, stack.worker.running], [pid, true], stack.logs());
    assert.equal((await getRun(stack, 'agent', parked.run)).run.status, 'waiting');
    assert.equal((await stack.services.drafts()).filter(({ key }) => key.startsWith(parked.run)).length, 0);
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
    await action(stack, 'agent', parked.poll, 'executed');
  });

  it('does not execute what was not granted, nor again what was', async () => {
    const parked = await parkPayment(stack);
    const waiting = parked.poll.split('/').at(-1) ?? '';
    const inputs: readonly (readonly Payload[])[] = [
      [payload({ run: parked.run, action: waiting })],
      [payload({ run: parked.run, action: 'act_none' })],
      [payload({ run: parked.run })],
      [payload(null)],
      [],
    ];
    for (const input of inputs) {
      const workflowId = `stranger-${randomUUID()}`;
      const failed = await call({ workflowType: 'stranger', workflowId, activity: 'execute', input });
      assert.ok(failed !== 'completed' && failed.type === 'NOT_THE_RUN', JSON.stringify(failed));
    }
    // Not tried again, whatever its retry policy says: an id or an action that the store cannot be asked for, and no activity of ours.
    for (const [workflowId, activity, given] of [
      ['run_\0', 'execute', { run: 'run_\0', action: waiting }],
      [newId('run'), 'execute', { action: '\0' }],
      [newId('run'), 'execute', { action: { of: 'no text' } }],
      [newId('run'), 'executeAgain', { action: waiting }],
    ] as const) {
      const input = [payload({ run: workflowId, ...given })];
      const failed = await call({ workflowType: 'run', workflowId, activity, input });
      assert.ok(failed !== 'completed' && failed.type === 'NOT_THE_RUN', JSON.stringify(failed));
    }
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
    await action(stack, 'agent', parked.poll, 'executed');
    const drafts = async (): Promise<number> =>
      (await stack.services.drafts()).filter(({ key }) => key.startsWith(parked.run)).length;
    assert.equal(await drafts(), 1);

    // With the run's own type and name, once its workflow is gone: what was executed is answered, never repeated.
    const other = await parkPayment(stack);
    const client = new Client({ connection: stack.connection, namespace });
    await client.workflow.getHandle(other.run).terminate('by a stranger');
    const forged = { workflowType: 'run', workflowId: other.run };
    const pending = other.poll.split('/').at(-1) ?? '';
    const ungranted = [payload({ run: other.run, action: pending })];
    const refused = await call({ ...forged, activity: 'execute', input: ungranted });
    assert.ok(refused !== 'completed' && refused.type === 'NOT_EXECUTING', JSON.stringify(refused));
    const stepped = await call({
      ...forged,
      activity: 'step',
      input: [payload({ run: other.run, rev: 3, builtOn: null, arrivals: [{ kind: 'time' }], gaveUp: null })],
    });
    assert.ok(stepped !== 'completed' && stepped.type === 'NOT_THE_RUN', JSON.stringify(stepped));
    await client.workflow.getHandle(parked.run).terminate('by a stranger');
    const executed = [payload({ run: parked.run, action: waiting })];
    assert.equal(
      await call({ workflowType: 'run', workflowId: parked.run, activity: 'execute', input: executed }),
      'completed',
    );
    assert.equal(await drafts(), 1);
    const requests = (await audit(stack, parked.run, 'executor.started')).length;
    assert.equal(requests, 1);
    assert.equal(stack.worker.running, true);
  });

  it('does not execute beside the execution that is under way', inCampaigns, async () => {
    const parked = await parkPayment(stack);
    await stack.services.holdErp(15_000);
    assert.equal((await decide(stack, 'finance', parked.approval, 'approve')).status, 200);
    const drafts = async (): Promise<number> =>
      (await stack.services.drafts()).filter(({ key }) => key.startsWith(parked.run)).length;
    await until('the effect', async () => (await drafts()) === 1);
    await new Client({ connection: stack.connection, namespace }).workflow
      .getHandle(parked.run)
      .terminate('by a stranger');
    const given = [payload({ run: parked.run, action: parked.poll.split('/').at(-1) ?? '' })];
    const forged = { workflowType: 'run', workflowId: parked.run, activity: 'execute', input: given };
    const refused = await call(forged);
    assert.ok(refused !== 'completed' && refused.type === 'ATTEMPT_UNDER_WAY', JSON.stringify(refused));
    // What the target answers is recorded, whatever became of the workflow that asked for it.
    await action(stack, 'agent', parked.poll, 'executed');
    assert.equal((await audit(stack, parked.run, 'executor.started')).length, 1);
  });
});
