import { fileURLToPath } from 'node:url';
import { makePool } from '../../src/db/index.js';
import { work } from '../waiting-worker.js';
import { makeHandwrittenActivities } from './activities.js';

// A worker of the hand-written flows: a process of its own.

const [, , address, databaseUrl, namespace, taskQueue] = process.argv;
if (!address || !databaseUrl || !namespace || !taskQueue) throw new Error('four arguments');
const pool = makePool({ url: databaseUrl, applicationName: taskQueue, max: 12 });
await work(address, {
  namespace,
  taskQueue,
  workflowsPath: fileURLToPath(new URL('./workflows.ts', import.meta.url)),
  activities: makeHandwrittenActivities(pool),
});
await pool.end();
