import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WithStartWorkflowOperation,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  isGrpcServiceError,
  type Client,
} from '@temporalio/client';
import { defineSearchAttributeKey, TypedSearchAttributes, type Workflow } from '@temporalio/common';
import type { Answer } from '../engine/state.js';
import type { AttestedMessage } from '../model/message.js';
import { withTransaction } from '../db/index.js';
import { markDelivered } from '../store/outbox.js';
import { lockRun, updateRun } from '../store/runs.js';
import { kernelVersion, type MessageName, type Reply, type RunInput } from '../workflows/messages.js';
import type { ClientDeps } from './deps.js';

const flowKey = defineSearchAttributeKey('CountersignFlow', 'KEYWORD');
const modeKey = defineSearchAttributeKey('CountersignMode', 'KEYWORD');

/** gRPC status codes: deadline exceeded, unavailable. */
const lostCodes: readonly number[] = [4, 14];
const startDeadlineMs = 5_000;
const signalDeadlineMs = 2_000;

export function isUnavailable(error: unknown): boolean {
  if (isGrpcServiceError(error)) return lostCodes.includes(error.code);
  const cause = error instanceof Error ? error.cause : undefined;
  return cause !== undefined && isUnavailable(cause);
}

/** How a run's workflow is started, once: its id is the run's. */
export function startOptions(taskQueue: string, attested: AttestedMessage) {
  const { body, run } = attested.message;
  if (body.kind !== 'start') throw new Error('not a start message');
  const input: RunInput = { kernel: kernelVersion, start: attested, carried: null };
  return {
    workflowId: run,
    taskQueue,
    args: [input],
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    workflowIdConflictPolicy: 'FAIL',
    // A task that died with its worker is given to another after this long (10 s by default).
    workflowTaskTimeout: '5s',
    typedSearchAttributes: new TypedSearchAttributes([
      { key: flowKey, value: body.flow },
      { key: modeKey, value: body.mode },
    ]),
  } as const;
}

/** Starts the run's workflow; a run that is started twice is started once. */
export async function startRun(
  deps: ClientDeps,
  attested: AttestedMessage,
): Promise<'started' | 'unavailable'> {
  const { body } = attested.message;
  if (body.kind !== 'start') throw new Error('not a start message');
  const client = deps.forNamespace(`countersign-${body.environment}`);
  try {
    await client.withDeadline(Date.now() + startDeadlineMs, () =>
      client.workflow.start('run', startOptions(deps.taskQueue, attested)),
    );
    return 'started';
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return 'started';
    if (isUnavailable(error)) return 'unavailable';
    throw error;
  }
}

/**
 * The caller is told that nothing runs, so nothing may: should the start have got through, its first step ends it. `begun`:
 * that step was taken before, so only the engine's answer was lost.
 */
export async function withdraw(
  deps: ClientDeps,
  run: string,
  messageId: string,
): Promise<'withdrawn' | 'begun'> {
  return withTransaction(deps.pool, async (tx) => {
    const row = await lockRun(tx, run);
    if (row === null) return 'withdrawn';
    if (row.rev > 0) return 'begun';
    const problem = {
      code: 'ENGINE_UNAVAILABLE',
      message: 'the workflow engine did not answer at the start; nothing ran',
    } as const;
    await updateRun(tx, run, {
      state: row.state,
      status: 'failed',
      version: 0,
      rev: 0,
      updatedAt: new Date().toISOString(),
      problem,
      doc: null,
    });
    await markDelivered(tx, messageId);
    return 'withdrawn';
  });
}

export type UpdateReply =
  | { readonly status: 'answered'; readonly answer: Answer }
  | { readonly status: 'closed' }
  /** Temporal took it or not, but no answer came in time. */
  | { readonly status: 'late' }
  | { readonly status: 'unavailable' };

