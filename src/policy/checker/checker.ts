import { Worker } from 'node:worker_threads';
import type { Catalog } from '../compile/context.js';
import type { FolderLoad } from '../folder/published.js';
import type { ReadyCheck, ReadyFlow } from '../folder/ready.js';
import type { Media } from '../text/source.js';

// Checks run in threads of their own: a text of a megabyte takes seconds, for which a process that serves cannot stop.

export interface Checker {
  flow(text: string, media: Media, catalog: Catalog, asker: Asker): Promise<CheckResult | Unchecked>;
  /**
   * Reads the folder. `use` then has the thread to itself, to compile against that folder the flows that were published apart.
   * `patient`: without a deadline, for a process that does not serve yet.
   */
  folder<T>(
    given: FolderRequest,
    use: (loaded: FolderLoad, compile: CompilePublished) => Promise<T>,
  ): Promise<T | Unchecked>;
}

/** `basis`: identifies what the flow was compiled against and by (`basisOf`). */
export type CheckResult =
  | (Extract<ReadyCheck, { readonly status: 'valid' }> & { readonly basis: string })
  | Extract<ReadyCheck, { readonly status: 'invalid' }>;

/** Compiles the text of a flow that was published apart. `hasty`: with a deadline, even where the request is patient. */
export type CompilePublished = (text: string, hasty?: 'hasty') => Promise<ReadyCheck | Unchecked>;

interface FolderRequest {
  readonly root: string;
  /** Called once the thread is free. */
  readonly knownQueues: () => Promise<readonly string[]>;
  readonly patient: boolean;
}

/** Who asks, and for what. Anybody may check and few may publish, so publishing never waits for checks. */
export interface Asker {
  readonly principal: string;
  readonly to: 'check' | 'publish';
}

/** `late`: the check took too long and was ended. `busy`: too many are waiting, in all or of this principal. */
export type Unchecked = { readonly status: 'late' } | { readonly status: 'busy' };

export type Task =
  | { readonly kind: 'catalog'; readonly catalog: Catalog }
  | { readonly kind: 'flow'; readonly text: string; readonly media: Media }
  | { readonly kind: 'folder'; readonly root: string; readonly knownQueues: readonly string[] }
  | { readonly kind: 'published'; readonly text: string };

const deadlineMs = 10_000;
const folderDeadlineMs = 60_000;
/** Below the 30 seconds that a transaction may be idle: these flows are compiled within the transaction of a reload. */
const publishedDeadlineMs = 20_000;
const mostWaiting = 32;
/** Waiting and running, counted apart for checks and publications: no principal fills a lane alone. */
const mostPerPrincipal = 2;
/** In characters. Texts up to this length do not wait behind longer texts. */
const smallText = 16_384;
const memoryMb = 512;
/** How long a thread is kept for the next task: somebody who is asked to confirm a reload comes back soon. */
const idleMs = 10_000;

export function makeChecker({ withinMs = deadlineMs, publishedMs = publishedDeadlineMs } = {}): Checker {
  const [small, large, publishing, folders] = [makeLane(), makeLane(), makeLane(), makeLane()];
  const seats = { check: makeSeats(), publish: makeSeats() };
  return {
    flow: (text, media, catalog, { principal, to }) => {
      const checking = text.length > smallText ? large : small;
      const lane = to === 'publish' ? publishing : checking;
      return seats[to](principal, () =>
        lane.hold((ask) => ask<CheckResult>({ kind: 'flow', text, media }, { withinMs, catalog })),
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
  const asking = new Map<string, number>();
  return async (principal, ask) => {
    const before = asking.get(principal) ?? 0;
    if (before >= mostPerPrincipal) return { status: 'busy' };
    asking.set(principal, before + 1);
    return ask().finally(() => {
      const left = (asking.get(principal) ?? 0) - 1;
      if (left > 0) asking.set(principal, left);
      else asking.delete(principal);
    });
  };
}

interface AskOptions {
  /** Null: as long as it takes. */
  readonly withinMs: number | null;
  readonly catalog?: Catalog;
  /** Called with each part that comes before the answer. */
  readonly onPart?: (value: unknown) => void;
}

type Ask = <T>(task: Task, asked: AskOptions) => Promise<T | Unchecked>;

interface Lane {
  /** `use` has the thread to itself; `busy` where too many wait. */
  hold<T>(use: (ask: Ask) => Promise<T>): Promise<T | Unchecked>;
  /** Ends the thread after a while, unless somebody waits for it by then. The next task starts another. */
  endIdle(): void;
}

/** A thread that is used by one holder at a time, in the order of asking. */
function makeLane(): Lane {
  let thread: Worker | null = null;
  let sentCatalog: Catalog | undefined;
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  const end = (): void => {
    void thread?.terminate();
    thread = null;
    sentCatalog = undefined;
  };
  const ask = async <T>(task: Task, { catalog, ...asked }: AskOptions): Promise<T | Unchecked> => {
    thread ??= startThread();
    thread.ref();
    if (catalog !== undefined && catalog !== sentCatalog) {
      thread.postMessage({ kind: 'catalog', catalog } satisfies Task);
      sentCatalog = catalog;
    }
    const answer = await awaitAnswer<T>(thread, task, asked);
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
  // Without the preloads of the process: they are for its workflows and its parent.
  const options = { execArgv: [], resourceLimits: { maxOldGenerationSizeMb: memoryMb } };
  const thread = import.meta.url.endsWith('.ts')
    ? new Worker(scriptFromSource(), { ...options, eval: true })
    : new Worker(new URL('./checker-thread.js', import.meta.url), options);
  // Whoever waits for the task learns of the error by the thread's end.
  thread.on('error', () => undefined);
  return thread;
}

/** A script for tests, which run from source: a new thread cannot read TypeScript by itself. */
function scriptFromSource(): string {
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

/** The answer to a task. Null: none came in time, or the thread ended, as it does when it needs too much memory. */
function awaitAnswer<T>(
  thread: Worker,
  task: Task,
  { withinMs, onPart }: Omit<AskOptions, 'catalog'>,
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
