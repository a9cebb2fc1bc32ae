import { write, type Queryable, type Tx } from '../../db/index.js';

// Which Temporal the runs of this store belong to: namespaces, by Temporal's own ids, and the task queue.

export interface TemporalHome {
  readonly namespace: string;
  readonly namespaceId: string;
  readonly taskQueue: string;
  /** The last known address of that Temporal; null: stored by a version that kept no addresses. */
  readonly address: string | null;
}

export function isSameHome(home: TemporalHome, other: TemporalHome): boolean {
  return (
    home.namespace === other.namespace &&
    home.namespaceId === other.namespaceId &&
    home.taskQueue === other.taskQueue
  );
}

/** Whether both hold the same homes, in any order. */
export function areSameHomes(some: readonly TemporalHome[], others: readonly TemporalHome[]): boolean {
  return (
    some.length === others.length && some.every((home) => others.some((other) => isSameHome(home, other)))
  );
}

/** When to claim a namespace. `never`: only look; a process must not take back what was given away. */
export type Take = 'where free' | 'always' | 'never';

const columns = 'namespace, namespace_id as "namespaceId", task_queue as "taskQueue", address';

/** Claims the namespace for `mine`, and gives the home that then has it; null: none. `always`: even if another home has it. */
export async function claimTemporal(
  q: Queryable,
  mine: TemporalHome,
  take: Take,
): Promise<TemporalHome | null> {
  const { namespace, namespaceId, taskQueue, address } = mine;
  const values = [namespace, namespaceId, taskQueue, address];
  if (take !== 'never')
    await write(
      q,
      `insert into temporal_home (namespace, namespace_id, task_queue, address) values ($1, $2, $3, $4)
       on conflict (namespace) do ${take === 'always' ? 'update set namespace_id = $2, task_queue = $3' : 'nothing'}`,
      values,
    );
  await write(
    q,
    `update temporal_home set address = $4
     where namespace = $1 and namespace_id = $2 and task_queue = $3 and address is distinct from $4`,
    values,
  );
  const { rows } = await q.query<TemporalHome>(`select ${columns} from temporal_home where namespace = $1`, [
    namespace,
  ]);
  return rows[0] ?? null;
}

interface HomeRow {
  readonly namespace: string;
  readonly namespace_id: string;
  readonly task_queue: string;
  /** Absent before migration 20. */
  readonly address?: string | null;
}

/** Lets only one deployment at a time take a store that is nobody's, since two deployments may name different namespaces. */
export async function lockTemporalHome(tx: Tx): Promise<void> {
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', ['temporal home']);
}

/** The names of the product's processes that are connected to this database now. */
export async function connectedProcesses(q: Queryable): Promise<readonly string[]> {
  const { rows } = await q.query<{ name: string }>(
    `select distinct application_name as name from pg_stat_activity
      where datname = current_database() and application_name like 'countersign %' and application_name <> 'countersign migrate'
      order by 1`,
    [],
  );
  return rows.map(({ name }) => name);
}

/** The homes of this store, also in a database that is not fully migrated. Empty: the store is nobody's yet. */
export async function temporalHomes(q: Queryable): Promise<readonly TemporalHome[]> {
  const { rows: found } = await q.query<{ table: string | null }>(
    "select to_regclass('temporal_home')::text as table",
    [],
  );
  if ((found[0]?.table ?? null) === null) return [];
  const { rows } = await q.query<HomeRow>('select * from temporal_home order by namespace', []);
  return rows.map(({ namespace, namespace_id: namespaceId, task_queue: taskQueue, address = null }) => ({
    namespace,
    namespaceId,
    taskQueue,
    address,
  }));
}

/**
 * Leaves the open runs of these homes to the first deployment, which keeps its queue, because this store is a copy. Runs that were
 * left to the queue `own`, which this deployment now takes, become its own.
 */
export async function leaveRuns(tx: Tx, left: readonly TemporalHome[], own: string): Promise<void> {
  for (const { namespace, taskQueue } of left)
    await write(
      tx,
      `update run set left_to = $2
        where namespace = $1 and left_to is null and status in ('running', 'waiting', 'stuck')`,
      [namespace, taskQueue],
    );
  await write(tx, 'update run set left_to = null where left_to = $1', [own]);
}

/** Deletes the homes that were seen. Homes that others have added since stay, and are given. */
export async function forgetTemporal(
  q: Queryable,
  seen: readonly TemporalHome[],
): Promise<readonly TemporalHome[]> {
  for (const { namespace, namespaceId, taskQueue } of seen)
    await write(
      q,
      'delete from temporal_home where namespace = $1 and namespace_id = $2 and task_queue = $3',
      [namespace, namespaceId, taskQueue],
    );
  return temporalHomes(q);
}

/** The store's own id, which Temporal keeps with the task queue that is served for this store. */
export async function storeIdentity(q: Queryable): Promise<string> {
  const { rows } = await q.query<{ id: string }>('select id from store_identity', []);
  if (rows[0] === undefined) throw new Error('the store has lost its identity');
  return rows[0].id;
}
