import { Worker } from 'node:worker_threads';
import type { Catalog } from '../compile/context.js';
import type { FolderLoad } from '../folder/published.js';
import type { ReadyCheck, ReadyFlow } from '../folder/ready.js';
import type { Media } from '../text/source.js';

// Checks in threads of their own: a text of a megabyte takes seconds, and a process that serves has none.

export interface Checker {
  flow(text: string, media: Media, catalog: Catalog, asker: Asker): Promise<Checked | Unchecked>;
  /**
   * Reads the folder; `use` then has the thread to itself, to compile what was published apart against that folder.
   * Patient: for who serves nobody yet, without a deadline.
   */
  folder<T>(
    given: FolderGiven,
    use: (loaded: FolderLoad, compile: Compile) => Promise<T>,
  ): Promise<T | Unchecked>;
}

/** `basis`: what it was compiled against. */
export type Checked =
  | (Extract<ReadyCheck, { readonly status: 'valid' }> & { readonly basis: string })
  | Extract<ReadyCheck, { readonly status: 'invalid' }>;

/** One text that was published apart. Hasty: it has its deadline, however patient the others are. */
export type Compile = (text: string, hasty?: 'hasty') => Promise<ReadyCheck | Unchecked>;

interface FolderGiven {
  readonly root: string;
  /** Asked once the thread is free. */
  readonly knownQueues: () => Promise<readonly string[]>;
  readonly patient: boolean;
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
  | { readonly kind: 'folder'; readonly root: string; readonly knownQueues: readonly string[] }
  | { readonly kind: 'published'; readonly text: string };

const deadlineMs = 10_000;
const folderDeadlineMs = 60_000;
/** Below the 30 seconds that a transaction may be idle: one is compiled while policies come into force. */
const publishedDeadlineMs = 20_000;
const mostWaiting = 32;
/** Waiting and running, for each of the two things to ask for: a principal alone does not fill a lane. */
const mostOfOne = 2;
/** Small texts do not wait behind large ones. */
const smallText = 16_384;
const memoryMb = 512;
/** Who is asked to confirm something comes back soon. */
const idleMs = 10_000;

export function makeChecker({ withinMs = deadlineMs, publishedMs = publishedDeadlineMs } = {}): Checker {
  const [small, large, publishing, folders] = [makeLane(), makeLane(), makeLane(), makeLane()];
  const seats = { check: makeSeats(), publish: makeSeats() };
  return {
    flow: (text, media, catalog, { principal, to }) => {
      const checking = text.length > smallText ? large : small;
      const lane = to === 'publish' ? publishing : checking;
      return seats[to](principal, () =>
        lane.hold((ask) => ask<Checked>({ kind: 'flow', text, media }, { withinMs, catalog })),
      );
    },
    folder: async ({ root, knownQueues, patient }, use) => {
      const found = await folders.hold(async (ask) => {
        const flows: ReadyFlow[] = [];
        const onPart = (flow: unknown): void => void flows.push(flow as ReadyFlow);
        const task = { kind: 'folder', root, knownQueues: await knownQueues() } as const;
        const loaded = await ask<FolderLoad>(task, { withinMs: patient ? null : folderDeadlineMs, onPart });
        if (loaded.status === 'late' || loaded.status === 'busy') return loaded;
        if (loaded.status === 'invalid') return use(loaded, () => Promise.resolve({ status: 'late' }));
        const { catalog } = loaded;
        return use({ ...loaded, flows }, (text, hasty) => {
          const mostMs = patient && hasty === undefined ? null : publishedMs;
          return ask<ReadyCheck>({ kind: 'published', text }, { withinMs: mostMs, catalog });
        });
      });
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

interface Asked {
  /** Null: as long as it takes. */
  readonly withinMs: number | null;
  readonly catalog?: Catalog;
  /** What comes before the answer. */
  readonly onPart?: (value: unknown) => void;
}

type Ask = <T>(task: Task, asked: Asked) => Promise<T | Unchecked>;

interface Lane {
  /** `use` has the thread to itself. */
  hold<T>(use: (ask: Ask) => Promise<T>): Promise<T | Unchecked>;
  /** The thread goes soon, where nobody waits for it by then, and comes again with the next task. */
  endIdle(): void;
}

/** One thread, one holder at a time, in the order of asking. */
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
  const ask = async <T>(task: Task, { catalog, ...asked }: Asked): Promise<T | Unchecked> => {
    thread ??= startThread();
    thread.ref();
    if (catalog !== undefined && catalog !== known) {
      thread.postMessage({ kind: 'catalog', catalog } satisfies Task);
      known = catalog;
    }
    const answer = await answerOf<T>(thread, task, asked);
    if (answer === null) {
      end();
      return { status: 'late' };
    }
    thread.unref();
    return answer;
  };
  return {
    endIdle: () => {
      const endNow = (): void => {
        if (waiting === 0) end();
      };
      setTimeout(endNow, idleMs).unref();
    },
    hold: async (use) => {
      if (waiting >= mostWaiting) return { status: 'busy' };
      waiting += 1;
      const turn = last.then(() => use(ask));
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
  | { readonly status: 'part'; readonly value: unknown }
  | { readonly status: 'done'; readonly value: T }
  | { readonly status: 'failed'; readonly why: string };

/** Null: no answer in time, or the thread ended, as it does when it needs more memory than it may. */
function answerOf<T>(
  thread: Worker,
  task: Task,
  { withinMs, onPart }: Omit<Asked, 'catalog'>,
): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const settle = (reply: FromThread<T> | null): void => {
      if (reply?.status === 'part') return onPart?.(reply.value);
      clearTimeout(timer);
      thread.off('message', settle);
      thread.off('exit', gone);
      if (reply?.status === 'failed') reject(new Error(reply.why));
      else resolve(reply === null ? null : reply.value);
    };
    const gone = (): void => settle(null);
    const timer = withinMs === null ? undefined : setTimeout(gone, withinMs);
    thread.on('message', settle);
    thread.on('exit', gone);
    thread.postMessage(task);
  });
}
