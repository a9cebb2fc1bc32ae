import type { Json } from '../../model/values/json.js';
import type { Queryable } from '../../db/index.js';

// Worker processes report again and again that they are alive. Times are the database's.

export interface WorkerRow {
  readonly id: string;
  readonly environments: readonly string[];
  /** References to secrets and variables that have no value in that process. */
  readonly unset: readonly UnsetRow[];
}

export interface UnsetRow {
  readonly connection: string;
  readonly environment: string | null;
  readonly reference: string;
  readonly why: string;
}

/** A worker that has not reported for this long counts as gone. */
const goneAfter = '5 seconds';
const forgottenAfter = '1 hour';

const isLive = `seen_at > now() - interval '${goneAfter}'`;
/** A subquery: the ids of the worker processes that are alive. */
export const liveProcesses = `select id from worker_process where ${isLive}`;

export async function putWorker(q: Queryable, { id, environments, unset }: WorkerRow): Promise<void> {
  await q.query(
    `with forgotten as (delete from worker_process where seen_at < now() - interval '${forgottenAfter}' and id <> $1)
     insert into worker_process (id, environments, unset) values ($1, $2, $3)
     on conflict (id) do update set environments = excluded.environments, unset = excluded.unset, seen_at = now()`,
    [id, environments, JSON.stringify(unset as unknown as Json)],
  );
}

export async function deleteWorker(q: Queryable, id: string): Promise<void> {
  await q.query('delete from worker_process where id = $1', [id]);
}

export async function liveWorkers(q: Queryable): Promise<readonly WorkerRow[]> {
  const { rows } = await q.query<WorkerRow>(
    `select id, environments, unset from worker_process where ${isLive} order by id`,
  );
  return rows;
}
