import {
  Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type ConnectionLike,
} from '@temporalio/client';
import type { TaskQueue } from '../client/pollers.js';
import type { Take } from '../store/temporal-home.js';
import { askInTime } from './namespace-id.js';

// Which store the task queue of a Temporal is worked for. Two deployments on one queue would take each other's tasks, find no
// such run in their store, and end what people have approved. It stands in the memo of a workflow that stays open and that no
// worker runs: Temporal lets only one of an id be open, so only one deployment has the queue.

/** Who has the queue, as it was seen: the store's id, and the one execution that says so. */
export interface QueueHolder {
  readonly store: string;
  readonly execution: string;
}

const holderIdOf = (taskQueue: string): string => `countersign-store:${taskQueue}`;

/** The id of the store that the queue is worked for, once this one has been taken as `take` says; null: nobody's. */
export async function queueHolder(
  connection: ConnectionLike,
  queue: TaskQueue,
  store: string,
  take: Take,
): Promise<string | null> {
  const { namespace, taskQueue } = queue;
  const start = async (): Promise<void> => {
    // On a queue that no worker polls.
    const id = holderIdOf(taskQueue);
    const given = { workflowId: id, taskQueue: id, memo: { store } };
    await new Client({ connection, namespace }).workflow
      .start('countersignStore', given)
      .catch((error: unknown) => {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      });
  };
  const seen = await readHolder(connection, queue);
  if (seen?.store === store || take === 'never' || (seen !== null && take !== 'always'))
    return seen?.store ?? null;
  if (seen !== null)
    await endHolder(connection, queue, seen, 'the store of the same data folder takes its place');
  await start();
  return (await readHolder(connection, queue))?.store ?? null;
}

/** For that store, or a copy of it, which has its id. Rejects where Temporal does not say in time. */
export async function isWorkedFor(
  connection: ConnectionLike,
  queue: TaskQueue,
  store: string,
): Promise<boolean> {
  return (await askInTime(connection, () => readHolder(connection, queue)))?.store === store;
}

/** Null: nobody has it. Takes nothing. */
export async function readHolder(
  connection: ConnectionLike,
  { namespace, taskQueue }: TaskQueue,
): Promise<QueueHolder | null> {
  const { workflow } = new Client({ connection, namespace });
  try {
    const { status, memo, runId } = await workflow.getHandle(holderIdOf(taskQueue)).describe();
    if (status.name !== 'RUNNING') return null;
    const store = memo?.['store'];
    return { store: typeof store === 'string' ? store : describeUnnamed(taskQueue), execution: runId };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

/** Anybody who may write to the namespace can start a workflow under that id: it is named, and can be given up like another's. */
function describeUnnamed(taskQueue: string): string {
  return `unnamed, by workflow ${holderIdOf(taskQueue)}`;
}

/**
 * The holder that was seen has the queue no longer. Whoever has come since keeps it, and is the answer; null: nobody, and
 * the next deployment that starts has it.
 */
export async function forgetHolder(
  connection: ConnectionLike,
  queue: TaskQueue,
  seen: QueueHolder,
): Promise<QueueHolder | null> {
  await endHolder(connection, queue, seen, 'countersign migrate --forget-temporal');
  return readHolder(connection, queue);
}

/** That execution and no later one. Somebody else may have ended it a moment ago. */
async function endHolder(
  connection: ConnectionLike,
  { namespace, taskQueue }: TaskQueue,
  { execution }: QueueHolder,
  reason: string,
): Promise<void> {
  const { workflow } = new Client({ connection, namespace });
  await workflow
    .getHandle(holderIdOf(taskQueue), execution)
    .terminate(reason)
    .catch((error: unknown) => {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    });
}
