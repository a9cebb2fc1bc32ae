import { parentPort } from 'node:worker_threads';
import { basisOf } from '../folder/basis.js';
import { checkFlowText } from './check-text.js';
import type { Task } from './checker.js';
import type { Catalog } from '../compile/context.js';
import { compilePublished, loadReady } from '../folder/published.js';
import { readyCheck } from '../folder/ready.js';

// Runs in a thread of its own: what it is asked, it answers, in order. No answer carries more than one plan, and that as
// text: whoever serves takes it between two requests.

let catalog: Catalog | null = null;
let basis = '';

async function answer(task: Exclude<Task, { readonly kind: 'catalog' }>): Promise<unknown> {
  if (task.kind === 'folder')
    return loadReady(task.root, task.knownQueues, (flow) => tell({ status: 'part', value: flow }));
  if (catalog === null) throw new Error('there is no catalog to check against');
  if (task.kind === 'published') return compilePublished(task.text, catalog);
  const checked = readyCheck(checkFlowText(task.text, { catalog, media: task.media }));
  return checked.status === 'valid' ? { ...checked, basis } : checked;
}

function tell(message: object): void {
  parentPort?.postMessage(message);
}

parentPort?.on('message', (task: Task) => {
  if (task.kind === 'catalog') {
    ({ catalog } = task);
    basis = basisOf(task.catalog);
    return;
  }
  answer(task).then(
    (value) => tell({ status: 'done', value }),
    (error: unknown) => {
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      tell({ status: 'failed', why });
    },
  );
});
