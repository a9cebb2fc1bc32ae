import { Worker } from 'node:worker_threads';
import type { FlowCheck } from './check-text.js';
import type { Catalog } from './context.js';
import type { FolderLoad } from './published.js';
import type { Media } from './source.js';

// Checks in threads of their own: a text of a megabyte takes seconds, and a process that serves has none.

export interface Checker {
  flow(text: string, media: Media, catalog: Catalog, asker: Asker): Promise<FlowCheck | Unchecked>;
  /** With it, flows that were published apart: their definitions. */
  folder(root: string, given: FolderGiven): Promise<FolderLoad | Unchecked>;
}

/** Anybody may check, few may publish: those who check hold back nobody who publishes. */
export interface Asker {
  readonly principal: string;
  readonly to: 'check' | 'publish';
}

/** `late`: it took longer than a check may, and was ended. `busy`: as many are waiting as may, or as many of this principal's. */
export type Unchecked = { readonly status: 'late' } | { readonly status: 'busy' };

export type Task =
  | { readonly kind: 'catalog'; readonly catalog: Catalog }
  | { readonly kind: 'flow'; readonly text: string; readonly media: Media }
  | ({ readonly kind: 'folder'; readonly root: string } & FolderGiven);

interface FolderGiven {
  readonly knownQueues: readonly string[];
  readonly published: readonly string[];
}

const deadlineMs = 10_000;
const folderDeadlineMs = 60_000;
const mostWaiting = 32;
/** Waiting and running, for each of the two things to ask for: a principal alone does not fill a lane. */
const mostOfOne = 2;
/** Small texts do not wait behind large ones. */
const smallText = 16_384;
const memoryMb = 512;

export function makeChecker({ withinMs = deadlineMs } = {}): Checker {
  const [small, large, publishing, folders] = [makeLane(), makeLane(), makeLane(), makeLane()];
  const seats = { check: makeSeats(), publish: makeSeats() };
  return {
    flow: (text, media, catalog, { principal, to }) => {
      const checking = text.length > smallText ? large : small;
      const lane = to === 'publish' ? publishing : checking;
      return seats[to](principal, () =>
        lane.ask<FlowCheck>({ kind: 'flow', text, media }, withinMs, catalog),
      );
    },
    folder: async (root, given) => {
      const task = { kind: 'folder', root, ...given } as const;
      const deadline = folderDeadlineMs + given.published.length * withinMs;
      const found = await folders.ask<FolderLoad>(task, deadline);
      folders.endIdle();
      return found;
    },
  };
}

type Seats = <T>(principal: string, ask: () => Promise<T | Unchecked>) => Promise<T | Unchecked>;

function makeSeats(): Seats {
  const taken = new Map<string, number>();
  return async (principal, ask) => {
    const before = taken.get(principal) ?? 0;
    if (before >= mostOfOne) return { status: 'busy' };
    taken.set(principal, before + 1);
    return ask().finally(() => {
      const left = (taken.get(principal) ?? 0) - 1;
      if (left > 0) taken.set(principal, left);
      else taken.delete(principal);
    });
  };
}

interface Lane {
  ask<T>(task: Task, withinMs: number, catalog?: Catalog): Promise<T | Unchecked>;
  /** The thread goes where nobody else waits for it, and comes again with the next task. */
  endIdle(): void;
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
    endIdle: () => {
      if (waiting === 0) end();
    },
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

type FromThread<T> =
  { readonly status: 'done'; readonly value: T } | { readonly status: 'failed'; readonly why: string };

/** Null: no answer in time, or the thread ended, as it does when it needs more memory than it may. */
function answerOf<T>(thread: Worker, task: Task, withinMs: number): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const settle = (reply: FromThread<T> | null): void => {
      clearTimeout(timer);
      thread.off('message', settle);
      thread.off('exit', gone);
      if (reply?.status === 'failed') reject(new Error(reply.why));
      else resolve(reply === null ? null : reply.value);
    };
    const gone = (): void => settle(null);
    const timer = setTimeout(gone, withinMs);
    thread.on('message', settle);
    thread.on('exit', gone);
    thread.postMessage(task);
  });
}
