import { write, type Queryable, type Tx } from '../db/index.js';

// Which Temporal the runs of this store belong to: each namespace, by Temporal's own id of it, and the task queue.

export interface TemporalHome {
  readonly namespace: string;
  readonly namespaceId: string;
  readonly taskQueue: string;
  /** Where that Temporal was last met; null: before that was kept. */
  readonly address: string | null;
}

export function isSameHome(home: TemporalHome, other: TemporalHome): boolean {
  return (
    home.namespace === other.namespace &&
    home.namespaceId === other.namespaceId &&
    home.taskQueue === other.taskQueue
  );
}

/** In either order. */
export function areSameHomes(some: readonly TemporalHome[], others: readonly TemporalHome[]): boolean {
  return (
    some.length === others.length && some.every((home) => others.some((other) => isSameHome(home, other)))
  );
}

/** `never`: a process that had it before does not come back to what was given away. */
export type Take = 'where free' | 'always' | 'never';

const columns = 'namespace, namespace_id as "namespaceId", task_queue as "taskQueue", address';

/** Whose the store's runs of that namespace are; null: nobody's. `always`: mine whoever has. */
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
  /** Not there before migration 20. */
  readonly address?: string | null;
}

/** Whoever takes a store that is nobody's looks and takes alone: two deployments may name other namespaces. */
export async function lockTemporalHome(tx: Tx): Promise<void> {
  await tx.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', ['temporal home']);
}

/** Processes of the product that work with this database now, by their names. */
export async function connectedProcesses(q: Queryable): Promise<readonly string[]> {
  const { rows } = await q.query<{ name: string }>(
    `select distinct application_name as name from pg_stat_activity
      where datname = current_database() and application_name like 'countersign %' and application_name <> 'countersign migrate'
      order by 1`,
    [],
  );
  return rows.map(({ name }) => name);
}

/** Read as far as this database has been migrated. Empty: the store is nobody's yet. */
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
 * The store is a copy, and of these homes the first deployment keeps the queue: the open runs there are its. Those of the queue
 * `own`, to which this deployment comes, are its own from here on.
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

/** Of the homes that were seen the store has none any more. Those that others have given it since stay, and are the answer. */
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

/** The store's own name, which Temporal holds for the task queue that is worked for it. */
export async function storeIdentity(q: Queryable): Promise<string> {
  const { rows } = await q.query<{ id: string }>('select id from store_identity', []);
  if (rows[0] === undefined) throw new Error('the store has lost its identity');
  return rows[0].id;
}
