import { Context } from '@temporalio/activity';
import { effect } from '../peers/effect.js';
import { work } from '../waiting-worker.js';

// A worker of the bare gate.

const [, , address, namespace, taskQueue, target, codePath] = process.argv;
if (!address || !namespace || !taskQueue || !target || !codePath) throw new Error('five arguments');
await work(address, {
  namespace,
  taskQueue,
  workflowBundle: { codePath },
  activities: {
    effect: () => effect(target, Context.current().info.workflowExecution?.workflowId ?? ''),
  },
});
