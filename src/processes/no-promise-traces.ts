import { isMainThread } from 'node:worker_threads';

// Loaded into every supervised process and its threads before their own code (`node --import`). Temporal's SDK hooks each
// promise of a workflow to remember where it was made, for the query `__stack_trace`, which takes a third of the time of the
// thread that runs workflows (ADR 10). Where Node has no such hook the SDK works without it; this has it do so everywhere. Node's own promise
// hooks, which carry the workflow's scopes, are not touched.
if (!isMainThread) {
  const { globalHandlers } = await import('@temporalio/worker/lib/workflow/vm-shared.js');
  Object.assign(globalHandlers, { setPromiseHook: () => undefined });
}
