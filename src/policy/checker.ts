import { Worker } from 'node:worker_threads';
import type { FlowCheck } from './check-text.js';
import type { Catalog } from './context.js';
import type { FolderResult } from './folder.js';
import type { Media } from './source.js';

// Checks in threads of their own: a text of a megabyte takes seconds, and a process that serves has none.

export interface Checker {
  flow(text: string, media: Media, catalog: Catalog): Promise<FlowCheck | Unchecked>;
  folder(root: string): Promise<FolderResult | Unchecked>;
}

/** `late`: it took longer than a check may, and was ended. `busy`: as many are waiting as may. */
export type Unchecked = { readonly status: 'late' } | { readonly status: 'busy' };

export type Task =
  | { readonly kind: 'catalog'; readonly catalog: Catalog }
  | { readonly kind: 'flow'; readonly text: string; readonly media: Media }
  | { readonly kind: 'folder'; readonly root: string };

const deadlineMs = 10_000;
const folderDeadlineMs = 60_000;
const mostWaiting = 32;
/** Small texts do not wait behind large ones. */
const smallText = 16_384;
const memoryMb = 512;

export function makeChecker(): Checker {
  const [small, large, folders] = [makeLane(), makeLane(), makeLane()];
  return {
    flow: (text, media, catalog) => {
      const lane = text.length > smallText ? large : small;
      return lane.ask<FlowCheck>({ kind: 'flow', text, media }, deadlineMs, catalog);
    },
    folder: async (root) => {
      const found = await folders.ask<FolderResult>({ kind: 'folder', root }, folderDeadlineMs);
      folders.end();
      return found;
    },
  };
}

interface Lane {
  ask<T>(task: Task, withinMs: number, catalog?: Catalog): Promise<T | Unchecked>;
  /** The thread goes, and comes again with the next task. */
  end(): void;
}

/** One thread, one task at a time, in the order of asking. */
function makeLane(): Lane {
  let thread: Worker | null = null;
  let known: Catalog | undefined;
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  const end = (): void => {
    void thread?.terminate();
    thread = null;
    known = undefined;
  };
  const run = async <T>(task: Task, withinMs: number, catalog?: Catalog): Promise<T | Unchecked> => {
    thread ??= startThread();
    thread.ref();
    if (catalog !== undefined && catalog !== known) {
      thread.postMessage({ kind: 'catalog', catalog } satisfies Task);
      known = catalog;
    }
    const answer = await answerOf<T>(thread, task, withinMs);
    if (answer === null) {
      end();
      return { status: 'late' };
    }
    thread.unref();
    return answer;
  };
  return {
    end,
    ask: async (task, withinMs, catalog) => {
      if (waiting >= mostWaiting) return { status: 'busy' };
      waiting += 1;
      const turn = last.then(() => run<never>(task, withinMs, catalog));
      last = turn.catch(() => undefined);
      return turn.finally(() => {
        waiting -= 1;
      });
    },
  };
}

function startThread(): Worker {
  // The process's own preloads are for its workflows and its parent.
  const options = { execArgv: [], resourceLimits: { maxOldGenerationSizeMb: memoryMb } };
  const thread = import.meta.url.endsWith('.ts')
    ? new Worker(fromSource(), { ...options, eval: true })
    : new Worker(new URL('./checker-thread.js', import.meta.url), options);
  // Somebody waits for each task, and hears of it there.
  thread.on('error', () => undefined);
  return thread;
}

/** Tests run from source, and a thread begins without what reads TypeScript. */
function fromSource(): string {
  const [tsx, script] = [
    import.meta.resolve('tsx/esm/api'),
    new URL('./checker-thread.ts', import.meta.url).href,
  ];
  return `import(${JSON.stringify(tsx)}).then(({ register }) => { register(); return import(${JSON.stringify(script)}); });`;
}

type Told<T> =
  { readonly status: 'done'; readonly value: T } | { readonly status: 'failed'; readonly why: string };

/** Null: no answer in time, or the thread ended, as it does when it needs more memory than it may. */
function answerOf<T>(thread: Worker, task: Task, withinMs: number): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const settle = (told: Told<T> | null): void => {
      clearTimeout(timer);
      thread.off('message', settle);
      thread.off('exit', gone);
      if (told?.status === 'failed') reject(new Error(told.why));
      else resolve(told === null ? null : told.value);
    };
    const gone = (): void => settle(null);
    const timer = setTimeout(gone, withinMs);
    thread.on('message', settle);
    thread.on('exit', gone);
    thread.postMessage(task);
  });
}
