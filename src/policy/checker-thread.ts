import { parentPort } from 'node:worker_threads';
import { checkFlowText } from './check-text.js';
import type { Task } from './checker.js';
import type { Catalog } from './context.js';
import { loadWith } from './published.js';

// Runs in a thread of its own: what it is asked, it answers, in order.

let catalog: Catalog | null = null;

async function answer(task: Exclude<Task, { readonly kind: 'catalog' }>): Promise<unknown> {
  if (task.kind === 'folder') return loadWith(task.root, task);
  if (catalog === null) throw new Error('there is no catalog to check against');
  return checkFlowText(task.text, { catalog, media: task.media });
}

parentPort?.on('message', (task: Task) => {
  if (task.kind === 'catalog') {
    ({ catalog } = task);
    return;
  }
  answer(task).then(
    (value) => parentPort?.postMessage({ status: 'done', value }),
    (error: unknown) => {
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      parentPort?.postMessage({ status: 'failed', why });
    },
  );
});
