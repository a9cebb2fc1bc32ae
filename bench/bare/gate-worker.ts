import { Context } from '@temporalio/activity';
import { DefaultLogger, NativeConnection, Runtime, Worker, type InjectedSinks } from '@temporalio/worker';
import { effect } from '../peers/effect.js';
import type { GateSinks } from './gate.js';

// A worker of the bare gate, with the settings of src/processes/worker.ts. Prints `waiting <id>` where a run waits.

const [, , address, namespace, taskQueue, target, codePath] = process.argv;
if (!address || !namespace || !taskQueue || !target || !codePath) throw new Error('five arguments');
Runtime.install({ logger: new DefaultLogger('WARN') });
const connection = await NativeConnection.connect({ address });
const sinks: InjectedSinks<GateSinks> = {
  told: {
    waiting: {
      fn: ({ workflowId }) => void process.stdout.write(`waiting ${workflowId}\n`),
      callDuringReplay: false,
    },
  },
};
const worker = await Worker.create({
  connection,
  namespace,
  taskQueue,
  sinks,
  workflowBundle: { codePath },
  activities: {
    effect: () => effect(target, Context.current().info.workflowExecution?.workflowId ?? ''),
  },
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
