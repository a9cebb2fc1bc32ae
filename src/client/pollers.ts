import type { ConnectionLike } from '@temporalio/client';

// Whether workers ask Temporal for the tasks of a queue.

export interface TaskQueue {
  readonly namespace: string;
  readonly taskQueue: string;
}

/** Temporal's number for them. */
const workflowTasks = 1;
/** One that lives asks again each minute. */
const livesForMs = 70_000;

/** Whether a worker has asked lately, by a clock that is looked after, as the store's is. */
export async function isPolled(connection: ConnectionLike, queue: TaskQueue, now: Date): Promise<boolean> {
  return (await lastPoll(connection, queue)) > now.getTime() - livesForMs;
}

/** Epoch milliseconds, of Temporal's clock; 0: it remembers none, as right after it was started. */
async function lastPoll(connection: ConnectionLike, { namespace, taskQueue }: TaskQueue): Promise<number> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: workflowTasks,
  });
  const times = (pollers ?? []).map(
    ({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1_000 + (lastAccessTime?.nanos ?? 0) / 1e6,
  );
  return Math.max(0, ...times);
}

/** How long a poll lasts in which there is nothing to do, and some more. */
const pollsAgainWithinMs = 75_000;
const lookMs = 1_000;

/**
 * Whether anybody works on the queue now: a worker that lives asks again. By Temporal's own times, so that a worker of ours
 * that was stopped a moment ago is none; it takes more than a minute to say so.
 */
export async function isStillPolled(
  connection: ConnectionLike,
  queue: TaskQueue,
  withinMs = pollsAgainWithinMs,
): Promise<boolean> {
  const first = await lastPoll(connection, queue);
  for (const until = performance.now() + withinMs; performance.now() < until;) {
    await new Promise((resolve) => setTimeout(resolve, lookMs));
    if ((await lastPoll(connection, queue)) > first) return true;
  }
  return false;
}
