import { write, type Queryable } from '../db/index.js';

// Which Temporal the runs of this store belong to: each namespace, by Temporal's own id of it, and the task queue.

export interface TemporalHome {
  readonly namespace: string;
  readonly namespaceId: string;
  readonly taskQueue: string;
}

const columns = 'namespace, namespace_id as "namespaceId", task_queue as "taskQueue"';

/** Whose the store's runs of that namespace are: `mine`, where nobody has come before. `take`: mine whoever has. */
export async function claimTemporal(
  q: Queryable,
  mine: TemporalHome,
  take: 'where free' | 'always',
): Promise<TemporalHome> {
  const { namespace, namespaceId, taskQueue } = mine;
  const taken = take === 'always' ? 'update set namespace_id = $2, task_queue = $3' : 'nothing';
  await write(
    q,
    `insert into temporal_home (namespace, namespace_id, task_queue) values ($1, $2, $3)
     on conflict (namespace) do ${taken}`,
    [namespace, namespaceId, taskQueue],
  );
  const { rows } = await q.query<TemporalHome>(`select ${columns} from temporal_home where namespace = $1`, [
    namespace,
  ]);
  return rows[0] ?? mine;
}

/** One namespace of a deployment with another task queue; null: there is none. */
export async function otherQueue(q: Queryable, taskQueue: string): Promise<TemporalHome | null> {
  const { rows } = await q.query<TemporalHome>(
    `select ${columns} from temporal_home where task_queue <> $1 order by namespace limit 1`,
    [taskQueue],
  );
  return rows[0] ?? null;
}

/** The next deployment that starts has the store. */
export async function forgetTemporal(q: Queryable): Promise<void> {
  await write(q, 'delete from temporal_home', []);
}