export async function update(
  client: Client,
  run: string,
  name: MessageName,
  attested: AttestedMessage,
  waitMs: number,
): Promise<UpdateReply> {
  return replied(() =>
    client.withDeadline(Date.now() + waitMs, () =>
      client.workflow
        .getHandle(run)
        .executeUpdate<Reply, [unknown]>(name, { updateId: attested.message.id, args: [attested] }),
    ),
  );
}

/** Starts the run's workflow with its first message, in one request. `late` says nothing of the start. */
export async function startWithUpdate(
  deps: ClientDeps,
  start: AttestedMessage,
  name: MessageName,
  attested: AttestedMessage,
  waitMs: number,
): Promise<UpdateReply> {
  const { body } = start.message;
  if (body.kind !== 'start') throw new Error('not a start message');
  const client = deps.forNamespace(`countersign-${body.environment}`);
  const startWorkflowOperation = new WithStartWorkflowOperation('run', startOptions(deps.taskQueue, start));
  const given = { updateId: attested.message.id, args: [attested] as [unknown], startWorkflowOperation };
  return replied(() =>
    client.withDeadline(Date.now() + waitMs, () =>
      client.workflow.executeUpdateWithStart<Workflow, Reply, [unknown]>(name, given),
    ),
  );
}

async function replied(send: () => Promise<Reply>): Promise<UpdateReply> {
  try {
    const reply = await send();
    // Signed in the instant of a rotation without a window: what is sent next is signed with the new key.
    if (reply.status === 'message_refused' && reply.reason === 'retired_key') return { status: 'late' };
    if (reply.status === 'message_refused')
      return { status: 'answered', answer: refusedAnswer(reply.reason) };
    return { status: 'answered', answer: reply };
  } catch (error) {
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return { status: 'late' };
    // The outbox of another process was faster.
    if (error instanceof WorkflowExecutionAlreadyStartedError) return { status: 'late' };
    if (error instanceof WorkflowNotFoundError || error instanceof WorkflowUpdateFailedError)
      return { status: 'closed' };
    if (isUnavailable(error))
      return isGrpcServiceError(error) && error.code === 4 ? { status: 'late' } : { status: 'unavailable' };
    throw error;
  }
}

function refusedAnswer(reason: string): Answer {
  if (reason === 'closed') return { status: 'refused', code: 'RUN_CLOSED', message: 'the run has ended' };
  return { status: 'refused', code: 'INTERNAL', message: `the run refused the message: ${reason}` };
}

/** The signal: durable at once, with no worker up. `undelivered` goes back to the outbox. */
export async function deliver(
  deps: ClientDeps,
  namespace: string,
  run: string,
  name: MessageName,
  attested: AttestedMessage,
): Promise<'delivered' | 'closed' | 'undelivered'> {
  const client = deps.forNamespace(namespace);
  try {
    await client.withDeadline(Date.now() + signalDeadlineMs, () =>
      client.workflow.getHandle(run).signal<[unknown]>(name, attested),
    );
    return 'delivered';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return 'closed';
    if (isUnavailable(error)) return 'undelivered';
    throw error;
  }
}

/** Does Temporal answer, and does a worker poll the task queue? */
export async function health(deps: ClientDeps): Promise<{ temporal: boolean; worker: boolean }> {
  try {
    return await deps.temporal.withDeadline(Date.now() + 2_000, async () => {
      const { workflowService } = deps.temporal.connection;
      await workflowService.getSystemInfo({});
      const described = await workflowService.describeTaskQueue({
        namespace: deps.temporal.options.namespace,
        taskQueue: { name: deps.taskQueue },
        taskQueueType: 1,
      });
      return { temporal: true, worker: described.pollers.some((one) => recent(one.lastAccessTime)) };
    });
  } catch {
    return { temporal: false, worker: false };
  }
}

const pollerAgeMs = 70_000;

function recent(time: { seconds?: unknown } | null | undefined): boolean {
  return (
    time !== null &&
    time !== undefined &&
    Date.now() - Number(String(time.seconds ?? 0)) * 1_000 < pollerAgeMs
  );
}
