import {
  Client,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type ConnectionLike,
} from '@temporalio/client';
import type { Take } from '../store/temporal-home.js';

// Which store the task queue of a Temporal is worked for. Two deployments on one queue would take each other's tasks, find no
// such run in their store, and end what people have approved. It stands in the memo of a workflow that stays open and that no
// worker runs: Temporal lets only one of an id be open, so only one deployment has the queue.

export interface Queue {
  readonly namespace: string;
  readonly taskQueue: string;
}

const idOf = (taskQueue: string): string => `countersign-store:${taskQueue}`;

/** The id of the store that the queue is worked for, once this one has been taken as `take` says; null: nobody's. */
export async function queueHolder(
  connection: ConnectionLike,
  { namespace, taskQueue }: Queue,
  store: string,
  take: Take,
): Promise<string | null> {
  const { workflow } = new Client({ connection, namespace });
  const handle = workflow.getHandle(idOf(taskQueue));
  const start = async (): Promise<void> => {
    // On a queue that no worker polls.
    const given = { workflowId: handle.workflowId, taskQueue: handle.workflowId, memo: { store } };
    await workflow.start('countersignStore', given).catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    });
  };
  const known = await holderOf(handle);
  if (known === store || take === 'never' || (known !== null && take !== 'always')) return known;
  if (known !== null) await end(handle, 'the store of the same data folder takes its place');
  await start();
  return holderOf(handle);
}

/** The next deployment that starts has the queue. */
export async function forgetQueue(connection: ConnectionLike, queue: Queue): Promise<void> {
  const { workflow } = new Client({ connection, namespace: queue.namespace });
  const handle = workflow.getHandle(idOf(queue.taskQueue));
  if ((await holderOf(handle)) !== null) await end(handle, 'countersign migrate --forget-temporal');
}

/** Whether a worker has asked for tasks of the queue lately: one that lives asks again each minute. */
export async function isPolled(
  connection: ConnectionLike,
  { namespace, taskQueue }: Queue,
): Promise<boolean> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: workflowTasks,
  });
  const since = Date.now() / 1_000 - livesForSeconds;
  return (pollers ?? []).some(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) > since);
}

/** Temporal's number for them. */
const workflowTasks = 1;
/** Three minutes, since clocks differ. */
const livesForSeconds = 180;

type Handle = ReturnType<Client['workflow']['getHandle']>;

/** Somebody else may have ended it a moment ago. */
async function end(handle: Handle, reason: string): Promise<void> {
  await handle.terminate(reason).catch((error: unknown) => {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  });
}

async function holderOf(handle: Handle): Promise<string | null> {
  try {
    const { status, memo } = await handle.describe();
    return status.name === 'RUNNING' && typeof memo?.['store'] === 'string' ? memo['store'] : null;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}
