import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { makePool } from '../../src/db/index.js';
import { makeBareActivities } from './activities.js';

// A worker of the bare flow: a process of its own, with the settings of src/processes/worker.ts.

const [, , address, databaseUrl, namespace, taskQueue] = process.argv;
if (!address || !databaseUrl || !namespace || !taskQueue) throw new Error('four arguments');
Runtime.install({ logger: new DefaultLogger('WARN') });
const pool = makePool({ url: databaseUrl, applicationName: 'bare worker', max: 12 });
const connection = await NativeConnection.connect({ address });
const worker = await Worker.create({
  connection,
  namespace,
  taskQueue,
  workflowsPath: fileURLToPath(new URL('./workflow.ts', import.meta.url)),
  activities: makeBareActivities(pool),
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
