import type { Connection } from '@temporalio/client';
import type { Queryable } from '../db/index.js';
import { claimTemporal, otherQueue, type TemporalHome } from '../store/temporal-home.js';

// A store and a Temporal belong together. Where another deployment's process came to this store, it would find none of the
// runs' workflows in its own Temporal or on its own queue, and take them for lost: so it leaves them alone, and does not start.

export interface Belonging {
  /** Ends in an answer where Temporal and the store give one. `now`: no answer of a moment ago will do. */
  isOurs(namespace: string, when?: 'lately' | 'now'): Promise<boolean>;
  /** Why this process must not work with the store, for its operator; null: it may, as far as can be told now. */
  trouble(namespaces: readonly string[]): Promise<string | null>;
}

export interface BelongingOptions {
  readonly store: Queryable;
  readonly taskQueue: string;
  /** Temporal's id of a namespace; null: it has none of that name. */
  readonly namespaceId: (namespace: string) => Promise<string | null>;
  /** Nobody else can have come to this store: it and Temporal are of one data folder. */
  readonly alone: boolean;
  /** Told of a namespace that is another deployment's. */
  readonly onForeign: (message: string) => void;
}

const latelyMs = 30_000;
const patienceMs = 3_000;

function late(): Promise<'unknown'> {
  return new Promise((resolve) => {
    setTimeout(() => resolve('unknown'), patienceMs).unref();
  });
}

export function makeBelonging(options: BelongingOptions): Belonging {
  const { store, taskQueue, alone, onForeign } = options;
  const known = new Map<string, { readonly isOurs: boolean; readonly at: number }>();
  const claim = async (namespace: string): Promise<string | null> => {
    const namespaceId = await options.namespaceId(namespace);
    if (namespaceId === null) return null;
    const mine = { namespace, namespaceId, taskQueue };
    const found = await claimTemporal(store, mine, alone ? 'always' : 'where free');
    const isOurs = found.namespaceId === namespaceId && found.taskQueue === taskQueue;
    known.set(namespace, { isOurs, at: performance.now() });
    return isOurs ? null : sentence(found, mine);
  };
  return {
    isOurs: async (namespace, when = 'lately') => {
      const one = known.get(namespace);
      if (when === 'lately' && one !== undefined && performance.now() - one.at < latelyMs) return one.isOurs;
      try {
        const message = await claim(namespace);
        if (message !== null) onForeign(message);
      } catch (error) {
        // What was so a while ago is so while nobody can say anything else; nothing is taken for lost by it.
        if (when === 'now' || one === undefined) throw error;
      }
      return known.get(namespace)?.isOurs ?? false;
    },
    trouble: async (namespaces) => {
      const other = alone ? null : await otherQueue(store, taskQueue);
      if (other !== null) return sentence(other, { ...other, taskQueue });
      for (const namespace of namespaces) {
        // A Temporal that does not answer says nothing: before anything is asked of it later, it is asked this.
        const message = await Promise.race([claim(namespace), late()]).catch(() => 'unknown' as const);
        if (message === 'unknown') return null;
        if (message !== null) return message;
      }
      return null;
    },
  };
}

function sentence(theirs: TemporalHome, mine: TemporalHome): string {
  const what =
    theirs.taskQueue === mine.taskQueue
      ? `are in the Temporal whose namespace \`${theirs.namespace}\` has the id \`${theirs.namespaceId}\`, and TEMPORAL_ADDRESS leads to one where it has \`${mine.namespaceId}\``
      : `are on the task queue \`${theirs.taskQueue}\` of Temporal, and COUNTERSIGN_TASK_QUEUE says \`${mine.taskQueue}\``;
  return `this store belongs to another deployment: its runs ${what}; nothing of them is touched. Give this process that deployment's settings, or a database of its own; where the deployment is to move here, stop all its processes and run \`countersign migrate --forget-temporal\` once`;
}

/** Asked of either kind of connection. */
export async function namespaceIdOf(
  service: {
    describeNamespace(request: { namespace: string }): Promise<{
      readonly namespaceInfo?: { readonly id?: string | null } | null;
    }>;
  },
  namespace: string,
): Promise<string | null> {
  try {
    const { namespaceInfo } = await service.describeNamespace({ namespace });
    return namespaceInfo?.id ?? null;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === notFound) return null;
    throw error;
  }
}

/** The same, with an end: a connection that is made when it is used waits for its server. */
export function namespaceIdInTime(connection: Connection, namespace: string): Promise<string | null> {
  return connection.withDeadline(Date.now() + patienceMs, () =>
    namespaceIdOf(connection.workflowService, namespace),
  );
}

/** gRPC's status. */
const notFound = 5;
