import v8 from 'node:v8';
import { isMainThread } from 'node:worker_threads';

// Loaded into every supervised process and its threads before their own code (`node --import`). Temporal's SDK hooks each
// promise of a workflow to keep where it was made, for the query `__stack_trace`; that took 38 % of the time of the
// thread that runs workflows (ADR 10). Where Node has no such hook the SDK does without, and so it shall here.
if (!isMainThread) {
  v8.promiseHooks.createHook = () => {
    throw new Error('promises of workflows are not traced');
  };
}
