import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type InjectedSinks,
  type WorkerOptions,
} from '@temporalio/worker';
import type { WaitingSinks } from './waiting.js';

const sinks: InjectedSinks<WaitingSinks> = {
  told: {
    waiting: {
      fn: ({ workflowId }) => void process.stdout.write(`waiting ${workflowId}\n`),
      callDuringReplay: false,
    },
  },
};

/**
 * Runs a worker of hand-written workflows, with the settings of src/processes/worker.ts, until its process ends. Prints `working`
 * when it works, and `waiting <id>` when a run begins to wait.
 */
export async function work(
  address: string,
  what: Pick<WorkerOptions, 'namespace' | 'taskQueue' | 'workflowBundle' | 'workflowsPath' | 'activities'> & {
    readonly taskQueue: string;
  },
): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('WARN') });
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    ...what,
    connection,
    sinks,
    reuseV8Context: true,
    workflowThreadPoolSize: 1,
    maxConcurrentWorkflowTaskExecutions: 16,
    maxConcurrentActivityTaskExecutions: 32,
    workflowTaskPollerBehavior: { type: 'autoscaling', minimum: 2, initial: 2, maximum: 8 },
    activityTaskPollerBehavior: { type: 'autoscaling', minimum: 1, initial: 2, maximum: 8 },
    maxCachedWorkflows: 2_000,
  });
  process.stdout.write('working\n');
  await worker.run();
  await connection.close();
}
