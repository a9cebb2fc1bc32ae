import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker, type InjectedSinks } from '@temporalio/worker';
import { makePool } from '../../src/db/index.js';
import { makeHandwrittenActivities } from './activities.js';
import type { HandwrittenSinks } from './workflows.js';

// A worker of the hand-written flows: a process of its own, with the settings of src/processes/worker.ts. Prints
// `waiting <id>` where a run waits.

const [, , address, databaseUrl, namespace, taskQueue] = process.argv;
if (!address || !databaseUrl || !namespace || !taskQueue) throw new Error('four arguments');
Runtime.install({ logger: new DefaultLogger('WARN') });
const pool = makePool({ url: databaseUrl, applicationName: taskQueue, max: 12 });
const connection = await NativeConnection.connect({ address });
const sinks: InjectedSinks<HandwrittenSinks> = {
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
  workflowsPath: fileURLToPath(new URL('./workflows.ts', import.meta.url)),
  activities: makeHandwrittenActivities(pool),
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
await pool.end();
