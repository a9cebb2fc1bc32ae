import {
  Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type ConnectionLike,
} from '@temporalio/client';
import type { TaskQueue } from '../../client/pollers.js';
import type { Take } from '../../store/processes/temporal-home.js';
import { askInTime } from './namespace-id.js';

// Which store a task queue of Temporal is worked for. Two deployments on one queue would take each other's tasks, find no such
// run in their store, and end what people have approved. The store's id is in the memo of a workflow that stays open and that no
// worker runs: Temporal lets only one workflow of an id be open, so only one deployment has the queue.

/** Who was seen to have the queue: the store's id, and the execution whose memo has it. */
export interface QueueHolder {
  readonly store: string;
  readonly execution: string;
}

const holderIdOf = (taskQueue: string): string => `countersign-store:${taskQueue}`;

/** Takes the queue for `store` as far as `take` allows; gives the id of the store that the queue is worked for then; null: none. */
export async function takeQueue(
  connection: ConnectionLike,
  queue: TaskQueue,
  store: string,
  take: Take,
): Promise<string | null> {
  const { namespace, taskQueue } = queue;
  const start = async (): Promise<void> => {
    // On a task queue that no worker polls.
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

/** Is the queue worked for this store, or for a copy of it, which has the same id? Rejects where Temporal does not answer in time. */
export async function isWorkedFor(
  connection: ConnectionLike,
  queue: TaskQueue,
  store: string,
): Promise<boolean> {
  return (await askInTime(connection, () => readHolder(connection, queue)))?.store === store;
}

/** Who has the queue; null: nobody. Takes nothing. */
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

/** For a holder without a store's id, since anybody who may write to the namespace can start such a workflow: it can be given up like any other. */
function describeUnnamed(taskQueue: string): string {
  return `unnamed, by workflow ${holderIdOf(taskQueue)}`;
}

/**
 * Takes the queue away from the holder that was seen. Gives the holder that has come since, which keeps it; null: there is none,
 * and the next deployment that starts gets the queue.
 */
export async function forgetHolder(
  connection: ConnectionLike,
  queue: TaskQueue,
  seen: QueueHolder,
): Promise<QueueHolder | null> {
  await endHolder(connection, queue, seen, 'countersign migrate --forget-temporal');
  return readHolder(connection, queue);
}

/** Ends the execution of this holder, and no later one. Somebody else may have ended it a moment ago. */
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
