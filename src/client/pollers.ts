import type { ConnectionLike } from '@temporalio/client';

// Whether workers ask Temporal for the tasks of a queue.

export interface TaskQueue {
  readonly namespace: string;
  readonly taskQueue: string;
}

/** Temporal's number for workflow task queues. */
const workflowTasks = 1;
/** A live worker asks again at least each minute. */
const livesForMs = 70_000;

/** Whether a worker has asked lately. `now` must come from a well-kept clock, such as the store's. */
export async function isPolled(connection: ConnectionLike, queue: TaskQueue, now: Date): Promise<boolean> {
  return (await lastPoll(connection, queue)) > now.getTime() - livesForMs;
}

/** The last poll in epoch milliseconds, by Temporal's clock; 0: it knows of none, as after a restart. */
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

/** How long an idle poll lasts, and some more. */
const pollsAgainWithinMs = 75_000;
const lookMs = 1_000;

/**
 * Whether a worker serves the queue now, which is so if it polls again while this waits. Compares only Temporal's own times, so
 * that a worker that was stopped a moment ago does not count. Takes more than a minute to say no.
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
