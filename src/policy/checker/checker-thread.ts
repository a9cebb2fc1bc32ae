import { parentPort } from 'node:worker_threads';
import { basisOf } from '../folder/basis.js';
import { checkFlowText } from './check-text.js';
import type { Task } from './checker.js';
import type { Catalog } from '../compile/context.js';
import { compilePublished, loadReady } from '../folder/published.js';
import { toReadyCheck } from '../folder/ready.js';

// Runs in a thread of its own and answers tasks in order. An answer carries at most one plan, and that as text, so that the
// process that serves can take it in between two requests.

let catalog: Catalog | null = null;
let basis = '';

async function answer(task: Exclude<Task, { readonly kind: 'catalog' }>): Promise<unknown> {
  if (task.kind === 'folder')
    return loadReady(task.root, task.knownQueues, (flow) => post({ status: 'part', value: flow }));
  if (catalog === null) throw new Error('there is no catalog to check against');
  if (task.kind === 'published') return compilePublished(task.text, catalog);
  const checked = toReadyCheck(checkFlowText(task.text, { catalog, media: task.media }));
  return checked.status === 'valid' ? { ...checked, basis } : checked;
}

function post(message: object): void {
  parentPort?.postMessage(message);
}

parentPort?.on('message', (task: Task) => {
  if (task.kind === 'catalog') {
    ({ catalog } = task);
    basis = basisOf(task.catalog);
    return;
  }
  answer(task).then(
    (value) => post({ status: 'done', value }),
    (error: unknown) => {
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      post({ status: 'failed', why });
    },
  );
});
