import { Connection, type ConnectionOptions } from '@temporalio/client';
import { isPolled, type TaskQueue } from '../client/pollers.js';
import type { Engines } from '../service/index.js';
import type { Pool } from '../db/index.js';
import { namespaceOf } from '../model/names/temporal-names.js';
import { withoutProxyHere } from '../embedded/temporal/direct.js';
import { prepareTemporal } from '../embedded/temporal/prepare.js';
import { liveWorkers } from '../store/processes/workers.js';

// An environment needs a namespace of Temporal with our search attributes, and workers that poll it. A reload may add an environment.

export interface EnginesOptions {
  readonly connection: ConnectionOptions & { readonly address: string };
  readonly taskQueue: string;
  readonly pool: Pool;
  /** The store's clock. */
  readonly now: () => Date;
  readonly log: (line: string) => void;
}

/** How long a request waits for a namespace that is being prepared. */
const patienceMs = 3_000;
const againMs = 2_000;
const askMs = 2_000;

export function makeEngines({
  connection: options,
  taskQueue,
  pool,
  now,
  log,
}: EnginesOptions): Engines & { close(): Promise<void> } {
  const closing = new AbortController();
  const ready = new Set<string>();
  const underWay = new Map<string, Promise<void>>();
  const connection = Connection.lazy(withoutProxyHere(options));
  const prepare = (namespace: string): Promise<void> => {
    const known = underWay.get(namespace);
    if (known !== undefined) return known;
    const preparing = prepareTemporal({
      connection: options,
      namespaces: [namespace],
      signal: closing.signal,
      say: log,
    }).then(
      () => {
        ready.add(namespace);
        underWay.delete(namespace);
      },
      (error: unknown) => {
        log(`the temporal namespace \`${namespace}\` is not ready: ${messageOf(error)}`);
        // Within this time no other attempt is made, and the answer is no.
        setTimeout(() => underWay.delete(namespace), againMs).unref();
      },
    );
    underWay.set(namespace, preparing);
    return preparing;
  };
  const isServed = (queue: TaskQueue): Promise<boolean> =>
    connection.withDeadline(Date.now() + askMs, () => isPolled(connection, queue, now())).catch(() => false);
  return {
    isReady: async (environment) => {
      const namespace = namespaceOf(environment);
      if (ready.has(namespace)) return true;
      await waitAtMost(prepare(namespace), patienceMs);
      return ready.has(namespace);
    },
    // Temporal knows who polled within the last minute, and the store which workers live now: both are asked.
    unserved: async (environments) => {
      const [workers, ...polled] = await Promise.all([
        liveWorkers(pool),
        ...environments.map((name) => isServed({ namespace: namespaceOf(name), taskQueue })),
      ]);
      const served = new Set(workers.flatMap((worker) => worker.environments));
      return environments.filter((name, index) => polled[index] !== true || !served.has(name));
    },
    close: async () => {
      closing.abort();
      await connection.close();
    },
  };
}

async function waitAtMost(done: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([done, late]);
  clearTimeout(timer);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
